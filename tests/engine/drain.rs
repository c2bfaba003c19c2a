//! SIGTERM: nothing accepted is lost, nobody waits for somebody else's download.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::harness::{Client, Gate, PATIENCE, Unit, connect};
use crate::wire;

#[test]
fn requests_under_way_are_answered_and_others_meanwhile() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let mut daemon = unit.wake();
    let mut slow = connect(web);
    slow.send(format!("GET /gate?{} HTTP/1.1\r\nHost: test\r\n\r\n", gate.query()));
    let waiting = gate.arrived();
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    let meanwhile = connect(web).get("/");
    assert_eq!(meanwhile.text(), "ok", "accepting goes on while a request from before runs");
    assert_eq!(meanwhile.header("connection"), Some("close"));
    let mut old = connect(web);
    old.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let old = old.rest();
    assert!(old.ends_with("ok") && !old.contains("keep-alive"), "{old}");
    waiting.open();
    let last = slow.answer();
    assert_eq!((last.text(), last.header("connection")), ("passed", Some("close")));
    drop(slow);
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped: SIGTERM") && log.contains("served 3 requests"), "{log}");
}

#[test]
fn what_comes_after_waits_for_the_next_process() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    daemon.signal(libc::SIGTERM);
    assert_eq!(daemon.left().0.code(), Some(0));
    let mut client = connect(web);
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let daemon = unit.wake();
    assert_eq!(client.answer().text(), "ok");
    daemon.signal(libc::SIGTERM);
    drop(client);
    assert_eq!(daemon.left().0.code(), Some(0));
}

#[test]
fn an_idle_connection_has_the_grace_and_then_a_clean_end() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000).set("GRACE", 5_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    let mut idle = connect(web);
    assert_eq!(idle.get("/").text(), "ok");
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    let answer = idle.get("/"); // within the grace
    assert_eq!((answer.text(), answer.header("connection")), ("ok", Some("close")));
    assert_eq!(idle.rest(), "");
    drop(idle);
    assert_eq!(daemon.left().0.code(), Some(0));
}

#[test]
fn pipelined_requests_are_all_answered_before_the_goodbye() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let mut daemon = unit.wake();
    let mut client = connect(web);
    let first = format!("GET /gate?{} HTTP/1.1\r\nHost: test\r\n\r\n", gate.query());
    client.send(first + &"GET / HTTP/1.1\r\nHost: test\r\n\r\n".repeat(3));
    let waiting = gate.arrived();
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    waiting.open();
    assert_eq!(client.answer().text(), "passed");
    for _ in 0..3 {
        assert_eq!(client.answer().text(), "ok");
    }
    drop(client);
    assert_eq!(daemon.left().0.code(), Some(0));
}

#[test]
fn a_second_signal_cuts() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let mut daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("GET /gate?{} HTTP/1.1\r\nHost: test\r\n\r\n", gate.query()));
    let mut waiting = gate.arrived();
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    daemon.signal(libc::SIGINT);
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(75), "{log}");
    assert!(log.contains("cut by a second signal: a request of 127.0.0.1:"), "{log}");
    assert_eq!(waiting.line(), "");
}

#[test]
fn an_overdue_drain_names_what_it_cuts() {
    let mut unit = Unit::new().set("DRAIN", 300);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("GET /gate?{} HTTP/1.1\r\nHost: test\r\n\r\n", gate.query()));
    let _waiting = gate.arrived();
    daemon.signal(libc::SIGTERM);
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("cut at the end of the drain") && log.contains("drain overdue"), "{log}");
}

#[test]
fn a_reload_is_told_to_systemd() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    daemon.signal(libc::SIGHUP);
    let message = daemon.hear("RELOADING=1");
    assert!(message.contains("MONOTONIC_USEC="), "{message}");
    let ready = daemon.hear_after("READY=1", &message);
    assert!(ready.contains("STATUS=quiet since"), "the reload itself is over by then: {ready}");
    assert_eq!(connect(web).get("/").text(), "ok");
    daemon.signal(libc::SIGTERM);
    assert_eq!(daemon.left().0.code(), Some(0));
}

#[test]
fn a_cut_names_upgraded_connections_and_half_requests_too() {
    let mut unit = Unit::new().set("DRAIN", 300);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    let mut upgraded = connect(web);
    upgraded.send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert_eq!(upgraded.answer().status(), 101);
    let mut half = connect(web);
    half.send("GET / HTTP/1.1\r\n");
    daemon.hear("1 connection with no request yet, 1 upgraded connection");
    daemon.signal(libc::SIGTERM);
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("an upgraded connection of 127.0.0.1:"), "{log}");
    assert!(log.contains("half a request of 127.0.0.1:"), "{log}");
}

#[test]
fn requests_sent_ahead_without_end_do_not_hold_a_drain() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000).set("GRACE", 50).set("DRAIN", 600_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    let mut client = connect(web);
    let mut writer = client.0.try_clone().expect("a descriptor");
    let ahead = "GET / HTTP/1.1\r\nHost: test\r\n\r\n".repeat(1_000);
    let flood = std::thread::spawn(move || while writer.write_all(ahead.as_bytes()).is_ok() {});
    assert_eq!(client.answer().text(), "ok");
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    let patience = Instant::now() + PATIENCE;
    while client.answer().header("connection") != Some("close") {
        assert!(Instant::now() < patience, "each answer is followed by one more");
    }
    client.0.shutdown(Shutdown::Both).expect("open");
    flood.join().expect("no panic");
    assert_eq!(daemon.left().0.code(), Some(0));
}

#[test]
fn work_begun_by_the_last_request_is_waited_for() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let (first, work) = (Gate::new(&unit.folder, "first"), Gate::new(&unit.folder, "work"));
    let mut daemon = unit.wake();
    let mut client = connect(web);
    let first_path = first.query().replace("gate=", "first=");
    client.ask(&format!("/work?{}&{first_path}", work.query()));
    let answering = first.arrived();
    daemon.signal(libc::SIGTERM);
    let stopping = daemon.hear("STOPPING=1");
    answering.open();
    let working = work.arrived();
    assert_eq!(client.answer().text(), "left");
    drop(client);
    daemon.hear_after("STATUS=draining", &stopping); // a tick later; nothing is open but the work
    assert!(daemon.is_running());
    working.open();
    let (status, log) = daemon.left();
    assert!(status.code() == Some(0) && !log.contains("overdue"), "{log}");
}

#[test]
fn a_fresh_connection_may_still_say_what_it_came_for() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000).set("GRACE", 10_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    let (mut silent, mut unseen) = (connect(web), connect(web));
    daemon.hear("STATUS=awake: 2 connections with no request yet");
    daemon.freeze();
    unseen.ask("/"); // in the kernel when the signal is heard
    daemon.signal(libc::SIGTERM);
    daemon.thaw();
    daemon.hear("STOPPING=1");
    assert_eq!(connect(web).get("/").text(), "ok", "so every connection has been told of the drain by now");
    silent.ask("/");
    let answer = silent.answer();
    assert_eq!((answer.text(), answer.header("connection")), ("ok", Some("close")));
    assert_eq!(unseen.answer().text(), "ok", "whether its bytes or the signal were seen first");
    drop((silent, unseen));
    assert_eq!(daemon.left().0.code(), Some(0));
}

#[test]
fn a_connection_in_the_queue_when_the_signal_comes_is_answered_by_somebody() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let path = unit.unix("local");
    for _ in 0..5 {
        let daemon = unit.wake();
        daemon.freeze();
        let mut queued = connect(web);
        let mut local = Client(UnixStream::connect(&path).expect("it listens"));
        queued.ask("/");
        local.ask("/");
        daemon.signal(libc::SIGTERM);
        daemon.thaw();
        assert_eq!(daemon.left().0.code(), Some(0));
        let next = unit.start(); // with nothing to do if the other one answered
        assert_eq!((queued.answer().text(), local.answer().text()), ("ok", "ok"));
        next.signal(libc::SIGTERM);
        drop((queued, local));
        assert_eq!(next.left().0.code(), Some(0));
    }
}

#[test]
fn bytes_read_before_the_protocol_is_known_are_not_dropped() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    let mut halves = ["P", "PR", "PRI", "PRI "].map(|half| {
        let mut client = connect(web);
        client.send(half);
        client
    });
    let mut stream = TcpStream::connect(web).expect("it listens");
    stream.write_all(&wire::PREFACE[..9]).expect("taken");
    daemon.hear("STATUS=awake: 5 connections with no request yet");
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    // They may become either protocol; these become requests with methods of which nobody here has heard.
    let methods = [("ROPFIND ", "PROPFIND"), ("OPFIND ", "PROPFIND"), ("NT ", "PRINT"), ("", "PRI")];
    for (client, (rest, method)) in halves.iter_mut().zip(methods) {
        client.send(format!("{rest}/method HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = client.answer();
        assert_eq!((answer.text(), answer.header("connection")), (method, Some("close")));
    }
    stream.write_all(&wire::PREFACE[9..]).expect("taken");
    let request = [wire::frame(wire::SETTINGS, 0, 0, b""), wire::frame(wire::HEADERS, 5, 1, &wire::get("/"))];
    stream.write_all(&request.concat()).expect("taken");
    assert_eq!(wire::answer(&mut stream, 1), "ok");
    drop((halves, stream));
    let (status, log) = daemon.left();
    assert!(status.code() == Some(0) && !log.contains("overdue"), "{log}");
}

#[test]
fn half_a_preface_has_its_limit_in_a_drain_too() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000).set("HEAD", 200);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut half = TcpStream::connect(web).expect("it listens");
    half.write_all(&wire::PREFACE[..20]).expect("taken");
    daemon.signal(libc::SIGTERM);
    let (status, log) = daemon.left();
    assert!(status.code() == Some(0) && !log.contains("overdue"), "{log}");
}

#[test]
fn an_upload_that_waits_to_be_asked_for_is_asked_for() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    let expecting = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    let (mut asked, mut unseen) = (connect(web), connect(web));
    asked.send(expecting);
    assert_eq!(asked.answer().status(), 100);
    daemon.freeze();
    unseen.send(expecting);
    daemon.signal(libc::SIGTERM);
    daemon.thaw();
    daemon.hear("STOPPING=1");
    assert_eq!(unseen.answer().status(), 100);
    for client in [&mut asked, &mut unseen] {
        client.send("abc");
        let answer = client.answer();
        assert_eq!((answer.text(), answer.header("connection")), ("3", Some("close")));
    }
    drop((asked, unseen));
    assert_eq!(daemon.left().0.code(), Some(0));
}

#[test]
fn a_signal_before_it_is_ready_ends_it_and_loses_nothing() {
    let unit = Unit::new().set("MIN_AWAKE", 60_000);
    let start = Gate::new(&unit.folder, "start");
    let mut unit = unit.gate("START_GATE", &start);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut queued = connect(web);
    queued.ask("/");
    let mut daemon = unit.start();
    let starting = start.arrived();
    assert!(!daemon.has_said("READY=1"), "nothing is accepted yet");
    daemon.signal(libc::SIGTERM);
    starting.open();
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(0), "{log}");
    let next = unit.start();
    start.arrived().open();
    assert_eq!(queued.answer().text(), "ok", "by the one or the other");
    next.signal(libc::SIGTERM);
    drop(queued);
    assert_eq!(next.left().0.code(), Some(0));
}

#[test]
fn a_signal_at_the_instant_of_falling_asleep_ends_it_once() {
    let (mut asleep, mut stopped) = (0, 0);
    for round in 0..60 {
        let mut unit = Unit::new().set("AFTER", 20).set("GRACE", 1).set("MIN_AWAKE", 0);
        let web = unit.tcp("127.0.0.1:0", "web");
        let mut client = connect(web);
        client.ask("/");
        let daemon = unit.start();
        assert_eq!(client.answer().text(), "ok");
        drop(client);
        std::thread::sleep(Duration::from_micros(15_000 + round * 200));
        daemon.signal(libc::SIGTERM);
        let (status, log, told) = daemon.farewell();
        assert_eq!(status.code(), Some(0), "{log}");
        assert_eq!(told.iter().filter(|message| message.contains("STOPPING=1")).count(), 1, "{told:?}");
        let ends = [log.matches("asleep: ").count(), log.matches("stopped: ").count()];
        assert_eq!(ends[0] + ends[1], 1, "{log}");
        (asleep, stopped) = (asleep + ends[0], stopped + ends[1]);
    }
    assert!(asleep > 0 && stopped > 0, "the pauses did not meet it: {asleep} asleep, {stopped} stopped");
}

#[test]
fn systemd_is_asked_for_the_time_a_drain_may_take() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000).set("DRAIN", 8_000);
    let _web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    daemon.signal(libc::SIGTERM);
    let (status, _, told) = daemon.farewell();
    assert_eq!(status.code(), Some(0));
    let micros = told.iter().find_map(|message| message.trim().strip_prefix("EXTEND_TIMEOUT_USEC="));
    let micros: u64 = micros.expect("it asks").parse().expect("a number");
    assert!(micros > 8_000_000, "the drain and what comes after: {micros}");
}

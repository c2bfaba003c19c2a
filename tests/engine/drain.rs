//! SIGTERM: nothing accepted is lost, nobody waits for somebody else's download.

use std::io::Write;
use std::net::Shutdown;
use std::time::Instant;

use crate::harness::{Gate, PATIENCE, Unit, connect};

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
    assert!(log.contains("cut at the end of the drain: a request of 127.0.0.1:"), "{log}");
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

//! Falling asleep, and everything that must not be left.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Gate, PATIENCE, Unit, connect, reset};
use crate::wire;

#[test]
fn it_wakes_serves_sleeps_and_wakes_again_on_the_same_socket() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    for _ in 0..3 {
        let mut client = connect(web); // waits in the queue of the socket, as it does with systemd
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        let mut daemon = unit.wake();
        assert_eq!(client.answer().text(), "ok");
        daemon.hear("STOPPING=1");
        let log = daemon.asleep();
        assert!(log.contains("awake: woken by 127.0.0.1:"), "{log}");
        assert!(log.contains("asleep: quiet for") && log.contains("served 1 request"), "{log}");
    }
}

#[test]
fn it_sleeps_though_nobody_came_or_somebody_says_nothing() {
    let mut unit = Unit::new().set("FIRST_BYTE", 150);
    let web = unit.tcp("127.0.0.1:0", "web");
    let log = unit.wake().asleep();
    assert!(log.contains("started with nobody waiting"), "{log}");
    let mut silent = connect(web);
    let log = unit.wake().asleep();
    assert!(log.contains("1 not counted"), "{log}");
    assert_eq!(silent.rest(), "", "closed, not reset");
}

#[test]
fn an_idle_connection_does_not_keep_it_awake_and_is_closed_cleanly() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut idle: Vec<_> = (0..20).map(|_| connect(web)).collect();
    for client in &mut idle {
        assert_eq!(client.get("/").text(), "ok");
    }
    daemon.asleep();
    for client in &mut idle {
        assert_eq!(client.rest(), "");
    }
}

#[test]
fn noise_does_not_restart_the_clock_but_is_answered() {
    let mut unit = Unit::new().set("AFTER", 60_000).set("MIN_AWAKE", 100);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    assert_eq!(connect(web).get("/noise").text(), "noise");
    let log = daemon.asleep(); // 100 ms after it was ready, not a minute after the noise
    assert!(log.contains("served 0 requests, 1 not counted"), "{log}");
}

#[test]
fn a_request_holds_however_long_it_takes() {
    let mut unit = Unit::new().set("AFTER", 1);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let mut daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("GET /gate?{} HTTP/1.1\r\nHost: test\r\n\r\n", gate.query()));
    let waiting = gate.arrived();
    daemon.hear("STATUS=awake: 1 request"); // said by the keeper, a tick after the quiet would have been over
    assert!(daemon.is_running());
    waiting.open();
    assert_eq!(client.answer().text(), "passed");
    daemon.asleep();
}

#[test]
fn an_answers_body_holds_to_its_last_byte() {
    let mut unit = Unit::new().set("AFTER", 1);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let mut daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("GET /stream?{} HTTP/1.1\r\nHost: test\r\n\r\n", gate.query()));
    let waiting = gate.arrived();
    daemon.hear("STATUS=awake: 1 request");
    assert!(daemon.is_running());
    waiting.open();
    assert_eq!(client.answer().text(), "first last");
    daemon.asleep();
}

#[test]
fn a_head_that_has_begun_holds() {
    let mut unit = Unit::new().set("AFTER", 1);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    let mut client = connect(web);
    assert_eq!(client.get("/").text(), "ok");
    client.send("GET / HT");
    daemon.hear("STATUS=awake: 1 connection with no request yet");
    client.send("TP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.answer().text(), "ok");
    daemon.asleep();
}

#[test]
fn an_upgraded_connection_holds_until_it_closes() {
    let mut unit = Unit::new().set("AFTER", 1);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    let mut client = connect(web);
    client.send("GET /upgrade HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly ");
    assert_eq!(client.answer().status(), 101);
    daemon.hear("STATUS=awake: 1 upgraded connection");
    client.send("late");
    client.0.shutdown(Shutdown::Write).expect("open");
    assert_eq!(client.rest(), "early late");
    daemon.asleep();
}

#[test]
fn a_client_that_resets_lets_go() {
    let mut unit = Unit::new().set("AFTER", 50);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("GET /gate?{} HTTP/1.1\r\nHost: test\r\n\r\n", gate.query()));
    let mut waiting = gate.arrived();
    reset(client.0);
    assert_eq!(waiting.line(), "", "the handler is dropped");
    daemon.asleep();
}

#[test]
fn a_half_close_is_told_and_answered() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("GET /gone?{} HTTP/1.1\r\nHost: test\r\n\r\n", gate.query()));
    let mut waiting = gate.arrived();
    client.0.shutdown(Shutdown::Write).expect("open");
    assert_eq!(waiting.line(), "gone\n");
    waiting.open();
    assert_eq!(client.answer().text(), "gone", "a client may wait for its answer after its FIN");
    daemon.asleep();
}

#[test]
fn a_flush_that_hangs_is_not_waited_for_long() {
    let mut unit = Unit::new().set("FLUSH", 120_000);
    let _web = unit.tcp("127.0.0.1:0", "web");
    unit.wake().asleep();
}

/// `name` of what the fixture counts.
fn counter(text: &str, name: &str) -> u128 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("it is counted");
    line.trim().parse().expect("a number")
}

#[test]
fn the_clock_restarts_at_requests_and_not_at_probes() {
    let mut unit = Unit::new().set("AFTER", 60_000).set("MIN_AWAKE", 0);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut client = connect(web);
    client.ask("/");
    let daemon = unit.wake();
    assert_eq!(client.answer().text(), "ok");
    // Probes, on the same connection and on others, see it run down.
    let mut asleep_in = u128::MAX;
    for round in 0..10 {
        let mut other = connect(web);
        let probe = if round % 2 == 0 { &mut client } else { &mut other };
        assert_eq!(probe.get("/noise").text(), "noise");
        let left = counter(probe.get("/counters").text(), "asleep_in");
        assert!(left < asleep_in, "a probe restarted the clock: {left} after {asleep_in}");
        asleep_in = left;
    }
    // One request on the connection that was there already, and it begins anew.
    let rises = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20)); // more than the way of one request, on some try
        let before = counter(client.get("/counters").text(), "asleep_in");
        assert_eq!(client.get("/").text(), "ok");
        counter(client.get("/counters").text(), "asleep_in") > before
    });
    assert!(rises, "a request does not restart the clock");
    daemon.signal(libc::SIGTERM);
}

#[test]
fn requests_that_come_more_often_than_its_window_keep_it_awake() {
    let mut unit = Unit::new().set("AFTER", 1_500).set("MIN_AWAKE", 0);
    let webs = [unit.tcp("127.0.0.1:0", "fresh"), unit.tcp("127.0.0.1:0", "kept")];
    for (web, is_kept) in webs.into_iter().zip([false, true]) {
        let mut client = connect(web);
        client.ask("/");
        let daemon = unit.start();
        assert_eq!(client.answer().text(), "ok");
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(250)); // six in a window; three windows in all
            if !is_kept {
                client = connect(web);
            }
            assert_eq!(client.get("/").text(), "ok");
        }
        drop(client);
        let log = daemon.asleep();
        assert!(log.contains("served 21 requests"), "{log}");
    }
}

#[test]
fn work_left_behind_holds_and_lets_go_even_if_it_panics() {
    for panics in [false, true] {
        let mut unit = Unit::new().set("AFTER", 1).set("MIN_AWAKE", 0);
        let web = unit.tcp("127.0.0.1:0", "web");
        let gate = Gate::new(&unit.folder, "gate");
        let mut client = connect(web);
        client.ask(&format!("/work?{}&panics={panics}", gate.query()));
        let mut daemon = unit.wake();
        let working = gate.arrived();
        assert_eq!(client.answer().text(), "left");
        daemon.hear("STATUS=awake");
        assert!(daemon.is_running());
        working.open();
        daemon.asleep();
    }
}

#[test]
fn clients_that_give_up_leave_no_count_behind() {
    let mut unit = Unit::new().set("AFTER", 1).set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let mut daemon = unit.wake();
    let in_a_handler = format!("GET /gate?{} HTTP/1.1\r\nHost: a\r\n\r\n", gate.query());
    let begun = [
        in_a_handler.as_str(),
        "GET /crumbs/1000000000 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /big/1000000000 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT",
        "P",
        "",
    ];
    let mut at_gate = Vec::new();
    for round in 0..30 {
        daemon.listen_in();
        for (kind, begun) in begun.iter().enumerate() {
            let mut client = connect(web);
            client.send(begun);
            if kind == 0 {
                at_gate.push(gate.arrived());
            } else if round % 3 == 0 && begun.ends_with("\r\n\r\n") {
                let _ = client.0.read(&mut [0; 100]).expect("some of the answer");
            }
            if round % 2 == 0 { reset(client.0) } else { drop(client) }
        }
        for stream in [1, 3] {
            let mut client = wire::open(web);
            let request = wire::frame(wire::HEADERS, 5, stream, &wire::get("/crumbs/1000000000"));
            client.write_all(&request).expect("taken");
            let _ = wire::until(&mut client, wire::HEADERS);
            reset(client);
        }
    }
    // A FIN alone may be a half-close: those handlers are answered, to nobody.
    at_gate.into_iter().skip(1).step_by(2).for_each(|handler| handler.open());
    let mut asking = connect(web);
    let patience = Instant::now() + PATIENCE;
    loop {
        daemon.listen_in();
        let counters = asking.get("/counters");
        let others = ["new", "busy", "idle", "lingering", "tunnels", "in_flight"];
        let others = others.map(|name| counter(counters.text(), name));
        if others == [0, 1, 0, 0, 0, 1] {
            break; // the one who asks
        }
        assert!(Instant::now() < patience, "left behind: {}", counters.text());
    }
    drop(asking);
    daemon.signal(libc::SIGTERM);
    let (status, log) = daemon.left();
    assert!(status.code() == Some(0) && !log.contains("overdue"), "{log}");
}

#[test]
fn a_timer_that_is_due_after_a_suspend_looks_again() {
    let mut unit = Unit::new().set("AFTER", 500).set("MIN_AWAKE", 0);
    let web = unit.tcp("127.0.0.1:0", "web");
    for _ in 0..5 {
        let mut client = connect(web);
        client.ask("/");
        let mut daemon = unit.wake();
        assert_eq!(client.answer().text(), "ok");
        daemon.freeze();
        std::thread::sleep(Duration::from_millis(550)); // its timer is due
        let mut fresh = connect(web);
        client.ask("/");
        fresh.ask("/");
        daemon.thaw();
        assert_eq!((client.answer().text(), fresh.answer().text()), ("ok", "ok"));
        assert!(!daemon.has_said("STOPPING=1"));
        let log = daemon.asleep();
        assert!(log.contains("served 3 requests"), "{log}");
    }
}

#[test]
fn a_wall_clock_that_jumps_matters_to_nobody() {
    // A shim in front of libc moves the time of day by a year, there and back, each time somebody looks.
    const SHIM: &str = "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <time.h>\n\
        int clock_gettime(clockid_t clock, struct timespec *now) {\n\
          static int looks; static int (*real)(clockid_t, struct timespec *);\n\
          if (!real) real = dlsym(RTLD_NEXT, \"clock_gettime\");\n\
          int result = real(clock, now);\n\
          if (clock == CLOCK_REALTIME) now->tv_sec += ++looks % 2 ? 31536000 : -31536000;\n\
          return result; }\n";
    let mut unit = Unit::new().set("AFTER", 300).set("MIN_AWAKE", 0);
    let (source, library) = (unit.folder.join("jumps.c"), unit.folder.join("jumps.so"));
    std::fs::write(&source, SHIM).expect("written");
    let cc =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").status();
    assert!(cc.expect("a C compiler, which links Rust too").success());
    unit = unit.env("LD_PRELOAD", &library.to_string_lossy());
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut client = connect(web);
    client.ask("/");
    let daemon = unit.wake();
    let date =
        client.answer().header("date").map(httpdate::parse_http_date).expect("a date").expect("a date");
    let now = std::time::SystemTime::now();
    let off = now.duration_since(date).unwrap_or_else(|ahead| ahead.duration());
    assert!(off > Duration::from_secs(300 * 86_400), "the shim is in front: {off:?}");
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "ok");
    }
    let log = daemon.asleep();
    assert!(log.contains("served 4 requests"), "{log}");
    assert_eq!(client.rest(), "");
}

#[test]
fn a_client_that_gave_up_in_the_queue_costs_a_wake_and_no_more() {
    let mut unit = Unit::new().set("MIN_AWAKE", 0).set("FIRST_BYTE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let path = unit.unix("local");
    reset(connect(web).0);
    drop(connect(web));
    let mut asked = connect(web);
    asked.ask("/noise");
    reset(asked.0);
    drop(UnixStream::connect(&path).expect("it listens"));
    let log = unit.wake().asleep(); // not after a minute
    assert!(log.contains("awake: woken by 127.0.0.1:") && log.contains("served 0 requests"), "{log}");
}

#[test]
fn pings_and_settings_are_no_activity() {
    let mut unit = Unit::new().set("AFTER", 300).set("MIN_AWAKE", 0);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut chatty = wire::open(web);
    chatty.write_all(&wire::frame(wire::HEADERS, 5, 1, &wire::get("/"))).expect("taken");
    let daemon = unit.wake();
    assert_eq!(wire::answer(&mut chatty, 1), "ok");
    let mut writer = chatty.try_clone().expect("a descriptor");
    let chat = [wire::frame(wire::PING, 0, 0, b"are you "), wire::frame(wire::SETTINGS, 0, 0, b"")].concat();
    let talk = std::thread::spawn(move || {
        while writer.write_all(&chat).is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let goaway = wire::until(&mut chatty, wire::GOAWAY);
    assert_eq!(wire::last_stream(&goaway), 0x7fff_ffff);
    let ping = wire::until(&mut chatty, wire::PING);
    chatty.write_all(&wire::frame(wire::PING, wire::ACK, 0, &ping.payload)).expect("taken");
    let log = daemon.asleep();
    assert!(log.contains("served 1 request"), "{log}");
    talk.join().expect("no panic");
}

#[test]
fn a_window_of_nothing_or_rubbish_is_refused() {
    let unit = Unit::new();
    let file = unit.folder.join("dormouse.toml");
    let dormouse = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_dormouse")).args(arguments).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    for after in ["0s", "0", "soon", "-1s", ""] {
        std::fs::write(&file, format!("[sleep]\nafter = {after:?}\n")).expect("written");
        let (code, text) = dormouse(&["check", "--config", &file.to_string_lossy()]);
        assert_eq!(code, Some(78), "{after:?}: {text}");
        assert!(text.contains("2:9") && text.contains("after"), "{after:?}: {text}");
        let (code, text) = dormouse(&["serve", "--listen", "127.0.0.1:0", &format!("--sleep-after={after}")]);
        assert_eq!(code, Some(64), "{after:?}: {text}");
        assert!(text.contains("--sleep-after"), "{after:?}: {text}");
    }
}

#[test]
fn a_request_whose_client_left_restarts_the_clock_too() {
    let mut unit = Unit::new().set("AFTER", 60_000).set("MIN_AWAKE", 0);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let mut client = connect(web);
    client.send(format!("GET /gate?{} HTTP/1.1\r\nHost: test\r\n\r\n", gate.query()));
    let mut daemon = unit.start();
    let mut waiting = gate.arrived();
    reset(client.0);
    assert_eq!(waiting.line(), "", "the handler is dropped");
    daemon.hear("STATUS=quiet since");
    daemon.signal(libc::SIGTERM);
    assert_eq!(daemon.left().0.code(), Some(0));
}

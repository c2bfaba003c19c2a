//! Falling asleep, and everything that must not be left.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::harness::{Gate, Unit, connect};

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
    // A close with nothing left to linger for is a reset (socket(7), SO_LINGER).
    rustix::net::sockopt::set_socket_linger(&client.0, Some(Duration::ZERO)).expect("an option");
    drop(client);
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

#[test]
fn nothing_is_lost_at_the_sleep_edge() {
    // Pauses that aim at the instant of falling asleep; whichever side they fall on, the outcome is one of two: the
    // answer, or a clean end with nothing answered, and never for a fresh connection.
    let mut unit = Unit::new().set("AFTER", 20).set("GRACE", 20).set("MIN_AWAKE", 0);
    let web = unit.tcp("127.0.0.1:0", "web");
    let (mut awake, mut asleep) = (0, 0);
    for round in 0..80 {
        let mut reused = connect(web);
        reused.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        let daemon = unit.start();
        assert_eq!(reused.answer().text(), "ok");
        std::thread::sleep(Duration::from_micros(15_000 + round * 500));
        let mut fresh = connect(web);
        fresh.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        let sent = reused.0.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        let _ = reused.0.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let read = reused.0.read_to_end(&mut rest);
        let is_answered = rest.starts_with(b"HTTP/1.1 200");
        assert!(is_answered || rest.is_empty(), "half an answer: {}", String::from_utf8_lossy(&rest));
        if is_answered {
            assert!(sent.is_ok() && read.is_ok());
        }
        daemon.asleep();
        let served = try_answer(&mut fresh.0);
        if served.is_empty() {
            // It came after the last sweep: it waits in the socket for the next process.
            let next = unit.start();
            assert_eq!(fresh.answer().text(), "ok");
            drop(fresh);
            next.asleep();
            asleep += 1;
        } else {
            assert!(served.starts_with(b"HTTP/1.1 200"));
            awake += 1;
        }
    }
    assert!(awake > 0 && asleep > 0, "the pauses did not meet the edge: {awake} awake, {asleep} asleep");
}

/// What has come on a connection by now.
fn try_answer(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_nonblocking(true).expect("an option");
    let mut buffer = vec![0; 4096];
    let len = stream.read(&mut buffer).unwrap_or(0);
    buffer.truncate(len);
    stream.set_nonblocking(false).expect("an option");
    buffer
}

//! Falling asleep, and everything that must not be left.

use std::net::Shutdown;

use crate::harness::{Gate, Unit, connect, reset};

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

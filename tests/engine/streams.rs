//! Streams and upgraded connections: what they are to the sleep, and how they hear that it is time to end.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::{AtGate, Client, Gate, Unit, connect};
use crate::{http2, wire};

const UPGRADE: &str = "Host: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

/// Opens a stream of events under a policy, with the gate that feeds it.
fn events(web: SocketAddr, gate: &Gate, policy: &str) -> (Client<TcpStream>, AtGate) {
    let mut client = connect(web);
    let query = gate.query();
    client.send(format!("GET /events?{query}&policy={policy} HTTP/1.1\r\nHost: test\r\n\r\n"));
    assert_eq!(client.head().status(), 200);
    (client, gate.arrived())
}

fn event(client: &mut Client<TcpStream>) -> String {
    String::from_utf8(client.chunk()).expect("text")
}

fn upgraded(web: SocketAddr, policy: &str) -> Client<TcpStream> {
    let mut client = connect(web);
    client.send(format!("GET /upgrade?policy={policy} HTTP/1.1\r\n{UPGRADE}"));
    assert_eq!(client.head().status(), 101);
    client
}

/// Goes on for several times the sleep time of 1 s.
fn for_a_while(mut step: impl FnMut(usize)) {
    let began = Instant::now();
    for number in 0.. {
        step(number);
        if began.elapsed() > Duration::from_millis(2500) {
            return;
        }
    }
}

#[test]
fn a_stream_holds_by_default_and_ends_with_its_writer() {
    let mut unit = Unit::new().set("AFTER", 1);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let mut daemon = unit.wake();
    let (mut client, mut feed) = events(web, &gate, "true");
    daemon.hear("STATUS=awake: 1 request");
    feed.say("one");
    assert_eq!(event(&mut client), "data: one\n\n");
    drop(feed);
    assert_eq!(event(&mut client), "", "a clean end");
    daemon.asleep();
}

#[test]
fn a_stream_that_may_be_slept_over_is_asked_to_end() {
    let mut unit = Unit::new().set("AFTER", 1);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let (mut client, mut feed) = events(web, &gate, "false");
    assert_eq!(event(&mut client), "data: bye\n\n");
    assert_eq!((event(&mut client), client.rest()), (String::new(), String::new()), "a clean end");
    assert_eq!(feed.line(), "", "nobody listens to it any more");
    let story = daemon.asleep();
    assert!(story.contains("1 not counted"), "{story}");
}

#[test]
fn a_stream_lasts_while_its_bytes_move() {
    let mut unit = Unit::new().set("AFTER", 1000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let mut daemon = unit.wake();
    let (mut client, mut feed) = events(web, &gate, "while-active");
    for_a_while(|number| {
        feed.say(&number.to_string());
        assert_eq!(event(&mut client), format!("data: {number}\n\n"));
    });
    assert!(daemon.is_running());
    assert_eq!(event(&mut client), "data: bye\n\n");
    assert_eq!(event(&mut client), "", "a clean end");
    daemon.asleep();
}

#[test]
fn a_connection_is_reused_after_a_stream_that_was_not_held_for() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let second = Gate::new(&unit.folder, "second");
    let mut daemon = unit.wake();
    let (mut client, feed) = events(web, &gate, "false");
    // Sent ahead: its turn comes when the stream ends, and then it is held for.
    client.send(format!("GET /gate?{} HTTP/1.1\r\nHost: test\r\n\r\n", second.query()));
    drop(feed);
    assert_eq!(event(&mut client), "");
    let waiting = second.arrived();
    daemon.hear("STATUS=awake: 1 request");
    waiting.open();
    assert_eq!(client.answer().text(), "passed");
}

#[test]
fn an_upgraded_connection_that_may_be_slept_over_is_asked_to_end() {
    let mut unit = Unit::new().set("AFTER", 1);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = upgraded(web, "false");
    assert_eq!(client.rest(), "bye");
    drop(client);
    let story = daemon.asleep();
    assert!(story.contains("1 not counted"), "{story}");
}

#[test]
fn an_upgraded_connection_lasts_while_its_bytes_move() {
    let mut unit = Unit::new().set("AFTER", 1000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    let mut client = upgraded(web, "while-active");
    for_a_while(|_| {
        client.send("x");
        let mut back = [0];
        std::io::Read::read_exact(&mut client.0, &mut back).expect("an echo");
    });
    assert!(daemon.is_running());
    assert_eq!(client.rest(), "bye");
    drop(client);
    daemon.asleep();
}

#[test]
fn a_drain_asks_streams_and_upgraded_connections_to_end() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let (mut stream, _feed) = events(web, &gate, "true");
    let mut upgraded = upgraded(web, "true");
    daemon.signal(libc::SIGTERM);
    assert_eq!((event(&mut stream), event(&mut stream)), ("data: bye\n\n".into(), String::new()));
    assert_eq!(upgraded.rest(), "bye");
    drop((stream, upgraded));
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("cut"), "{log}");
}

#[test]
fn http2_streams_that_may_be_slept_over_are_asked_to_end_once_nothing_else_holds() {
    let mut unit = Unit::new().set("AFTER", 1);
    let web = unit.tcp("127.0.0.1:0", "web");
    let (feeding, holding) = (Gate::new(&unit.folder, "feeding"), Gate::new(&unit.folder, "holding"));
    let (feeding, holding) = (Arc::new(feeding), Arc::new(holding));
    let mut daemon = unit.wake();
    http2::block_on(async {
        let (handle, connection) = http2::connect(web).await;
        let connection = tokio::spawn(connection);
        let held = tokio::spawn({
            let (handle, target) = (handle.clone(), format!("/gate?{}", holding.query()));
            async move { http2::get(&handle, &target).await }
        });
        let waiting = holding.arrived_async().await;
        let events = format!("/events?{}&policy=while-active", feeding.query());
        let events = tokio::spawn(async move { http2::get(&handle, &events).await });
        let mut feed = feeding.arrived_async().await;
        feed.say("one");
        daemon.hear("STATUS=awake: 2 requests");
        assert!(!events.is_finished());
        waiting.open();
        assert_eq!(held.await.expect("no panic").expect("served"), "passed");
        assert_eq!(events.await.expect("no panic").expect("served"), "data: one\n\ndata: bye\n\n");
        connection.await.expect("no panic").expect("a clean end");
    });
    daemon.asleep();
}

#[test]
fn an_http2_request_that_comes_with_the_reset_of_such_a_stream_is_held_for() {
    let mut unit = Unit::new().set("AFTER", 1);
    let web = unit.tcp("127.0.0.1:0", "web");
    let (feeding, holding) = (Gate::new(&unit.folder, "feeding"), Gate::new(&unit.folder, "holding"));
    let mut daemon = unit.wake();
    let mut client = wire::open(web);
    let events = wire::get(&format!("/events?{}&policy=while-active", feeding.query()));
    client.write_all(&wire::frame(wire::HEADERS, 5, 1, &events)).expect("taken");
    let _feed = feeding.arrived();
    // RST_STREAM (RFC 9113 section 6.4) with CANCEL.
    let mut both = wire::frame(3, 0, 1, &8u32.to_be_bytes());
    both.extend(wire::frame(wire::HEADERS, 5, 3, &wire::get(&format!("/gate?{}", holding.query()))));
    client.write_all(&both).expect("taken");
    let waiting = holding.arrived();
    daemon.hear("STATUS=awake: 1 request");
    waiting.open();
    assert_eq!(wire::answer(&mut client, 3), "passed");
    drop(client);
    daemon.asleep();
}

//! Streams and upgraded connections of an app: what they are to its sleep, and to dormouse's.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use super::{SLOW, Wiki, gone, is_alive};
use crate::harness::Client;
use crate::upstream::QUICK;

/// A close frame with 1001, and what it is given back as.
const GOODBYE: &[u8] = b"\x88\x02\x03\xe9";

/// A connection that is no HTTP any more, on which the app gives back what it gets.
fn upgraded(wiki: &Wiki, path: &str) -> Client<TcpStream> {
    let mut client = wiki.client();
    client.send(format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    ));
    assert_eq!(client.head().status(), 101);
    client
}

/// The events' sender.
fn events(wiki: &Wiki, path: &str) -> (Client<TcpStream>, i32) {
    let mut client = wiki.client();
    client.ask(path);
    assert_eq!(client.head().status(), 200);
    let event = String::from_utf8(client.chunk()).expect("text");
    let pid = event.lines().next().and_then(|line| line.strip_prefix("data: ")).expect("an event");
    (client, pid.parse().expect("a pid"))
}

fn echoes(client: &mut Client<TcpStream>) {
    client.send(b"\x81\x80\0\0\0\0"); // a whole empty text frame
    client.0.read_exact(&mut [0; 6]).expect("it comes back");
}

#[test]
fn an_upgraded_connection_wakes_it_and_keeps_it_up() {
    let wiki = Wiki::new(QUICK, "sleep_after = \"200ms\"");
    let mut daemon = wiki.wake();
    let mut client = upgraded(&wiki, "/upgrade");
    std::thread::sleep(Duration::from_millis(1800)); // longer than either's quiet
    echoes(&mut client);
    assert!(daemon.is_running());
    drop(client);
    daemon.asleep();
}

#[test]
fn a_drain_says_goodbye_before_it_is_stopped() {
    let wiki = Wiki::new(SLOW, "");
    let daemon = wiki.wake();
    let (pid, _) = wiki.ask();
    let mut client = upgraded(&wiki, "/upgrade");
    echoes(&mut client);
    daemon.signal(libc::SIGTERM);
    let mut rest = Vec::new();
    client.0.read_to_end(&mut rest).expect("an end, not a reset");
    assert_eq!(rest, GOODBYE);
    daemon.asleep();
    assert!(!is_alive(pid));
}

#[test]
fn one_that_does_not_hold_it_is_told_when_it_sleeps() {
    let wiki = Wiki::new(SLOW, "sleep_after = \"500ms\"");
    let _daemon = wiki.wake();
    let (pid, _) = wiki.ask();
    let mut client = upgraded(&wiki, "/quiet/upgrade");
    let mut rest = Vec::new();
    client.0.read_to_end(&mut rest).expect("an end, not a reset");
    assert_eq!(rest, GOODBYE);
    gone(pid);
}

#[test]
fn events_keep_it_up() {
    let wiki = Wiki::new(QUICK, "sleep_after = \"200ms\"");
    let daemon = wiki.wake();
    let (mut client, pid) = events(&wiki, "/events");
    for _ in 0..20 {
        assert!(client.chunk().starts_with(b"data: "));
    }
    assert!(is_alive(pid));
    drop(client);
    daemon.asleep();
    assert!(!is_alive(pid));
}

#[test]
fn events_that_do_not_hold_it_end_when_it_sleeps() {
    let wiki = Wiki::new(SLOW, "sleep_after = \"500ms\"");
    let _daemon = wiki.wake();
    let (mut client, pid) = events(&wiki, "/quiet/events");
    // Between two events, in order.
    while !client.chunk().is_empty() {}
    gone(pid);
}

//! Clients that leave: their requests are cancelled at the upstream at once, unless they are to be finished.

use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{Client, connect, reset};
use crate::upstream::{OK, Upstream};

/// Far below every limit.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The client ends, by a reset or by closing its side, and with it at once the request upstream.
fn leave(client: Client<TcpStream>, resets: bool, connection: &mut Client<TcpStream>) {
    let begun = Instant::now();
    // One that has only closed its side is still there.
    let _still_there = if resets {
        reset(client.0);
        None
    } else {
        client.0.shutdown(Shutdown::Write).expect("it is open");
        Some(client)
    };
    connection.end();
    assert!(begun.elapsed() < AT_ONCE);
}

#[test]
fn a_client_that_ends_before_its_answer_cancels_it() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    for resets in [false, true] {
        let mut client = connect(site.web);
        client.ask("/");
        let (mut connection, _) = upstream.asked();
        leave(client, resets, &mut connection);
    }
}

#[test]
fn a_client_that_ends_during_its_answer_cancels_it() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    for resets in [false, true] {
        let mut client = connect(site.web);
        client.ask("/");
        let (mut connection, _) = upstream.asked();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        client.head();
        assert_eq!(client.chunk(), b"one");
        leave(client, resets, &mut connection);
    }
}

#[test]
fn a_client_that_ends_during_its_upload_cancels_it() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    for resets in [false, true] {
        let mut client = connect(site.web);
        client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\npart");
        let (mut connection, _) = upstream.asked();
        connection.expect("part");
        leave(client, resets, &mut connection);
    }
}

#[test]
fn what_is_to_be_finished_is_finished() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("on_disconnect = \"finish\"");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    client.0.shutdown(Shutdown::Write).expect("it is open");
    // Another request on the way sees to it that the end has been read before the answer.
    assert_eq!(connect(site.web).get("/hello").text(), "hello");
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    client.head();
    assert_eq!(client.chunk(), b"one");
    connection.send("3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(client.chunk(), b"two");
    assert_eq!(client.chunk(), b"");
    assert_eq!(client.rest(), "");
}

#[test]
fn a_reset_cancels_also_what_is_to_be_finished() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("on_disconnect = \"finish\"");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    reset(client.0);
    connection.end();
}

#[test]
fn a_request_that_was_cancelled_does_not_keep_it_awake() {
    let upstream = Upstream::new();
    let site = crate::site::Site::new(&format!("{}{}", crate::upstream::QUICK, upstream.route("")));
    let daemon = site.wake();
    let mut client: Client<_> = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
    client.ask("/");
    connection.head();
    drop(client);
    connection.end();
    daemon.asleep();
}

//! Connections to upstreams: kept, used again, repeated where that is safe, and taken in turn.

use std::time::{Duration, Instant};

use crate::harness::connect;
use crate::upstream::{OK, Upstream, start};

#[test]
fn one_connection_serves_one_request_after_the_other() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let mut connection = None;
    for answer in [
        OK,
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno",
        OK,
    ] {
        client.ask("/");
        let connection = connection.get_or_insert_with(|| upstream.accept());
        connection.head();
        connection.send(answer);
        client.answer();
        // Of another client, too.
        client = connect(site.web);
    }
    client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    let mut connection = connection.expect("it was asked");
    connection.head();
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
    client.head();
    client.ask("/");
    connection.head();
    connection.send(OK);
    client.answer();
    upstream.is_left_alone();
}

#[test]
fn what_the_upstream_wants_closed_is_not_used_again() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    for _ in 0..2 {
        client.ask("/");
        let (mut connection, _) = upstream.asked();
        connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(client.answer().text(), "ok");
        connection.end();
    }
}

#[test]
fn a_connection_closed_meanwhile_costs_no_request() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    for method in ["GET", "POST", "POST", "GET", "GET"] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"));
        let (mut connection, _) = upstream.asked();
        connection.send(OK);
        assert_eq!(client.answer().text(), "ok");
        drop(connection); // seen before the next request is written
    }
}

/// A request on a connection that was used before, and is closed when the request has come.
fn closed_on(request: &str, again: bool) {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.ask("/first");
    let (mut connection, _) = upstream.asked();
    connection.send(OK);
    client.answer();
    client.send(request);
    connection.head();
    if request.ends_with("hello") {
        connection.expect("hello");
    }
    drop(connection);
    if again {
        let (mut connection, asked) = upstream.asked();
        assert_eq!(asked.line(), request.lines().next().expect("a line"));
        connection.send(OK);
        assert_eq!(client.answer().text(), "ok");
    } else {
        assert_eq!(client.answer().status(), 502);
        upstream.is_left_alone();
    }
}

#[test]
fn what_may_be_asked_twice_is_asked_again() {
    closed_on("GET /again HTTP/1.1\r\nHost: test\r\n\r\n", true);
    closed_on("DELETE /again HTTP/1.1\r\nHost: test\r\n\r\n", true);
}

#[test]
fn what_may_not_be_asked_twice_is_not() {
    closed_on("POST /once HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n", false);
    closed_on("POST /once HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", false);
    closed_on("PUT /once HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", false);
}

#[test]
fn a_request_is_asked_again_once_and_no_more() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    connection.send(OK);
    client.answer();
    client.ask("/");
    connection.head();
    drop(connection);
    drop(upstream.asked());
    assert_eq!(client.answer().status(), 502);
    upstream.is_left_alone();
}

#[test]
fn several_are_asked_in_turn() {
    let upstreams = [Upstream::new(), Upstream::new()];
    let [a, b] = upstreams.each_ref().map(Upstream::url);
    let (site, _daemon) = start(&format!("[[route]]\npath = \"/\"\nproxy = [\"{a}\", \"{b}\"]\n"));
    let mut client = connect(site.web);
    let mut connections = [None, None];
    for turn in 0..4 {
        client.ask("/");
        let upstream = &upstreams[turn % 2];
        let connection = connections[turn % 2].get_or_insert_with(|| upstream.accept());
        connection.head();
        connection.send(OK);
        assert_eq!(client.answer().text(), "ok");
    }
}

#[test]
fn one_that_is_down_is_passed_over() {
    let (dead, alive) = (Upstream::new(), Upstream::new());
    let urls = [dead.url(), alive.url()];
    drop(dead);
    let (site, _daemon) =
        start(&format!("[[route]]\npath = \"/\"\nproxy = [\"{}\", \"{}\"]\n", urls[0], urls[1]));
    let mut client = connect(site.web);
    let mut connection = None;
    for request in
        ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"]
            .into_iter()
            .cycle()
            .take(6)
    {
        client.send(request);
        let connection = connection.get_or_insert_with(|| alive.accept());
        connection.head();
        if request.ends_with("hello") {
            connection.expect("hello");
        }
        connection.send(OK);
        assert_eq!(client.answer().text(), "ok");
    }
}

#[test]
fn no_more_connections_than_may_be() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("connections = 1");
    let (mut first, mut second) = (connect(site.web), connect(site.web));
    first.ask("/first");
    let (mut connection, asked) = upstream.asked();
    assert_eq!(asked.line(), "GET /first HTTP/1.1");
    second.ask("/second");
    // The same client thread sees to it that the second has been read: a third on the way would be behind it.
    assert_eq!(connect(site.web).get("/hello").text(), "hello");
    upstream.is_left_alone();
    connection.send(OK);
    assert_eq!(first.answer().text(), "ok");
    assert_eq!(connection.head().line(), "GET /second HTTP/1.1");
    connection.send(OK);
    assert_eq!(second.answer().text(), "ok");
    upstream.is_left_alone();
}

#[test]
fn an_upstream_with_a_rate_is_asked_no_more_often() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("rate = \"1/300ms\"");
    let begun = Instant::now();
    let mut clients: Vec<_> = (0..3).map(|_| connect(site.web)).collect();
    clients.iter_mut().for_each(|client| client.ask("/"));
    for turn in 0..3 {
        let (mut connection, _) = upstream.asked();
        assert!(begun.elapsed() >= Duration::from_millis(300) * turn, "too early");
        connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    }
    clients.iter_mut().for_each(|client| assert_eq!(client.answer().text(), "ok"));
}

#[test]
fn what_one_upstream_was_to_be_told_is_told_another_in_its_own_way() {
    let upstream = Upstream::new();
    let gone = Upstream::new();
    let first = gone.url().replace("http:", "h2c:");
    drop(gone);
    let config = format!("[[route]]\npath = \"/\"\nproxy = [{first:?}, {:?}]\n", upstream.url());
    let (site, _daemon) = start(&config);
    let mut client = connect(site.web);
    client.ask("/a?b");
    let (mut connection, asked) = upstream.asked();
    assert_eq!((asked.line(), asked.header("host")), ("GET /a?b HTTP/1.1", Some("test")));
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn one_that_does_not_answer_is_passed_over() {
    let (slow, quick) = (Upstream::new(), Upstream::new());
    let config = format!(
        "[[route]]\npath = \"/\"\nproxy = [{:?}, {:?}]\ntimeouts = {{ request = \"200ms\" }}\n",
        slow.url(),
        quick.url()
    );
    let (site, _daemon) = start(&config);
    let mut client = connect(site.web);
    client.ask("/");
    let (_connection, _) = slow.asked();
    assert_eq!(client.answer().status(), 504);
    let mut connection = None;
    for _ in 0..3 {
        client.ask("/");
        let connection = connection.get_or_insert_with(|| quick.accept());
        connection.head();
        connection.send(OK);
        assert_eq!(client.answer().text(), "ok");
    }
    slow.is_left_alone();
}

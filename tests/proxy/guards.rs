//! Limits: how large, and how many at once.

use crate::harness::connect;
use crate::upstream::{OK, Upstream, route, start};

#[test]
fn an_upload_that_says_it_is_too_large_is_413() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("limits = { body = \"10 B\" }");
    let mut client = connect(site.web);
    client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\n");
    assert_eq!(client.answer().status(), 413);
    upstream.is_left_alone();
    let mut client = connect(site.web);
    client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n0123456789");
    let (mut connection, _) = upstream.asked();
    connection.expect("0123456789");
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn an_upload_that_grows_too_large_is_413() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("limits = { body = \"10 B\" }");
    let mut client = connect(site.web);
    client.send("PUT / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n");
    let (mut connection, _) = upstream.asked();
    assert_eq!(connection.chunk(), b"01234567");
    client.send("8\r\n01234567\r\n");
    assert_eq!(client.answer().status(), 413);
    // What came is no whole request.
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut connection.0, &mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("0\r\n\r\n"), "{rest:?}");
}

/// One place and one who may wait for it, as `config` says; `keys` are the route's.
fn one_place_and_one_who_waits(config: &str, keys: &str) {
    let upstream = Upstream::new();
    let (site, _daemon) = start(&format!("{config}{}", route(&upstream.url(), keys)));
    let mut clients: Vec<_> = (0..3).map(|_| connect(site.web)).collect();
    clients[0].ask("/a");
    let (mut connection, _) = upstream.asked();
    clients[1].ask("/b");
    clients[2].ask("/c");
    // Either of them waits; the other is refused.
    let mut fds: Vec<_> = clients[1..]
        .iter()
        .map(|client| rustix::event::PollFd::new(&client.0, rustix::event::PollFlags::IN))
        .collect();
    let patience = rustix::event::Timespec::try_from(crate::harness::PATIENCE).expect("in range");
    assert_eq!(rustix::event::poll(&mut fds, Some(&patience)), Ok(1));
    let refused = if fds[0].revents().is_empty() { 2 } else { 1 };
    let page = clients[refused].answer();
    assert_eq!((page.status(), page.header("retry-after").is_some()), (503, true));
    upstream.is_left_alone();
    connection.send(OK);
    assert_eq!(clients[0].answer().text(), "ok");
    connection.head();
    connection.send(OK);
    assert_eq!(clients[3 - refused].answer().text(), "ok");
    // And all are free again.
    let mut again = connect(site.web);
    again.ask("/d");
    connection.head();
    connection.send(OK);
    assert_eq!(again.answer().text(), "ok");
}

#[test]
fn a_route_has_its_places_and_its_queue() {
    one_place_and_one_who_waits("", "limits = { in_flight = 1, queue = 1 }");
}

#[test]
fn the_server_has_its_places_and_its_queue() {
    one_place_and_one_who_waits("[limits]\nin_flight = 1\nqueue = 1\n", "");
}

#[test]
fn who_waits_too_long_in_the_queue_is_told() {
    let upstream = Upstream::new();
    let keys = "limits = { in_flight = 1, queue = 1 }\ntimeouts = { request = \"400ms\" }";
    let (site, _daemon) = upstream.behind(keys);
    let (mut first, mut second) = (connect(site.web), connect(site.web));
    first.ask("/");
    let (mut connection, _) = upstream.asked();
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    first.head(); // and its body goes on, and has the place
    second.ask("/");
    assert!(matches!(second.answer().status(), 503 | 504));
    upstream.is_left_alone();
    connection.send("0\r\n\r\n");
    assert_eq!(first.chunk(), b"");
}

#[test]
fn who_leaves_the_queue_is_not_passed_on() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("limits = { in_flight = 1, queue = 9 }");
    let (mut first, mut second, mut third) = (connect(site.web), connect(site.web), connect(site.web));
    first.ask("/first");
    let (mut connection, _) = upstream.asked();
    second.ask("/second");
    assert_eq!(third.get("/hello").text(), "hello");
    crate::harness::reset(second.0);
    third.ask("/third");
    assert_eq!(connect(site.web).get("/hello").text(), "hello");
    connection.send(OK);
    assert_eq!(first.answer().text(), "ok");
    assert_eq!(connection.head().line(), "GET /third HTTP/1.1");
    connection.send(OK);
    assert_eq!(third.answer().text(), "ok");
}

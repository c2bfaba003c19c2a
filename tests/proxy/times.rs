//! How long is waited for what: 408, 504, and answers that are cut.

use std::net::TcpListener;
use std::os::fd::AsFd;

use rustix::net::{AddressFamily, SocketType};

use crate::harness::{Client, connect};
use crate::upstream::{OK, Upstream, id, log, route, start};

#[test]
fn an_upstream_that_never_answers_is_504_and_is_asked_no_more() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("timeouts = { request = \"200ms\" }");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    let page = client.answer();
    assert_eq!(page.status(), 504);
    connection.end();
    let log = log(daemon);
    let line = log.lines().find(|line| line.contains(&id(&page))).expect("it is logged");
    assert!(line.contains("504") && line.contains("timeouts.request"), "{line}");
}

#[test]
fn the_servers_times_are_those_of_routes_that_say_nothing() {
    let upstream = Upstream::new();
    let url = upstream.url();
    let config = format!(
        "[timeouts]\nrequest = \"200ms\"\n{}[[route]]\npath = \"/slow\"\nproxy = \"{url}\"\n\
         timeouts = {{ request = \"1h\" }}\n",
        route(&url, "")
    );
    let (site, _daemon) = start(&config);
    let (mut slow, mut quick) = (connect(site.web), connect(site.web));
    slow.ask("/slow");
    let (mut connection, _) = upstream.asked();
    quick.ask("/");
    let (mut other, _) = upstream.asked();
    assert_eq!(quick.answer().status(), 504);
    other.end();
    connection.send(OK);
    assert_eq!(slow.answer().text(), "ok");
}

/// An address that takes no more connections, and says nothing of them; what keeps it so.
fn silent() -> (String, Vec<Box<dyn std::any::Any>>) {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    let any = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0);
    rustix::net::bind(&socket, &any).expect("a free port");
    rustix::net::listen(socket.as_fd(), 0).expect("it listens");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("bound");
    let first = std::net::TcpStream::connect(address).expect("the queue takes one");
    (format!("http://{address}"), vec![Box::new(listener), Box::new(first)])
}

#[test]
fn an_upstream_that_does_not_take_the_connection_is_504() {
    let (url, _kept) = silent();
    let (site, daemon) = start(&route(&url, "timeouts = { connect = \"200ms\" }"));
    let page = connect(site.web).get("/");
    assert_eq!(page.status(), 504);
    let log = log(daemon);
    let line = log.lines().find(|line| line.contains(&id(&page))).expect("it is logged");
    assert!(line.contains("timeouts.connect"), "{line}");
}

#[test]
fn another_one_is_asked_instead() {
    let (url, _kept) = silent();
    let upstream = Upstream::new();
    let config = format!(
        "[timeouts]\nconnect = \"200ms\"\n[[route]]\npath = \"/\"\nproxy = [\"{url}\", \"{}\"]\n",
        upstream.url()
    );
    let (site, _daemon) = start(&config);
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

/// The answer is cut at one of these times, and the upstream told.
fn cut(timeouts: &str, setting: &str) {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind(&format!("timeouts = {timeouts}"));
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
    client.head();
    assert_eq!(client.chunk(), b"part");
    client.end();
    connection.end();
    assert_eq!(connect(site.web).get("/hello").text(), "hello");
    let log = log(daemon);
    assert!(log.contains(setting), "no {setting} in:\n{log}");
}

#[test]
fn an_answer_that_does_not_go_on_is_cut() {
    cut("{ idle = \"200ms\" }", "timeouts.idle");
}

#[test]
fn an_answer_that_takes_too_long_in_all_is_cut() {
    cut("{ total = \"300ms\" }", "timeouts.total");
}

#[test]
fn an_answer_that_has_not_begun_by_its_end_is_504() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("timeouts = { total = \"200ms\" }");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    assert_eq!(client.answer().status(), 504);
    connection.end();
}

#[test]
fn an_upload_that_does_not_go_on_is_408() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("timeouts = { body = \"200ms\", request = \"1h\" }");
    let mut client = connect(site.web);
    client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\npart");
    let (mut connection, _) = upstream.asked();
    connection.expect("part");
    let page = client.answer();
    assert_eq!((page.status(), page.header("connection")), (408, Some("close")));
    connection.end();
    client.end();
}

#[test]
fn time_waited_for_the_client_is_not_the_upstreams() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("timeouts = { request = \"300ms\" }");
    let mut client: Client<_> = connect(site.web);
    client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n");
    let (mut connection, _) = upstream.asked();
    for byte in ["a", "b", "c", "d"] {
        std::thread::sleep(std::time::Duration::from_millis(150)); // together twice the limit
        client.send(byte);
        connection.expect(byte);
    }
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

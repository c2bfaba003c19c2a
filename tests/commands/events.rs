//! `stream = "sse"`: lines as Server-Sent Events.

use std::net::TcpStream;

use crate::harness::Client;
use crate::program::{Stage, gone, sh};
use crate::site::SLOW;

const SSE: &str = "stream = \"sse\"";

/// Reads an event, that is, to the next empty line.
fn event(client: &mut Client<TcpStream>, buffer: &mut String) -> String {
    loop {
        if let Some((event, rest)) = buffer.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            *buffer = rest;
            return event;
        }
        buffer.push_str(&String::from_utf8(client.chunk()).expect("text"));
    }
}

#[test]
fn lines_come_in_order_with_the_exit_at_the_end() {
    let script = "echo one; read x < FOLDER/go; echo two >&2; read x < FOLDER/go; printf three; exit 3";
    let stage = Stage::sh(SSE, script);
    let go = stage.fifo("go");
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.ask("/");
    let head = client.head();
    assert_eq!(
        (head.status(), head.header("content-type"), head.header("cache-control")),
        (200, Some("text/event-stream"), Some("no-store"))
    );
    let mut buffer = String::new();
    assert_eq!(event(&mut client, &mut buffer), "data: one");
    go.say("");
    assert_eq!(event(&mut client, &mut buffer), "event: log\ndata: two");
    go.say("");
    assert_eq!(event(&mut client, &mut buffer), "data: three");
    assert_eq!(event(&mut client, &mut buffer), "event: exit\nid: end\ndata: 3");
    assert_eq!((client.chunk(), buffer), (vec![], String::new()), "it ends in order");
}

#[test]
fn a_client_that_has_seen_the_end_is_told_not_to_come_again() {
    let stage = Stage::sh(SSE, "touch FOLDER/ran");
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: end\r\n\r\n");
    assert_eq!(client.head().status(), 204);
    assert!(!stage.path("ran").exists());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 7\r\n\r\n");
    assert!(client.answer().text().ends_with("event: exit\nid: end\ndata: 0\n\n"));
    assert!(stage.path("ran").exists());
}

#[test]
fn a_client_that_leaves_ends_it() {
    let routes = [
        sh("/silent", SSE, "echo $$ > FOLDER/here; exec sleep 1000"),
        sh("/loud", SSE, "echo $$ > FOLDER/here; exec yes"),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let here = stage.fifo("here");
    let _daemon = stage.wake();
    for target in ["/silent", "/loud"] {
        let mut client = stage.client();
        client.ask(target);
        let pid = here.pid();
        client.head();
        client.0.shutdown(std::net::Shutdown::Write).expect("it is open");
        gone(pid);
    }
}

#[test]
fn all_lines_arrive_however_many_and_however_slow_its_reader() {
    let stage = Stage::sh(SSE, "seq 1 20000");
    let _daemon = stage.wake();
    let answer = stage.get("/");
    let lines: Vec<_> = answer.text().lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let expected: Vec<_> = (1..=20000).chain([0]).map(|number| number.to_string()).collect();
    assert_eq!(lines, expected);
}

#[test]
fn one_that_is_killed_says_so() {
    let stage = Stage::sh(SSE, "kill -9 $$");
    let _daemon = stage.wake();
    assert_eq!(stage.get("/").text(), "event: exit\nid: end\ndata: killed by SIGKILL\n\n");
}

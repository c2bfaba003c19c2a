//! HTTP/1.0 and 1.1 in ordinary and less ordinary use.

use std::io::{Read, Write};
use std::thread;

use crate::harness::{Unit, connect};

#[test]
fn keep_alive_and_its_hint() {
    let mut unit = Unit::new().set("AFTER", 5_000).set("KEEP_ALIVE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    for _ in 0..3 {
        let answer = client.get("/");
        assert_eq!((answer.text(), answer.header("keep-alive")), ("ok", Some("timeout=4")));
    }
    // A request that does not count, on a clock that has just begun: at most what is left of it.
    let noise = connect(web).get("/noise");
    assert!(matches!(noise.header("keep-alive"), Some("timeout=3" | "timeout=4")), "{}", noise.head);
    daemon.signal(libc::SIGTERM);
    drop(client);
    daemon.left();
}

#[test]
fn an_answer_that_promises_nothing_says_close() {
    let mut unit = Unit::new().set("AFTER", 1_500);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    assert_eq!(client.get("/").header("keep-alive"), None);
    let noise = client.get("/noise");
    assert_eq!((noise.text(), noise.header("connection")), ("noise", Some("close")));
    assert_eq!(client.rest(), "");
    drop(client);
    daemon.asleep();
}

#[test]
fn http_1_0_closes_unless_asked() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert!(client.rest().ends_with("\r\n\r\nok"));
    let mut client = connect(web);
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.answer().text(), "ok");
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert!(client.rest().ends_with("\r\n\r\nok"));
    daemon.asleep();
}

#[test]
fn a_hundred_pipelined_requests() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".repeat(100));
    for _ in 0..100 {
        assert_eq!(client.answer().text(), "3");
    }
    drop(client);
    daemon.asleep();
}

#[test]
fn an_early_answer_to_a_large_upload_can_be_read() {
    const UPLOAD: usize = 10 * 1024 * 1024;
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: {UPLOAD}\r\n\r\n"));
    let mut writer = client.0.try_clone().expect("a descriptor");
    let upload = thread::spawn(move || {
        let _ = writer.write_all(&vec![0; UPLOAD]); // it need not take all of it
        let _ = writer.shutdown(std::net::Shutdown::Write);
    });
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text()), (413, "too large"));
    upload.join().expect("no panic");
    drop(client);
    daemon.asleep();
}

#[test]
fn large_bodies_both_ways() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut writer = client.0.try_clone().expect("a descriptor");
    let sent = body.clone();
    let upload = thread::spawn(move || {
        let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", sent.len());
        writer.write_all(head.as_bytes()).expect("taken");
        writer.write_all(&sent).expect("taken");
    });
    assert_eq!(client.answer().body, body);
    upload.join().expect("no panic");
    assert_eq!(client.get("/big/1000000").body.len(), 1_000_000);
    assert_eq!(client.get("/").text(), "ok");
    drop(client);
    daemon.asleep();
}

#[test]
fn expect_100_continue() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status(), 100);
    client.send("abc");
    assert_eq!(client.answer().text(), "3");
    drop(client);
    daemon.asleep();
}

#[test]
fn a_panic_is_a_500_with_an_id_and_nothing_else_suffers() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut other = connect(web);
    assert_eq!(other.get("/").text(), "ok");
    let mut client = connect(web);
    let answer = client.get("/panic");
    assert_eq!(answer.status(), 500);
    let id = answer.text().split_whitespace().last().expect("an id").to_owned();
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(other.get("/").text(), "ok");
    drop((client, other));
    let log = daemon.asleep();
    assert!(log.contains(&id) && log.contains("as asked"), "{log}");
}

#[test]
fn a_head_that_never_ends_is_408_and_lets_go() {
    let mut unit = Unit::new().set("HEAD", 200);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    assert_eq!(client.answer().status(), 408);
    drop(client);
    daemon.asleep();
}

#[test]
fn a_body_that_never_ends_lets_go() {
    let mut unit = Unit::new().set("BODY", 200);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab");
    let mut rest = Vec::new();
    client.0.read_to_end(&mut rest).expect("an end");
    drop(client);
    daemon.asleep();
}

#[test]
fn a_client_that_takes_nothing_lets_go() {
    let mut unit = Unit::new().set("WRITE", 300);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send("GET /big/100000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    daemon.asleep();
}

#[test]
fn an_idle_connection_ends_with_keep_alive() {
    let mut unit = Unit::new().set("MIN_AWAKE", 60_000).set("KEEP_ALIVE", 100);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(client.rest(), "");
    daemon.signal(libc::SIGTERM);
    drop(client);
    daemon.left();
}

#[test]
fn empty_lines_begin_no_request() {
    // RFC 9112 section 2.2. With a request, after it, cut in the middle, and before the first: none of them holds.
    let mut unit = Unit::new().set("HEAD", 60_000).set("KEEP_ALIVE", 60_000).set("FIRST_BYTE", 1_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut clients = [connect(web), connect(web), connect(web)];
    for (client, lines) in clients.iter_mut().zip(["\r\n", "", "\r"]) {
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n\r\n{lines}"));
        assert_eq!(client.answer().text(), "ok");
    }
    for (client, lines) in clients.iter_mut().zip(["\r\n", "\r\n\r\n\r", "\n\r\n"]) {
        client.send(lines);
    }
    let mut alone = connect(web);
    alone.send("\r\n");
    let log = daemon.asleep(); // a minute before a head would have been given up
    assert!(log.contains("served 3 requests, 1 not counted"), "{log}");
    for client in &mut clients {
        assert_eq!(client.rest(), "", "a clean end, no refusal");
    }
    assert_eq!(alone.rest(), "");
}

#[test]
fn a_request_after_empty_lines_is_served() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    let request = "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n";
    for cut in 0..request.len() {
        client.send(&request[..cut]);
        std::thread::yield_now();
        client.send(&request[cut..]);
        assert_eq!(client.answer().text(), "ok", "cut at {cut}");
    }
    for byte in request.bytes() {
        client.send([byte]);
    }
    assert_eq!(client.answer().text(), "ok");
    client.send(request.repeat(20));
    for _ in 0..20 {
        assert_eq!(client.answer().text(), "ok");
    }
    drop(client);
    daemon.asleep();
}

#[test]
fn empty_lines_without_end_are_refused() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    for bytes in ["\r\n".repeat(1_000), "\r\n\n".to_owned(), "\r\n\rGET / HTTP/1.1\r\n".to_owned()] {
        let mut client = connect(web);
        assert_eq!(client.get("/").text(), "ok");
        client.send(&bytes);
        assert_eq!(client.answer().status(), 400, "{bytes:?}");
        assert_eq!(client.rest(), "");
    }
    daemon.asleep();
}

//! What must be refused on the wire, seen from outside.

use crate::harness::{Unit, connect};

#[test]
fn refusals_reach_the_client_and_count_as_noise() {
    let mut unit = Unit::new().set("MIN_AWAKE", 2_000).set("AFTER", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let table = [
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /<> HTTP/1.1\r\nHost: a\r\n\r\n", 400), // hyper's own refusal
        ("nonsense\r\n\r\n", 400),
    ];
    for (request, status) in table {
        let mut client = connect(web);
        client.send(request);
        let answer = client.answer();
        assert_eq!(answer.status(), status, "{request:?}");
        assert_eq!(client.rest(), "", "{request:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(20_000));
    let mut client = connect(web);
    client.send(long);
    assert_eq!(client.answer().status(), 414);
    drop(client);
    let log = daemon.asleep();
    assert!(log.contains("served 0 requests"), "{log}");
}

#[test]
fn a_refusal_comes_after_the_answers_before_it() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /noise HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    );
    assert_eq!(client.answer().text(), "ok");
    assert_eq!(client.answer().text(), "noise");
    assert_eq!(client.answer().status(), 400);
    drop(client);
    daemon.asleep();
}

#[test]
fn a_bad_chunk_is_no_body() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client
        .send("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n");
    assert_eq!(client.answer().status(), 400);
    drop(client);
    daemon.asleep();
}

#[test]
fn a_head_may_come_cut_at_every_byte() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let request =
        "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let mut client = connect(web);
    for cut in 1..request.len() {
        client.send(&request[..cut]);
        std::thread::yield_now(); // nodelay is set: two segments, whether or not they are read as one
        client.send(&request[cut..]);
        assert_eq!(client.answer().text(), "3", "cut at {cut}");
    }
    for byte in request.bytes() {
        client.send([byte]);
    }
    assert_eq!(client.answer().text(), "3");
    drop(client);
    daemon.asleep();
}

#[test]
fn every_connection_without_a_request_is_counted_once() {
    let mut unit = Unit::new().set("HEAD", 200);
    let web = unit.tcp("127.0.0.1:0", "web");
    for opening in [
        "P",                                                    // may become either protocol; ends by the limit
        "G",                                                    // half a head; ends by the limit
        "GET /<> HTTP/1.1\r\nHost: a\r\n\r\n",                  // refused by hyper
        "GET / HTTP/1.1\nHost: a\r\n\r\n",                      // refused by the framing
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", // HTTP/2, and then nothing
    ] {
        let daemon = unit.wake();
        let mut client = connect(web);
        client.send(opening);
        let log = daemon.asleep();
        assert!(log.contains("served 0 requests, 1 not counted"), "{opening:?}: {log}");
    }
    for half in ["P", "GET / HTTP/1.1\r\n"] {
        let daemon = unit.wake();
        drop({
            let mut client = connect(web);
            client.send(half);
            client
        });
        let log = daemon.asleep();
        assert!(log.contains("served 0 requests, 1 not counted"), "{half:?} and gone: {log}");
    }
}

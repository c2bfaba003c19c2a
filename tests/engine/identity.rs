//! On whose behalf a peer asks, who may say so, and what a request knows of its client's going.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;

use dormouse::server::framing::proxy_header::{encode_v2, encode_v2_local};

use crate::harness::{Client, Daemon, Gate, Unit, connect};
use crate::{http2, wire};

const LINE: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
const ASK: &str = "GET /client HTTP/1.1\r\nHost: a\r\n\r\n";

fn version_2() -> Vec<u8> {
    let parse = |text: &str| text.parse().expect("an address");
    encode_v2(parse("[2001:db8::7]:4711"), parse("[2001:db8::1]:443"))
}

/// Awake, and believing its peers on 127.0.0.0/8.
fn trusting(unit: Unit) -> (Unit, SocketAddr, Daemon) {
    let mut unit = unit.env("FIXTURE_TRUST", "127.0.0.0/8");
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    (unit, web, daemon)
}

fn answer_to(web: SocketAddr, header: &[u8]) -> String {
    let mut client = connect(web);
    client.send([header, ASK.as_bytes()].concat());
    let own = client.0.local_addr().expect("connected");
    client.answer().text().replace(&own.to_string(), "peer")
}

#[test]
fn a_trusted_peer_says_who_asks() {
    let (_unit, web, daemon) = trusting(Unit::new());
    let mapped = "PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 443\r\n";
    for (header, client) in [
        (LINE.as_bytes(), "192.0.2.7:4711"),
        (&version_2(), "[2001:db8::7]:4711"),
        (mapped.as_bytes(), "192.0.2.7:4711"),
        (b"", "peer"),
        (b"PROXY UNKNOWN\r\n", "peer"),
        (&encode_v2_local(), "peer"),
        (b"\r\n\r\n", "peer"),
    ] {
        assert_eq!(answer_to(web, header), format!("{client} peer true"), "{header:?}");
    }
    daemon.asleep();
}

#[test]
fn a_header_in_drops_and_requests_behind_it() {
    let (_unit, web, daemon) = trusting(Unit::new());
    for (header, expected) in [(LINE.as_bytes(), "192.0.2.7:4711 "), (&version_2(), "[2001:db8::7]:4711 ")] {
        let mut client = connect(web);
        for byte in [header, ASK.as_bytes()].concat() {
            client.send([byte]);
        }
        assert!(client.answer().text().starts_with(expected));
        assert!(client.get("/client").text().starts_with(expected), "it is the connection's");
        client.send([header, ASK.as_bytes()].concat());
        assert_eq!(client.answer().status(), 400, "there is one at most, and first");
    }
    daemon.asleep();
}

#[test]
fn a_header_before_http2() {
    let (_unit, web, daemon) = trusting(Unit::new());
    let by_h2 = http2::block_on(async {
        let mut stream = tokio::net::TcpStream::connect(web).await.expect("it listens");
        tokio::io::AsyncWriteExt::write_all(&mut stream, &version_2()).await.expect("taken");
        let (handle, connection) = h2::client::handshake(stream).await.expect("a handshake");
        tokio::spawn(connection);
        http2::get(&handle, "/client").await.expect("served")
    });
    assert!(by_h2.starts_with("[2001:db8::7]:4711 127.0.0.1:"), "{by_h2}");
    let mut stream = connect(web).0;
    let bytes = [LINE.as_bytes(), wire::PREFACE, &wire::frame(wire::SETTINGS, 0, 0, b"")].concat();
    for byte in bytes {
        stream.write_all(&[byte]).expect("taken");
    }
    stream.write_all(&wire::frame(wire::HEADERS, 5, 1, &wire::get("/client"))).expect("taken");
    assert!(wire::answer(&mut stream, 1).starts_with("192.0.2.7:4711 127.0.0.1:"));
    drop(stream);
    daemon.asleep();
}

#[test]
fn a_unix_peer_is_believed_by_that_word_alone() {
    for (trust, answer) in [("unix", "192.0.2.7:4711 unix true"), ("0.0.0.0/0 ::/0", "")] {
        let mut unit = Unit::new().env("FIXTURE_TRUST", trust);
        let path = unit.unix("local");
        let daemon = unit.wake();
        let mut client = Client(UnixStream::connect(&path).expect("it listens"));
        client.send([LINE, ASK].concat());
        if answer.is_empty() {
            assert_eq!(client.answer().status(), 400);
        } else {
            let own = format!(" pid {}", std::process::id());
            assert_eq!(client.answer().text().replace(&own, ""), answer);
        }
        drop(client);
        daemon.asleep();
    }
}

#[test]
fn whoever_is_not_trusted_makes_a_bad_request_of_it() {
    let mut unit = Unit::new().env("FIXTURE_TRUST", "10.0.0.0/8 unix");
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    for header in [LINE.as_bytes(), &version_2(), &encode_v2_local()] {
        let mut client = connect(web);
        client.send(header); // nothing behind it, and yet an answer
        assert!(client.rest().starts_with("HTTP/1.1 400 "), "{header:?}");
    }
    assert_eq!(answer_to(web, b""), "peer peer false");
    let log = daemon.asleep();
    assert!(log.contains("served 1 request, 3 not counted"), "{log}");
}

#[test]
fn a_malformed_header_is_refused_and_noise() {
    let (_unit, web, daemon) = trusting(Unit::new().env("RUST_LOG", "debug"));
    let mut no_such_command = version_2();
    no_such_command[12] = 0x2f;
    let mut endless = version_2();
    endless[14..16].fill(0xff);
    for header in [
        &b"PROXY TCP4 192.0.2.7\r\n"[..],
        &[b"PROXY ", &[b'x'; 101][..]].concat(),
        &no_such_command,
        &endless,
    ] {
        let mut client = connect(web);
        client.send(header);
        let answer = client.rest();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{header:?}: {answer}");
        assert!(answer.ends_with("a malformed PROXY header\n"), "{answer}");
    }
    let log = daemon.asleep();
    assert!(log.contains("served 0 requests, 4 not counted"), "{log}");
}

#[test]
fn a_header_alone_is_noise_and_not_waited_for_long() {
    for header in [LINE.as_bytes(), &version_2()] {
        // A probe that closes; one that says nothing more: as if it had said nothing at all.
        let (_unit, web, daemon) = trusting(Unit::new().set("FIRST_BYTE", 300).set("HEAD", 60_000));
        connect(web).send(header);
        let mut silent = connect(web);
        header.iter().for_each(|byte| silent.send([*byte]));
        assert_eq!(silent.rest(), "");
        let log = daemon.asleep();
        assert!(log.contains("served 0 requests, 2 not counted"), "{log}");
        // Part of one is part of a head.
        let (_unit, web, daemon) = trusting(Unit::new().set("HEAD", 300).set("FIRST_BYTE", 60_000));
        let mut half = connect(web);
        half.send(&header[..header.len() - 1]);
        assert!(half.rest().starts_with("HTTP/1.1 408 "));
        connect(web).send(&header[..header.len() - 1]);
        let log = daemon.asleep();
        assert!(log.contains("served 0 requests, 2 not counted"), "{log}");
    }
}

#[test]
fn a_drain_waits_for_a_header_alone_no_longer_than_for_silence() {
    let (_unit, web, mut daemon) = trusting(Unit::new().set("AFTER", 60_000).set("FIRST_BYTE", 60_000));
    let mut client = connect(web);
    LINE.bytes().for_each(|byte| client.send([byte]));
    daemon.hear("STATUS=awake: 1 connection with no request yet");
    daemon.signal(libc::SIGTERM);
    assert_eq!(client.rest(), "");
    drop(client);
    assert_eq!(daemon.left().0.code(), Some(0));
}

#[test]
fn the_journal_names_the_client_and_the_peer() {
    let (unit, web, mut daemon) = trusting(Unit::new());
    let gate = Gate::new(&unit.folder, "gate");
    let mut client = connect(web);
    let own = client.0.local_addr().expect("connected");
    client.send(LINE);
    client.ask(&format!("/gate?{}", gate.query()));
    let _waiting = gate.arrived();
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    daemon.signal(libc::SIGTERM);
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(75));
    assert!(log.contains(&format!("a request of 192.0.2.7:4711 via {own} on web")), "{log}");
}

#[test]
fn an_answer_that_only_looks_sees_its_client_go() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    // While the answer is pending.
    let mut client = connect(web);
    client.ask(&format!("/watch?{}", gate.query()));
    drop(gate.arrived()); // it waits for nothing of the test
    client.0.shutdown(Shutdown::Write).expect("open");
    assert_eq!(client.answer().text(), "gone");
    // While its body is.
    let mut client = connect(web);
    client.ask("/watch-stream");
    client.head();
    assert_eq!(client.chunk(), b"there ");
    client.0.shutdown(Shutdown::Write).expect("open");
    assert_eq!(client.chunk(), b"gone");
    assert_eq!(client.chunk(), b"");
    // Both at once, of a client that has closed its side before it was answered.
    let mut client = connect(web);
    client.ask("/watch-stream");
    client.0.shutdown(Shutdown::Write).expect("open");
    client.head();
    assert_eq!((client.chunk(), client.chunk()), (b"there ".to_vec(), b"gone".to_vec()));
    drop(client);
    daemon.asleep();
}

#[test]
fn an_answer_that_only_looks_sees_its_client_go_with_a_body_unread() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("GET /watch?{} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", gate.query()));
    drop(gate.arrived());
    client.0.shutdown(Shutdown::Write).expect("open");
    assert_eq!(client.answer().text(), "gone");
    drop(client);
    daemon.asleep();
}

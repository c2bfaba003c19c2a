//! Much at once and long: memory stays flat, and ports are not used up.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::errors::resident;
use crate::harness::{Client, PATIENCE, connect};
use crate::upstream::{OK, Upstream};

/// How many bytes go through: 10 GB if there is time.
fn much() -> u64 {
    if std::env::var_os("DORMOUSE_LONG").is_some() { 10_000_000_000 } else { 2_000_000_000 }
}

/// How much more memory is no growth, in KiB.
const FLAT: u64 = 4 * 1024;

fn pour(into: &mut TcpStream, count: u64) {
    let piece = vec![0x5a; 1 << 20];
    let mut left = count;
    while left > 0 {
        let len = left.min(piece.len() as u64);
        into.write_all(&piece[..usize::try_from(len).expect("small")]).expect("it is taken");
        left -= len;
    }
}

fn drain(from: &mut TcpStream, count: u64) {
    let taken = std::io::copy(&mut from.take(count), &mut std::io::sink()).expect("it comes");
    assert_eq!(taken, count);
}

#[test]
fn a_large_answer_costs_no_memory() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", much()));
    client.head();
    let before = resident(&daemon, "VmHWM");
    let pouring = thread::spawn(move || {
        pour(&mut connection.0, much());
        connection
    });
    drain(&mut client.0, much());
    let grown = resident(&daemon, "VmHWM").saturating_sub(before);
    assert!(grown < FLAT, "{grown} KiB more");
    // And the connections go on.
    let mut connection = pouring.join().expect("no panic");
    client.ask("/");
    connection.head();
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn a_large_upload_costs_no_memory() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.send(format!("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", much()));
    let (mut connection, _) = upstream.asked();
    let before = resident(&daemon, "VmHWM");
    let mut sending = client.0.try_clone().expect("a descriptor");
    let pouring = thread::spawn(move || pour(&mut sending, much()));
    drain(&mut connection.0, much());
    pouring.join().expect("no panic");
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
    let grown = resident(&daemon, "VmHWM").saturating_sub(before);
    assert!(grown < FLAT, "{grown} KiB more");
}

/// Writes until nothing more is taken for a while; how much was.
fn taken(stream: &mut TcpStream) -> usize {
    stream.set_write_timeout(Some(std::time::Duration::from_millis(300))).expect("an option");
    let piece = vec![0x5a; 64 * 1024];
    let mut taken = 0;
    loop {
        match stream.write(&piece) {
            Ok(len) => taken += len,
            Err(_) => return taken,
        }
    }
}

#[test]
fn who_takes_nothing_holds_back_who_sends() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    let before = resident(&daemon, "VmHWM");
    let mut kept: Vec<Client<TcpStream>> = Vec::new();
    for _ in 0..10 {
        let mut client = connect(site.web);
        client.ask("/");
        let (mut connection, _) = upstream.asked();
        connection.send("HTTP/1.1 200 OK\r\n\r\n");
        taken(&mut connection.0);
        kept.extend([client, connection]);
        let mut client = connect(site.web);
        client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000000\r\n\r\n");
        let (connection, _) = upstream.asked();
        taken(&mut client.0);
        kept.extend([client, connection]);
    }
    let grown = resident(&daemon, "VmHWM").saturating_sub(before);
    assert!(grown < 10 * 1024, "{grown} KiB more for twenty that are held back");
}

/// Answers every request of every connection until the test is over; how many connections there were.
fn answering(listener: TcpListener) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut stream = stream.expect("it connects");
            thread::spawn(move || {
                let (mut buffer, mut seen) = ([0; 4096], Vec::new());
                while let Ok(len @ 1..) = stream.read(&mut buffer) {
                    seen.extend_from_slice(&buffer[..len]);
                    while let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
                        seen.drain(..end + 4);
                        stream.write_all(OK.as_bytes()).expect("it is taken");
                    }
                }
            });
        }
    });
    count
}

#[test]
fn a_hundred_thousand_requests_use_up_no_ports() {
    const AT_ONCE: usize = 20;
    const EACH: usize = 5_000;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let connections = answering(listener);
    let (site, daemon) = crate::upstream::start(&crate::upstream::route(&url, ""));
    let web = site.web;
    let clients: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            thread::spawn(move || {
                let mut client = connect(web);
                client.0.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                for _ in 0..EACH / 50 {
                    for _ in 0..49 {
                        assert_eq!(client.get("/").text(), "ok");
                    }
                    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
                    assert_eq!(client.answer().text(), "ok");
                    client = connect(web);
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("all are answered"));
    let connections = connections.load(Ordering::Relaxed);
    assert!(connections <= 2 * AT_ONCE, "{connections} connections for {AT_ONCE} at once");
    let log = crate::upstream::log(daemon);
    assert!(log.contains("served 100000 requests"), "{log}");
}

//! Hundreds of clients that hold on in every way there is: each has a limit and lets go, costs a bounded amount of
//! memory meanwhile, and afterwards it falls asleep.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{Daemon, PATIENCE, Unit, connect};
use crate::pressure::{idle, long_queue};
use crate::wire::{frame, open, post};

/// What it has resident, in bytes; nothing once it has left.
fn resident(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it is not reaped");
    let Some(line) = status.lines().find(|line| line.starts_with("VmRSS:")) else { return 0 };
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("KiB") * 1024
}

/// So many at once, and what one of them may cost.
struct Mass {
    count: usize,
    most_each: u64,
}

impl Mass {
    /// Lets `begin` open that many connections, and sends `nag` on each again and again. At no time do they cost more than
    /// they may, and it falls asleep, which it does not before it has let all of them go. What it logged.
    fn weighs(
        &self,
        unit: &Unit,
        web: SocketAddr,
        begin: impl Fn(SocketAddr) -> TcpStream,
        nag: &[u8],
    ) -> String {
        let mut daemon = unit.wake();
        connect(web).get("/");
        let before = resident(&daemon);
        let mut clients: Vec<_> = (0..self.count).map(|_| begin(web)).collect();
        clients.iter().for_each(|client| client.set_nonblocking(true).expect("an option"));
        let (deadline, mut most) = (Instant::now() + PATIENCE, 0);
        while daemon.is_running() {
            assert!(Instant::now() < deadline, "they are not let go");
            most = most.max(resident(&daemon).saturating_sub(before));
            for client in &mut clients {
                let _ = client.write(nag); // its end is what is wanted
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let each = most / self.count as u64;
        println!("{each} bytes each");
        assert!(each <= self.most_each, "{each} bytes each, and {} are allowed", self.most_each);
        daemon.asleep()
    }
}

fn said(web: SocketAddr, bytes: impl AsRef<[u8]>) -> TcpStream {
    let mut stream = TcpStream::connect(web).expect("it listens");
    stream.write_all(bytes.as_ref()).expect("taken");
    stream
}

#[test]
fn thousands_that_say_nothing() {
    let mut unit = Unit::new().set("FIRST_BYTE", 1500);
    let web = long_queue(&mut unit);
    let mass = Mass { count: 2000, most_each: 4096 };
    let log = mass.weighs(&unit, web, |web| said(web, ""), b"");
    assert!(log.contains("2000 not counted"), "{log}");
}

#[test]
fn heads_in_drops() {
    let mut unit = Unit::new().set("HEAD", 1000);
    let web = long_queue(&mut unit);
    // hyper's two buffers come with the first bytes.
    let mass = Mass { count: 300, most_each: 32 * 1024 };
    let log = mass.weighs(&unit, web, |web| said(web, "GET / HTTP/1.1\r\nHost: "), b"a");
    assert!(log.contains("300 not counted"), "{log}");
}

#[test]
fn http2_heads_in_drops() {
    let mut unit = Unit::new().set("HEAD", 1000).set("BODY", 1000);
    let web = long_queue(&mut unit);
    let mass = Mass { count: 200, most_each: 64 * 1024 };
    let begin = |web| {
        let mut stream = open(web);
        stream.write_all(&frame(1, 5, 1, &[0; 1000])[..9]).expect("taken");
        stream
    };
    mass.weighs(&unit, web, begin, b"\0");
}

#[test]
fn bodies_that_stop() {
    let mut unit = Unit::new().set("BODY", 500);
    let web = long_queue(&mut unit);
    let mass = Mass { count: 300, most_each: 64 * 1024 };
    let head = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc";
    mass.weighs(&unit, web, |web| said(web, head), b"");
}

#[test]
fn http2_bodies_that_stop() {
    let mut unit = Unit::new().set("BODY", 500);
    let web = long_queue(&mut unit);
    let mass = Mass { count: 200, most_each: 128 * 1024 };
    let begin = |web| {
        let mut stream = open(web);
        stream.write_all(&frame(1, 4, 1, &post("/upload"))).expect("taken");
        stream.write_all(&frame(0, 0, 1, b"abc")).expect("taken");
        stream
    };
    mass.weighs(&unit, web, begin, b"");
}

#[test]
fn clients_that_never_read() {
    let mut unit = Unit::new().set("WRITE", 500);
    let web = long_queue(&mut unit);
    // hyper keeps 128 KiB and the piece that went beyond; the handler has two pieces of 64 KiB.
    let mass = Mass { count: 200, most_each: 400 * 1024 };
    mass.weighs(&unit, web, |web| said(web, "GET /big/50000000 HTTP/1.1\r\nHost: a\r\n\r\n"), b"");
}

#[test]
fn http2_clients_that_never_read_and_open_every_window() {
    let mut unit = Unit::new().set("WRITE", 500);
    let web = long_queue(&mut unit);
    const STREAMS: u32 = 100;
    // For each stream 64 KiB and the piece that went beyond; the handler has two pieces of 64 KiB.
    let mass = Mass { count: 4, most_each: u64::from(STREAMS) * 384 * 1024 };
    let begin = |web| {
        let mut stream = open(web);
        let widest = 0x7fff_ffff_u32;
        stream.write_all(&frame(4, 0, 0, &[&[0, 4][..], &widest.to_be_bytes()].concat())).expect("taken");
        stream.write_all(&frame(8, 0, 0, &(widest - 65_535).to_be_bytes())).expect("taken");
        for number in 0..STREAMS {
            let head = b"\x82\x86\x04\x0d/big/50000000\x01\x01a";
            stream.write_all(&frame(1, 5, 2 * number + 1, head)).expect("taken");
        }
        stream
    };
    mass.weighs(&unit, web, begin, b"");
}

/// Waits until so many idle connections cost no more than this.
fn rest(daemon: &Daemon, before: u64, count: usize, most_each: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let each = resident(daemon).saturating_sub(before) / count as u64;
        if each <= most_each {
            println!("{each} bytes each");
            return;
        }
        assert!(Instant::now() < deadline, "an idle connection costs {each} bytes");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn idle_connections_rest_and_are_as_good_as_before() {
    const COUNT: usize = 1000;
    let mut unit = Unit::new().set("AFTER", 3000);
    let web = long_queue(&mut unit);
    let daemon = unit.wake();
    connect(web).get("/");
    let before = resident(&daemon);
    let mut clients = idle(web, COUNT);
    rest(&daemon, before, COUNT, 4096);
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "ok");
    }
    clients[5].send("\r"); // half of an empty line before the next request
    rest(&daemon, before, COUNT, 4096);
    clients[5].send("\n");
    clients[5].send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(clients[5].answer().text(), "ok");
    // What a resting connection may be met with: a head in pieces, two requests at once, an end, a reset.
    clients[0].send("GET / HT");
    clients[1].send("GET /noise HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    clients[2].0.shutdown(Shutdown::Write).expect("open");
    rustix::net::sockopt::set_socket_linger(&clients[3].0, Some(Duration::ZERO)).expect("an option");
    drop(clients.remove(3));
    assert_eq!(clients[1].answer().text(), "noise");
    assert_eq!(clients[1].answer().text(), "ok");
    assert_eq!(clients[2].rest(), "");
    clients[0].send("TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(clients[0].answer().text(), "ok");
    rest(&daemon, before, COUNT, 4096);
    daemon.asleep();
    clients.remove(2);
    for client in &mut clients {
        assert_eq!(client.rest(), "", "closed, not reset");
    }
}

#[test]
fn a_resting_connection_is_closed_by_its_limit_and_by_a_drain() {
    let mut unit = Unit::new().set("AFTER", 60_000).set("KEEP_ALIVE", 2500);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut daemon = unit.wake();
    let mut clients = idle(web, 2);
    for client in &mut clients {
        assert_eq!(client.rest(), "");
    }
    let mut client = idle(web, 1).remove(0);
    std::thread::sleep(Duration::from_millis(2500)); // it rests: asked once a second, after one
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    assert_eq!(client.rest(), "");
    assert_eq!(daemon.left().0.code(), Some(0));
}

#[test]
fn nothing_is_lost_at_the_sleep_edge_of_resting_connections() {
    const COUNT: usize = 50;
    let mut unit = Unit::new().set("AFTER", 1400).set("GRACE", 50);
    let web = long_queue(&mut unit);
    let (mut answered, mut closed) = (0, 0);
    for round in 0..4 {
        let daemon = unit.wake();
        let mut clients = idle(web, COUNT);
        let quiet_since = Instant::now();
        // Most rest by then. One request a moment, from before the edge on, with pauses for the keeper to see the quiet.
        let begin = quiet_since + Duration::from_micros(1_350_000 + round * 3_000);
        for (client, number) in clients.iter_mut().zip(0..) {
            let at = begin + Duration::from_millis(number * 2);
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            let sent = client.0.write_all(b"GET /noise HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            let mut rest = Vec::new();
            let read = client.0.read_to_end(&mut rest);
            let _ = client.0.shutdown(Shutdown::Both); // or it would be waited for
            let is_answered = rest.starts_with(b"HTTP/1.1 200") && rest.ends_with(b"noise");
            assert!(is_answered || rest.is_empty(), "half an answer: {}", String::from_utf8_lossy(&rest));
            assert!(!is_answered || (sent.is_ok() && read.is_ok()));
            *(if is_answered { &mut answered } else { &mut closed }) += 1;
        }
        daemon.asleep();
    }
    assert!(answered > 0 && closed > 0, "the edge was not met: {answered} answered, {closed} closed");
}

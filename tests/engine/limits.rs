//! Every wait for a peer ends, and costs nothing while it lasts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::{Daemon, Gate, Unit, connect};

/// Time on the processor so far.
fn busy(daemon: &Daemon) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10) // USER_HZ is 100 wherever Linux runs
}

fn reset(stream: TcpStream) {
    // A close with nothing left to linger for is a reset (socket(7), SO_LINGER).
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("an option");
}

#[test]
fn a_body_nobody_reads_keeps_no_processor_busy() {
    let mut unit = Unit::new().set("BODY", 100);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("POST /gate?{} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", gate.query()));
    let waiting = gate.arrived();
    std::thread::sleep(Duration::from_secs(1)); // the limit is long over; what matters is what that cost
    let spent = busy(&daemon);
    assert!(spent < Duration::from_millis(200), "{spent:?} of the processor for one waiting handler");
    waiting.open();
    assert_eq!(client.answer().text(), "passed");
    drop(client);
    daemon.asleep();
}

#[test]
fn a_reset_is_seen_while_a_body_is_unread() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("POST /gate?{} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", gate.query()));
    let mut waiting = gate.arrived();
    reset(client.0);
    assert_eq!(waiting.line(), "", "the handler is dropped");
    daemon.asleep();
}

#[test]
fn a_client_that_stops_taking_many_small_pieces_lets_go() {
    let mut unit = Unit::new().set("WRITE", 300);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send("GET /crumbs/1000000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    daemon.asleep();
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).expect("small").to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `POST /upload` to `a`, in HPACK: static table and plain literals (RFC 7541).
pub const POST_UPLOAD: &[u8] = b"\x83\x86\x04\x07/upload\x01\x01a";

/// Says `more` every 50 ms until the peer ends or patience is over; whether it ended.
fn nag(mut stream: TcpStream, mut more: impl FnMut() -> Vec<u8>) -> bool {
    stream.set_nonblocking(true).expect("an option");
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return true,
            _ => {}
        }
        if stream.write_all(&more()).is_err() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

pub fn http2(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("an option");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("taken");
    stream.write_all(&frame(4, 0, 0, b"")).expect("taken");
    stream
}

#[test]
fn pings_are_no_body() {
    let mut unit = Unit::new().set("BODY", 300);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut stream = http2(web);
    stream.write_all(&frame(1, 4, 1, POST_UPLOAD)).expect("taken");
    assert!(nag(stream, || frame(6, 0, 0, b"pingpong")), "a stalled body is held for ever by PINGs");
    daemon.asleep();
}

#[test]
fn an_http2_head_in_drops_is_not_waited_for_long() {
    let mut unit = Unit::new().set("BODY", 300).set("HEAD", 300);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut stream = http2(web);
    stream.write_all(&frame(1, 5, 1, &[0; 1000])[..9]).expect("taken");
    assert!(nag(stream, || vec![0]), "a head is waited for as long as it drips");
    daemon.asleep();
}

//! Every wait for a peer ends, and costs nothing while it lasts.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::harness::{Client, Daemon, Gate, Unit, connect, reset};
use crate::wire::{self, frame};

/// Time on the processor so far.
fn busy(daemon: &Daemon) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10) // USER_HZ is 100 wherever Linux runs
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
fn a_reset_is_seen_after_a_fin() {
    // The FIN alone may be a client that waits for its answer; the reset is none.
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.ask(&format!("/gone?{}", gate.query()));
    let mut waiting = gate.arrived();
    client.0.shutdown(Shutdown::Write).expect("open");
    assert_eq!(waiting.line(), "gone\n");
    reset(client.0);
    assert_eq!(waiting.line(), "", "the handler is dropped");
    daemon.asleep();
}

#[test]
fn a_unix_client_that_goes_after_its_fin_is_seen() {
    let mut unit = Unit::new();
    let path = unit.unix("local");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut client = Client(UnixStream::connect(&path).expect("it listens"));
    client.ask(&format!("/gone?{}", gate.query()));
    let mut waiting = gate.arrived();
    client.0.shutdown(Shutdown::Write).expect("open");
    assert_eq!(waiting.line(), "gone\n");
    drop(client);
    assert_eq!(waiting.line(), "", "the handler is dropped");
    daemon.asleep();
}

#[test]
fn an_answer_goes_on_after_a_fin() {
    // Watching for the reset must not cost the answer its room: more than the kernel's buffers hold.
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.ask("/big/20000000");
    client.0.shutdown(Shutdown::Write).expect("open");
    assert_eq!(client.answer().body.len(), 20_000_000);
    assert_eq!(client.rest(), "");
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

/// Says `more` every 50 ms until the peer ends or patience is over; whether it ended.
fn nag(mut stream: TcpStream, mut more: impl FnMut() -> Vec<u8>) -> bool {
    stream.set_nonblocking(true).expect("an option");
    let deadline = Instant::now() + Duration::from_secs(15);
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

#[test]
fn pings_are_no_body() {
    let mut unit = Unit::new().set("BODY", 300);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut stream = wire::open(web);
    stream.write_all(&frame(1, 4, 1, &wire::post("/upload"))).expect("taken");
    let since = Instant::now();
    assert!(nag(stream, || frame(6, 0, 0, b"pingpong")), "a stalled body is held for ever by PINGs");
    let waited = since.elapsed();
    assert!(waited > Duration::from_secs(5), "its stream is to be answered first, not cut after {waited:?}");
    daemon.asleep();
}

#[test]
fn an_http2_head_in_drops_is_not_waited_for_long() {
    let mut unit = Unit::new().set("BODY", 60_000).set("HEAD", 300);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut stream = wire::open(web);
    stream.write_all(&frame(1, 5, 1, &[0; 1000])[..9]).expect("taken");
    assert!(nag(stream, || vec![0]), "a head is waited for as long as it drips");
    daemon.asleep();
}

const HALF_A_BODY: &str = "HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc";

#[test]
fn a_request_has_its_own_patience_with_its_body() {
    let mut unit = Unit::new().set("BODY", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("POST /patience/200 {HALF_A_BODY}"));
    assert_eq!(client.answer().text(), "timed out");
    drop(client);
    daemon.asleep();
}

#[test]
fn a_request_may_wait_for_its_body_for_ever_and_the_next_does_not() {
    let mut unit = Unit::new().set("BODY", 200);
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    client.send(format!("POST /patience/0 {HALF_A_BODY}"));
    std::thread::sleep(Duration::from_millis(600)); // the limit is over three times
    client.send("def");
    assert_eq!(client.answer().text(), "6");
    client.send(format!("POST /upload {HALF_A_BODY}"));
    assert_eq!(client.answer().status(), 400, "cut by timeouts.body");
    drop(client);
    daemon.asleep();
}

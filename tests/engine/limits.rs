//! Every wait for a peer ends, and costs nothing while it lasts.

use std::net::TcpStream;
use std::time::Duration;

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

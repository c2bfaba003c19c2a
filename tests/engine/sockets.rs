//! Which sockets are taken, and which refused.

use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use crate::harness::{Client, Unit, connect, fixture};

#[test]
fn all_kinds_are_served_under_their_names() {
    let mut unit = Unit::new();
    let v4 = unit.tcp("127.0.0.1:0", "web");
    let v6 = unit.tcp("[::1]:0", "six");
    let path = unit.unix("local");
    let daemon = unit.wake();
    assert_eq!(connect(v4).get("/socket").text(), "web");
    assert_eq!(connect(v6).get("/socket").text(), "six");
    let mut local = Client(UnixStream::connect(&path).expect("it listens"));
    assert_eq!(local.get("/socket").text(), "local");
    assert_eq!(local.get("/peer").text(), format!("unix pid {}", std::process::id()));
    drop(local);
    daemon.asleep();
}

#[test]
fn several_sockets_may_share_a_name() {
    let mut unit = Unit::new();
    let addresses = [unit.tcp("127.0.0.1:0", "web"), unit.tcp("127.0.0.1:0", "web")];
    let daemon = unit.wake();
    for address in addresses {
        assert_eq!(connect(address).get("/socket").text(), "web");
    }
    daemon.asleep();
}

#[test]
fn a_datagram_is_read_dropped_and_told_once() {
    let mut unit = Unit::new();
    let address = unit.udp("stats");
    let web = unit.tcp("127.0.0.1:0", "web");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for _ in 0..3 {
        sender.send_to(b"hits:1|c", address).expect("sent");
    }
    let daemon = unit.wake();
    assert_eq!(connect(web).get("/").text(), "ok");
    let log = daemon.asleep();
    assert_eq!(log.matches("was read and dropped").count(), 1, "{log}");
    assert!(log.contains("3 datagrams dropped"), "{log}");
    // Nothing is left that would start it again: the next wake sees none.
    let log = unit.wake().asleep();
    assert!(!log.contains("datagram"), "{log}");
}

#[test]
fn nothing_of_systemds_is_left_in_the_environment() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let environment = connect(web).get("/environment");
    assert!(!environment.text().contains("LISTEN_"), "{}", environment.text());
    daemon.asleep();
}

#[test]
fn a_connection_instead_of_a_listener_is_refused() {
    let mut unit = Unit::new();
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    unit.pass(theirs, "accepted");
    let (status, log) = unit.start().left();
    assert!(!status.success());
    assert!(log.contains("accepted") && log.contains("Accept=yes"), "{log}");
    drop(ours);
}

#[test]
fn something_that_is_no_socket_is_refused() {
    let mut unit = Unit::new();
    unit.pass(std::fs::File::open("/dev/null").expect("it is there"), "null");
    let (status, log) = unit.start().left();
    assert!(!status.success());
    assert!(log.contains("not a socket"), "{log}");
}

#[test]
fn sockets_meant_for_another_process_are_refused() {
    let mut command = Command::new(fixture());
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1").stderr(Stdio::piped());
    let output = command.output().expect("it runs");
    assert!(!output.status.success());
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("LISTEN_PID") && log.contains("another process"), "{log}");
}

#[test]
fn a_peer_without_power_is_noticed() {
    let mut unit = Unit::new();
    let web = unit.tcp("127.0.0.1:0", "web");
    let daemon = unit.wake();
    let mut client = connect(web);
    assert_eq!(client.get("/").text(), "ok");
    // proc_net_tcp: ours is the local address, 01 is established, 02 a keepalive timer, in hundredths of a second.
    let table = std::fs::read_to_string("/proc/net/tcp").expect("it is there");
    let ours = format!("0100007F:{:04X}", web.port());
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row =
        rows.into_iter().find(|row| row[1] == ours && row[3] == "01").expect("an established connection");
    let (kind, left) = row[5].split_once(':').expect("a timer");
    let left = u64::from_str_radix(left, 16).expect("a time");
    assert!(kind == "02" && (1..=6_000).contains(&left), "timer {}", row[5]);
    drop(client);
    daemon.asleep();
}

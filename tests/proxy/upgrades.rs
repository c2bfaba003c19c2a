//! WebSockets and other upgrades: bytes both ways for as long as they like, and a goodbye when dormouse has to leave.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::harness::{Client, connect};
use crate::site::Site;
use crate::upstream::{OK, QUICK, Upstream, start};

fn request(protocol: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
    )
}

fn accepted(protocol: &str) -> String {
    format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")
}

/// An upgraded connection: the client, and the upstream's side.
fn upgraded(site: &Site, upstream: &Upstream, protocol: &str) -> [Client<TcpStream>; 2] {
    let mut client = connect(site.web);
    client.send(request(protocol));
    let (mut connection, asked) = upstream.asked();
    assert_eq!((asked.header("upgrade"), asked.header("connection")), (Some(protocol), Some("upgrade")));
    connection.send(accepted(protocol));
    let answer = client.head();
    assert_eq!((answer.status(), answer.header("upgrade")), (101, Some(protocol)));
    [client, connection]
}

/// Bytes reach the other side, both ways.
fn echoes([client, connection]: &mut [Client<TcpStream>; 2]) {
    client.send("ping");
    connection.expect("ping");
    connection.send("pong");
    client.expect("pong");
}

/// What comes until the end, which is no reset.
fn rest(client: &mut Client<TcpStream>) -> Vec<u8> {
    let mut rest = Vec::new();
    client.0.read_to_end(&mut rest).expect("an end, not a reset");
    rest
}

/// A frame's beginning says that 4 bytes are to come: of the server, and of the client.
const HALF_DOWN: &[u8] = b"\x82\x04ab";
const HALF_UP: &[u8] = b"\x82\x84\0\0\0\0ab";

/// The goodbye: a close frame with 1001.
const GOODBYE: &[u8] = b"\x88\x02\x03\xe9";

/// The same from a client, unmasked for the eye.
fn unmasked(frame: &[u8]) -> Vec<u8> {
    let [first, len, mask @ .., a, b] = frame else { panic!("{frame:?}") };
    assert_eq!((len & 0x80, mask.len()), (0x80, 4), "{frame:?}");
    vec![*first, len & 0x7f, a ^ mask[0], b ^ mask[1]]
}

#[test]
fn an_upgraded_connection_outlasts_every_timeout() {
    let upstream = Upstream::new();
    let names = ["first_byte", "head", "body", "request", "total", "connect", "idle", "write", "keep_alive"];
    let timeouts: String = names.iter().map(|name| format!("{name} = \"300ms\"\n")).collect();
    let (site, _daemon) = start(&format!("[timeouts]\n{timeouts}{}", upstream.route("")));
    for protocol in ["websocket", "x-own"] {
        let mut both = upgraded(&site, &upstream, protocol);
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(900)); // what is tested is time
            echoes(&mut both);
        }
    }
}

#[test]
fn bytes_that_came_early_are_not_lost() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.send(format!("{}early", request("x-own")));
    let (mut connection, _) = upstream.asked();
    connection.send(format!("{}birds", accepted("x-own")));
    assert_eq!(client.head().status(), 101);
    client.expect("birds");
    connection.expect("early");
}

#[test]
fn either_side_may_end_first() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let [client, connection] = &mut upgraded(&site, &upstream, "x-own");
    client.0.shutdown(Shutdown::Write).expect("open");
    assert_eq!(connection.rest(), "");
    connection.send("last words");
    client.expect("last words");
    connection.0.shutdown(Shutdown::Write).expect("open");
    assert_eq!(client.rest(), "");

    let [client, connection] = upgraded(&site, &upstream, "websocket");
    crate::harness::reset(client.0);
    { connection }.end();
    let [client, connection] = upgraded(&site, &upstream, "websocket");
    crate::harness::reset(connection.0);
    { client }.end();
}

#[test]
fn an_upgrade_that_is_refused_is_an_answer() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.send(request("websocket"));
    let (mut connection, _) = upstream.asked();
    connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text()), (403, "no"));
    client.ask("/");
    connection.head();
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn http2_in_the_guise_of_an_upgrade_is_not_passed_on() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.send(
        "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
    );
    let (mut connection, asked) = upstream.asked();
    for gone in ["upgrade", "http2-settings", "connection"] {
        assert_eq!(asked.header(gone), None, "{}", asked.head);
    }
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn upgraded_connections_take_nobodys_place() {
    let upstream = Upstream::new();
    let keys = "connections = 1\nlimits = { in_flight = 1 }";
    let (site, _daemon) = start(&format!("[limits]\nin_flight = 1\n{}", upstream.route(keys)));
    let mut first = upgraded(&site, &upstream, "websocket");
    let mut second = upgraded(&site, &upstream, "x-own");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
    echoes(&mut first);
    echoes(&mut second);
}

#[test]
fn a_drain_says_1001_between_two_frames() {
    let upstream = Upstream::new();
    let (site, mut daemon) = upstream.behind("");
    let [client, connection] = &mut upgraded(&site, &upstream, "websocket");
    client.send(HALF_UP);
    let mut half = [0; 8];
    connection.0.read_exact(&mut half).expect("it comes");
    assert_eq!(half, HALF_UP);
    connection.send(HALF_DOWN);
    let mut half = [0; 4];
    client.0.read_exact(&mut half).expect("it comes");
    assert_eq!(half, HALF_DOWN);
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    // The frames under way are whole before the goodbye; what follows them is not passed on.
    connection.send(b"cd\x82\x04evil");
    assert_eq!(rest(client), [b"cd", GOODBYE].concat());
    client.send(b"cd\x82\x84\0\0\0\0evil");
    let rest = rest(connection);
    assert_eq!((&rest[..2], unmasked(&rest[2..])), (&b"cd"[..], GOODBYE.to_vec()));
    daemon.asleep();
}

#[test]
fn a_drain_ends_other_upgrades_with_a_fin() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    let both = &mut upgraded(&site, &upstream, "x-own");
    echoes(both);
    daemon.signal(libc::SIGTERM);
    for side in both {
        assert_eq!(side.rest(), "");
    }
    daemon.asleep();
}

#[test]
fn who_answers_the_goodbye_finds_somebody_there() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    let mut ends = Vec::from(upgraded(&site, &upstream, "websocket"));
    ends.extend(upgraded(&site, &upstream, "x-own"));
    daemon.signal(libc::SIGTERM);
    for end in &mut ends {
        rest(end);
        // A socket that is closed altogether answers with a reset, which may overtake the goodbye.
        end.send("so long");
        assert!(end.0.take_error().expect("a socket").is_none());
    }
    drop(ends);
    daemon.asleep();
}

#[test]
fn who_does_not_end_after_the_goodbye_is_not_waited_for() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    let [client, connection] = &mut upgraded(&site, &upstream, "websocket");
    client.send(HALF_UP); // and never its end
    let mut half = [0; 8];
    connection.0.read_exact(&mut half).expect("it comes");
    daemon.signal(libc::SIGTERM);
    daemon.asleep();
}

/// A dormouse that is quick to sleep.
fn sleepy(upstream: &Upstream, keys: &str) -> (Site, crate::harness::Daemon) {
    let site = Site::new(&format!("{QUICK}{}", upstream.route(keys)));
    let daemon = site.wake();
    (site, daemon)
}

#[test]
fn an_upgraded_connection_keeps_it_awake() {
    let upstream = Upstream::new();
    let (site, mut daemon) = sleepy(&upstream, "");
    let mut both = upgraded(&site, &upstream, "websocket");
    daemon.hear("1 upgraded connection");
    std::thread::sleep(Duration::from_millis(1800)); // ninety times as long as its quiet may last
    echoes(&mut both);
    assert!(daemon.is_running());
    drop(both);
    daemon.asleep();
}

#[test]
fn one_that_may_be_slept_over_is_told_goodbye() {
    for keys in ["keeps_awake = \"while-active\"", "keeps_awake = false"] {
        let upstream = Upstream::new();
        let (site, daemon) = sleepy(&upstream, keys);
        let [client, connection] = &mut upgraded(&site, &upstream, "websocket");
        assert_eq!(rest(client), GOODBYE);
        assert_eq!(unmasked(&rest(connection)), GOODBYE);
        daemon.asleep();
    }
}

#[test]
fn one_that_is_awake_while_it_moves_lasts_while_it_moves() {
    let upstream = Upstream::new();
    let route = upstream.route("keeps_awake = \"while-active\"");
    let site = Site::new(&format!("[sleep]\nafter = \"400ms\"\nmin_awake = \"400ms\"\n{route}"));
    let daemon = site.wake();
    let mut both = upgraded(&site, &upstream, "websocket");
    for _ in 0..10 {
        // A whole empty text frame each way.
        both[0].send(b"\x81\x80\0\0\0\0");
        both[1].0.read_exact(&mut [0; 6]).expect("it comes");
        std::thread::sleep(Duration::from_millis(100)); // together more than twice its quiet
    }
    assert_eq!(rest(&mut both[0]), GOODBYE);
    daemon.asleep();
}

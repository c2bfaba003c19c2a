//! The instant of falling asleep. What reaches the kernel before the end is answered, and nobody hears of an end that
//! does not come.
//!
//! A reload stops the keeper at a gate, and with it the one thread that serves: what a test sends meanwhile is in the
//! kernel, unseen by the poller, when the keeper goes on. It goes on with a clock that has run out, and its next look
//! is the last one before the close.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::harness::{AtGate, Client, Daemon, Gate, Unit, connect};
use crate::wire;

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
const POST: &str = "POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc";

/// A program that stays awake until [`Edge::last_moment`].
struct Edge {
    unit: Unit,
    web: SocketAddr,
    local: PathBuf,
    reload: Gate,
    flush: Gate,
    daemon: Daemon,
}

impl Edge {
    /// Started by a client, which keeps its connection.
    fn new(flush: Flush) -> (Self, Client<TcpStream>) {
        let unit = Unit::new().set("AFTER", 60_000).set("MIN_AWAKE", 0);
        let (reload, flush_gate) = (Gate::new(&unit.folder, "reload"), Gate::new(&unit.folder, "flush"));
        let mut unit = unit.gate("RELOAD_GATE", &reload);
        if flush == Flush::AtGate {
            unit = unit.gate("FLUSH_GATE", &flush_gate);
        }
        let web = unit.tcp("127.0.0.1:0", "web");
        let local = unit.unix("local");
        let mut client = connect(web);
        client.ask("/");
        let daemon = unit.wake();
        assert_eq!(client.answer().text(), "ok");
        (Self { unit, web, local, reload, flush: flush_gate, daemon }, client)
    }

    /// Stops the keeper.
    fn stopped(&self) -> AtGate {
        self.daemon.signal(libc::SIGHUP);
        self.reload.arrived()
    }

    /// What `act` does is done when the keeper decides that it is time to sleep.
    fn last_moment(&self, act: impl FnOnce()) {
        let mut stopped = self.stopped();
        act();
        stopped.say("sleep");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    AtOnce,
    AtGate,
}

#[test]
fn a_request_on_an_idle_connection_is_answered() {
    for (request, answer) in [(GET, "ok"), (POST, "3")] {
        let (edge, mut client) = Edge::new(Flush::AtOnce);
        let mut idle = connect(edge.web);
        let mut local = Client(UnixStream::connect(&edge.local).expect("it listens"));
        assert_eq!((idle.get("/").text(), local.get("/").text()), ("ok", "ok"));
        edge.last_moment(|| {
            client.send(request);
            local.send(request);
        });
        assert_eq!((client.answer().text(), local.answer().text()), (answer, answer));
        let log = edge.daemon.asleep();
        assert!(log.contains("served 5 requests"), "{log}");
        assert_eq!((client.rest(), local.rest(), idle.rest()), Default::default(), "a clean end, then");
    }
}

#[test]
fn a_head_cut_at_every_byte_is_waited_for() {
    for cut in 1..GET.len() {
        let (edge, mut client) = Edge::new(Flush::AtOnce);
        edge.last_moment(|| client.send(&GET[..cut]));
        // Whoever asks sees it held: closed, it would not be there any more.
        let counters = connect(edge.web).get("/counters");
        assert!(counters.text().contains("new 1\n"), "cut at {cut}: {}", counters.text());
        client.send(&GET[cut..]);
        assert_eq!(client.answer().text(), "ok", "cut at {cut}");
        edge.daemon.asleep();
    }
}

#[test]
fn half_a_head_alone_holds_and_has_its_limit() {
    let (mut edge, mut client) = Edge::new(Flush::AtOnce);
    edge.last_moment(|| client.send("GET / HT"));
    edge.daemon.hear("STATUS=awake: 1 connection with no request yet");
    client.send("TP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.answer().text(), "ok");
    edge.daemon.asleep();
}

#[test]
fn a_stream_on_an_idle_http2_connection_is_answered() {
    let (edge, _client) = Edge::new(Flush::AtOnce);
    let mut stream = wire::open(edge.web);
    stream.write_all(&wire::frame(wire::HEADERS, 5, 1, &wire::get("/"))).expect("taken");
    assert_eq!(wire::answer(&mut stream, 1), "ok");
    edge.last_moment(|| {
        stream.write_all(&wire::frame(wire::HEADERS, 5, 3, &wire::get("/"))).expect("taken");
    });
    assert_eq!(wire::answer(&mut stream, 3), "ok");
    drop(stream);
    edge.daemon.asleep();
}

#[test]
fn a_fresh_connection_is_answered_and_may_think_first() {
    let (mut edge, client) = Edge::new(Flush::AtOnce);
    drop(client);
    let (mut full, mut half, mut silent) = (None, None, None);
    edge.last_moment(|| {
        full.insert(connect(edge.web)).send(GET);
        half.insert(connect(edge.web)).send("G");
        silent = Some(connect(edge.web));
    });
    assert_eq!(full.expect("it came").answer().text(), "ok");
    edge.daemon.hear("STATUS=awake: 2 connections with no request yet");
    let (mut half, mut silent) = (half.expect("it came"), silent.expect("it came"));
    half.send(&GET[1..]);
    silent.send(GET);
    assert_eq!((half.answer().text(), silent.answer().text()), ("ok", "ok"));
    edge.daemon.asleep();
}

#[test]
fn what_comes_during_the_flush_calls_it_back() {
    let (mut edge, client) = Edge::new(Flush::AtGate);
    drop(client);
    edge.last_moment(|| {});
    for (first, second) in [(GET, ""), ("", GET), (&GET[..9], &GET[9..]), (POST, "")] {
        let flushing = edge.flush.arrived();
        let mut client = connect(edge.web);
        client.send(first);
        if second.is_empty() {
            assert!(client.answer().status() == 200, "though the flush is not over");
            drop(client);
            flushing.pass();
        } else {
            // Seen by whoever asks: called back, not only unfinished.
            let serving = connect(edge.web).get("/counters");
            assert!(serving.text().contains("new 1\n"), "{}", serving.text());
            flushing.pass();
            client.send(second);
            assert_eq!(client.answer().text(), "ok");
        }
        assert!(!edge.daemon.has_said("STOPPING=1"), "systemd would not let it change its mind");
    }
    edge.flush.arrived().open();
    let (status, log, told) = edge.daemon.farewell();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches("asleep: ").count(), 1, "{log}");
    assert_eq!(told.iter().filter(|message| message.contains("STOPPING=1")).count(), 1, "{told:?}");
    let last = told.last().expect("it said something");
    assert!(last.contains("BARRIER=1"), "it leaves when systemd has read the rest: {told:?}");
}

#[test]
fn the_last_sweep_finds_what_the_poller_has_not_told() {
    for request in [GET, "", POST] {
        let (mut edge, client) = Edge::new(Flush::AtGate);
        drop(client);
        edge.last_moment(|| {});
        let flushing = edge.flush.arrived();
        // The keeper stands while the flush ends; next it sweeps, before it asks the poller.
        let stopped = edge.stopped();
        flushing.pass();
        std::thread::sleep(Duration::from_millis(20)); // past the gate it has only to return; without it the test is easier
        let mut fresh = connect(edge.web);
        let mut local = Client(UnixStream::connect(&edge.local).expect("it listens"));
        fresh.send(request);
        local.send(request);
        stopped.open();
        if request.is_empty() {
            edge.daemon.hear("STATUS=awake: 2 connections with no request yet");
            fresh.send(GET);
            local.send(GET);
        }
        assert_eq!((fresh.answer().status(), local.answer().status()), (200, 200));
        assert!(!edge.daemon.has_said("STOPPING=1"));
        drop((fresh, local));
        edge.flush.arrived().open();
        edge.daemon.asleep();
    }
}

#[test]
fn what_comes_after_the_end_is_decided_waits_for_the_next_process() {
    let (mut edge, client) = Edge::new(Flush::AtOnce);
    drop(client);
    edge.last_moment(|| {});
    edge.daemon.hear("STOPPING=1");
    let mut fresh = connect(edge.web);
    fresh.send(GET);
    let log = edge.daemon.asleep();
    assert!(log.contains("served 1 request"), "{log}");
    let _next = edge.unit.start();
    assert_eq!(fresh.answer().text(), "ok");
}

/// Opens a stream after the first GOAWAY and one more after the PING, and acknowledges that only then.
fn opens_streams_between_the_goaways(stream: &mut TcpStream, gate: &Gate) {
    let goaway = wire::until(stream, wire::GOAWAY);
    assert_eq!(wire::last_stream(&goaway), 0x7fff_ffff, "the first one names no limit");
    stream.write_all(&wire::frame(wire::HEADERS, 5, 3, &wire::get("/"))).expect("taken");
    let ping = wire::until(stream, wire::PING);
    let slow = wire::get(&format!("/gate?{}", gate.query()));
    stream.write_all(&wire::frame(wire::HEADERS, 5, 5, &slow)).expect("taken");
    let upload =
        [wire::frame(wire::HEADERS, 4, 7, &wire::post("/upload")), wire::frame(wire::DATA, 1, 7, b"abc")];
    stream.write_all(&upload.concat()).expect("taken");
    assert_eq!(wire::answer(stream, 7), "3");
    stream.write_all(&wire::frame(wire::PING, wire::ACK, 0, &ping.payload)).expect("taken");
    let goaway = wire::until(stream, wire::GOAWAY);
    assert_eq!(wire::last_stream(&goaway), 7, "all that were opened");
    gate.arrived().open();
    assert_eq!(wire::answer(stream, 5), "passed");
    assert!(wire::next(stream).is_none(), "and then the end");
}

#[test]
fn streams_opened_between_the_goaways_are_answered_when_it_falls_asleep() {
    let mut unit = Unit::new().set("AFTER", 50);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut stream = wire::open(web);
    stream.write_all(&wire::frame(wire::HEADERS, 5, 1, &wire::get("/"))).expect("taken");
    assert_eq!(wire::answer(&mut stream, 1), "ok");
    opens_streams_between_the_goaways(&mut stream, &gate);
    drop(stream);
    let log = daemon.asleep();
    assert!(log.contains("served 4 requests"), "{log}");
}

#[test]
fn streams_opened_between_the_goaways_are_answered_in_a_drain() {
    let mut unit = Unit::new().set("AFTER", 60_000).set("MIN_AWAKE", 60_000);
    let web = unit.tcp("127.0.0.1:0", "web");
    let gate = Gate::new(&unit.folder, "gate");
    let daemon = unit.wake();
    let mut stream = wire::open(web);
    stream.write_all(&wire::frame(wire::HEADERS, 5, 1, &wire::get("/"))).expect("taken");
    assert_eq!(wire::answer(&mut stream, 1), "ok");
    daemon.signal(libc::SIGTERM);
    opens_streams_between_the_goaways(&mut stream, &gate);
    drop(stream);
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("served 4 requests") && !log.contains("overdue"), "{log}");
}

/// Numbers that look random and are the same in every run (xorshift64).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn nothing_is_lost_at_the_real_edge() {
    // Whichever side of the edge a pause falls on: a fresh connection is answered, by this process or the next; one that
    // is reused has its answer or a clean end with nothing answered.
    let mut unit = Unit::new().set("AFTER", 20).set("GRACE", 20).set("MIN_AWAKE", 0);
    let web = unit.tcp("127.0.0.1:0", "web");
    let mut dice = Dice(0x0d0e_0a0d_0b0e_0e0f);
    let (mut awake, mut asleep, mut reused_in_time) = (0, 0, 0);
    for round in 0..100 {
        let request = if dice.below(2) == 0 { GET } else { POST };
        let cut = usize::try_from(dice.below(request.len() as u64)).expect("small");
        let mut reused = connect(web);
        reused.send(GET);
        let daemon = unit.start();
        assert_eq!(reused.answer().text(), "ok");
        std::thread::sleep(Duration::from_micros(10_000 + dice.below(50_000)));
        let sent = reused.0.write_all(&request.as_bytes()[..cut]);
        let mut fresh = connect(web);
        fresh.send(&request[..cut]);
        std::thread::sleep(Duration::from_micros(dice.below(2_000)));
        fresh.send(&request[cut..]);
        let sent = sent.and_then(|()| reused.0.write_all(&request.as_bytes()[cut..]));
        let _ = reused.0.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let read = reused.0.read_to_end(&mut rest);
        let is_answered = rest.starts_with(b"HTTP/1.1 200");
        assert!(is_answered || rest.is_empty(), "round {round}: {}", String::from_utf8_lossy(&rest));
        if is_answered {
            assert!(sent.is_ok() && read.is_ok());
            reused_in_time += 1;
        }
        daemon.asleep();
        if arrived(&mut fresh.0).is_empty() {
            // It came after the last sweep: it waits in the socket for the next process.
            let next = unit.start();
            assert_eq!(fresh.answer().status(), 200, "round {round}");
            drop(fresh);
            next.asleep();
            asleep += 1;
        } else {
            assert_eq!(fresh.answer().status(), 200, "round {round}");
            awake += 1;
        }
    }
    let met = awake > 0 && asleep > 0 && reused_in_time > 0;
    assert!(met, "the pauses did not meet the edge: {awake} awake, {asleep} asleep, {reused_in_time} reused");
}

/// What has come on a connection by now; it stays there.
fn arrived(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_nonblocking(true).expect("an option");
    let mut buffer = vec![0; 4096];
    let len = stream.peek(&mut buffer).unwrap_or(0);
    buffer.truncate(len);
    stream.set_nonblocking(false).expect("an option");
    buffer
}

//! What the engine is doing: in figures ([`Snapshot`]) and in full ([`Account`]).

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

use super::exchange::{Exchange, KeepsAwake, Part};
use super::record::{Record, State};
use super::shared::Shared;
use crate::lifecycle::Sleep;

/// The most holders an account lists: it is for people.
const MOST_HOLDERS: usize = 256;

/// The engine at one instant.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// `starting`, `serving`, `closing`, `committed` or `draining`.
    pub phase: &'static str,
    /// Open connections that say nothing yet, or have not finished their first head.
    pub new: usize,
    /// Open connections with a request in work or under way.
    pub busy: usize,
    /// Open keep-alive connections between requests.
    pub idle: usize,
    /// Connections half-closed by us, waiting for the peer's end.
    pub lingering: usize,
    /// Upgraded connections.
    pub tunnels: usize,
    /// Requests being answered.
    pub in_flight: usize,
    /// Live tasks of the runtime; 0 when asked from outside of it.
    pub tasks: usize,
    /// Since the process was ready.
    pub uptime: Duration,
    /// When it will fall asleep if nothing happens; `None`: never.
    pub asleep_in: Option<Duration>,
    /// Requests answered that counted.
    pub served: u64,
    /// Requests answered that did not count, and connections that never made one.
    pub noise: u64,
    /// Wakes since boot, this one included.
    pub wakes: u64,
}

/// The engine at one instant, with everybody who keeps it awake.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The figures.
    pub snapshot: Snapshot,
    /// Holds that are no connection's: background work, a reload, whoever asks.
    pub other_holds: u64,
    /// What connections are doing that matters to the sleep, the oldest first, at most 256. Idle ones are not listed.
    pub holders: Vec<Holder>,
    /// How many more there are.
    pub more: usize,
    /// How long ago something that counts last ended; `None`: nothing yet in this wake.
    pub last_counted: Option<Duration>,
    /// The sleep settings in force.
    pub sleep: Sleep,
}

/// Something on a connection that keeps the process awake, or would if its policy did not let it sleep.
#[derive(Clone, Debug)]
pub struct Holder {
    /// What it is.
    pub what: What,
    /// Who is at the other end; after the client on whose behalf, if it said so: `192.0.2.7:4711 via 127.0.0.1:50122`.
    pub peer: String,
    /// The name of the socket it came in on.
    pub socket: String,
    /// The request's method.
    pub method: Option<String>,
    /// The route that answers, as the service named it ([`Exchange::set_route`]).
    pub route: Option<Arc<str>>,
    /// Since when.
    pub age: Duration,
    /// What it is doing now, for people: `being answered`.
    pub doing: &'static str,
    /// Whether it is held for.
    pub keeps_awake: KeepsAwake,
}

/// What a [`Holder`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A connection that has said nothing yet.
    New,
    /// Part of a request's head.
    Head,
    /// A request, until its answer's last byte is with the kernel.
    Request,
    /// An answer that is a stream, such as Server-Sent Events.
    Stream,
    /// An upgraded connection, such as a WebSocket.
    Upgrade,
    /// A connection whose last answer is out, until the client has closed its side.
    Closing,
}

impl Shared {
    /// The figures now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let census = self.roll.census();
        Snapshot {
            phase: self.phase().name(),
            new: census.new,
            busy: census.busy,
            idle: census.idle,
            lingering: census.lingering,
            tunnels: census.tunnels,
            in_flight: self.in_flight.load(Acquire),
            // Outside the runtime nobody can tell.
            tasks: tokio::runtime::Handle::try_current()
                .map_or(0, |runtime| runtime.metrics().num_alive_tasks()),
            uptime: self.ready.elapsed(),
            asleep_in: self.asleep_in(&self.settings().sleep),
            served: self.tally.served.load(Relaxed),
            noise: self.tally.noise.load(Relaxed),
            wakes: self.wakes.count(),
        }
    }

    /// All there is to tell now.
    pub(super) fn account(&self) -> Account {
        let now = self.activity.since_origin();
        let (mut found, mut explained) = (Vec::new(), 0);
        self.roll.each(|record| explained += find(record, now, &mut found));
        // There may be many, and texts are made only of those that are told.
        found.sort_unstable_by_key(|found: &Found| found.since);
        let more = found.len().saturating_sub(MOST_HOLDERS);
        found.truncate(MOST_HOLDERS);
        Account {
            snapshot: self.snapshot(),
            other_holds: self.activity.counts().all().saturating_sub(explained),
            holders: found.iter().map(|found| found.holder(now)).collect(),
            more,
            last_counted: self.activity.extended().map(|at| Instant::now().saturating_duration_since(at)),
            sleep: self.settings().sleep.clone(),
        }
    }
}

/// Something that is told of, before it is put into words.
struct Found {
    record: Arc<Record>,
    exchange: Option<Exchange>,
    what: What,
    since: u64,
    doing: &'static str,
}

/// Adds what one connection is doing; how many holds that explains.
fn find(record: &Arc<Record>, now: u64, found: &mut Vec<Found>) -> u64 {
    let (mut own, mut is_held, mut any) = (0, false, false);
    record.in_hand.each(|exchange| {
        any = true;
        own += u64::from(exchange.has_hold());
        is_held |= exchange.is_held();
        let (what, doing) = match exchange.waits() {
            true => (What::Request, "waits quietly"),
            false => doing(exchange.part(), record),
        };
        let (record, exchange, since) = (record.clone(), Some(exchange.clone()), exchange.since());
        found.push(Found { record, exchange, what, since, doing });
    });
    if any {
        return own + u64::from(is_held);
    }
    let waiting = record.reading_since.load(Relaxed);
    let (what, since, doing) = match record.state() {
        State::Idle => return 0,
        State::New => (What::New, waiting, "has said nothing yet"),
        State::Head => (What::Head, waiting, "the rest of its request is waited for"),
        State::Busy => (What::Request, record.writing_since.load(Relaxed), "its last bytes are on their way"),
        State::Tunnel => (What::Upgrade, 0, "open"),
        State::Lingering if record.is_quiet.load(Relaxed) => return 0, // nobody waits for its end
        State::Lingering => (What::Closing, 0, "answered, its end is waited for"),
    };
    let since = if since == 0 { now } else { since };
    found.push(Found { record: record.clone(), exchange: None, what, since, doing });
    1
}

fn doing(part: Part, record: &Record) -> (What, &'static str) {
    match part {
        Part::Asked if record.reading_since.load(Relaxed) != 0 => (What::Request, "its body is waited for"),
        Part::Asked => (What::Request, "being answered"),
        Part::Answer if record.writing_since.load(Relaxed) != 0 => {
            (What::Request, "its answer waits for the client")
        }
        Part::Answer => (What::Request, "its answer is being sent"),
        Part::Stream => (What::Stream, "open"),
        Part::Upgrade => (What::Upgrade, "open"),
    }
}

impl Found {
    fn holder(&self, now: u64) -> Holder {
        let exchange = self.exchange.as_ref();
        Holder {
            what: self.what,
            peer: self.record.who().to_string(),
            socket: self.record.socket.to_string(),
            method: exchange.map(|exchange| exchange.method().to_string()),
            route: exchange.and_then(Exchange::route).cloned(),
            age: Duration::from_nanos(now.saturating_sub(self.since)),
            doing: self.doing,
            keeps_awake: match exchange {
                Some(exchange) if exchange.stirs() => KeepsAwake::WhileActive,
                Some(exchange) if !exchange.is_held() => KeepsAwake::No,
                _ => KeepsAwake::Yes,
            },
        }
    }
}

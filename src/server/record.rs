//! One record a connection, and the roll of all of them.
//!
//! A record is written by its connection's own task and read by whoever tells of it: status, health, `why`. No lock that
//! connections share and no allocation a request; the roll is locked only when a connection comes or goes, and to walk it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use atomic_waker::AtomicWaker;
use tokio::sync::Notify;

use super::framing::Refusal;
use super::framing::head::EmptyLines;
use super::in_flight::{InHand, Regained, Unheld};
use crate::activation::Peer;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Nothing has come yet.
    New,
    /// A head has begun.
    Head,
    /// A request is being answered.
    Busy,
    /// Between requests.
    Idle,
    /// Our side is closed; waiting for the peer's end.
    Lingering,
    /// Upgraded: its bytes are somebody else's.
    Tunnel,
}

const STATES: [State; 6] =
    [State::New, State::Head, State::Busy, State::Idle, State::Lingering, State::Tunnel];

/// One connection. Times are nanoseconds of [`crate::lifecycle::Activity::since_origin`]; 0 is "not waiting".
#[derive(Debug)]
pub struct Record {
    id: u64,
    /// Who is at the other end.
    pub peer: Peer,
    /// On whose behalf, if it may say so and did.
    pub client: OnceLock<Peer>,
    /// It said that it asks on somebody's behalf, and not whose.
    pub is_for_unknown: AtomicBool,
    /// The name of the socket it came in on.
    pub socket: Arc<str>,
    state: AtomicU8,
    /// Requests in the service's hands (more than one only with HTTP/2).
    pub in_flight: AtomicU32,
    /// Those of them whose answer has something ready that the connection has not taken yet.
    pub untaken: AtomicU32,
    /// Since when the peer is waited for: its first byte, the rest of a head, more of a body, the next request.
    pub reading_since: AtomicU64,
    /// Since when the peer takes nothing.
    pub writing_since: AtomicU64,
    /// The answer's body is over; what remains is to flush it.
    pub is_answered: AtomicBool,
    /// The client has sent more than the request being answered: the next one, or part of it.
    pub has_next: AtomicBool,
    /// A request that counts has ended since the connection's hold began.
    pub counts: AtomicBool,
    /// Our side was closed while all was quiet: its end is not waited for.
    pub is_quiet: AtomicBool,
    /// Nobody reads or writes it any more: what still ends there restarts the clock by itself.
    pub is_over: AtomicBool,
    /// Bytes of empty lines before its next request.
    empty_lines: AtomicU8,
    /// Its requests.
    pub(super) in_hand: InHand,
    /// Those of them that are not held for.
    pub(super) unheld: Unheld,
    /// A hold to take.
    pub(super) regained: Regained,
    /// The `reading_since` of the idleness in which it was asked to leave; a request in between makes it void.
    asked_to_leave: AtomicU64,
    /// The same of being asked to keep nothing while it waits.
    asked_to_rest: AtomicU64,
    is_gone: AtomicBool,
    /// Told when `is_gone` becomes true.
    pub gone: Notify,
    /// The connection's task.
    pub waker: AtomicWaker,
}

impl Record {
    /// Who asks: the client that a trusted peer has named, else the peer.
    pub fn client(&self) -> &Peer {
        self.client.get().unwrap_or(&self.peer)
    }

    /// Both, for people: `192.0.2.7:4711 via 127.0.0.1:50122`.
    pub fn who(&self) -> Who<'_> {
        Who(self)
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        STATES[usize::from(self.state.load(Acquire))]
    }

    /// Notes what it is doing.
    pub fn set_state(&self, state: State) {
        self.state.store(state as u8, Release);
    }

    /// How many of the next bytes are of empty lines before a request; if not all, a head begins there.
    ///
    /// # Errors
    /// Those of [`EmptyLines::advance`].
    pub fn skip_empty_lines(&self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut lines = EmptyLines::resumed(self.empty_lines.load(Relaxed));
        let taken = lines.advance(bytes)?;
        self.empty_lines.store(if taken < bytes.len() { 0 } else { lines.seen() }, Relaxed);
        Ok(taken)
    }

    /// Since when it is idle, if it is ([`State::Idle`]).
    pub fn idle_since(&self) -> u64 {
        self.reading_since.load(Relaxed)
    }

    /// Asks an idle connection to make room for a newcomer.
    pub fn ask_to_leave(&self) {
        self.asked_to_leave.store(self.idle_since(), Relaxed);
        self.waker.wake();
    }

    /// Whether it was asked to leave, and has been idle ever since.
    pub fn is_asked_to_leave(&self) -> bool {
        self.is_still(&self.asked_to_leave)
    }

    /// Asks an idle connection to keep nothing while it waits.
    pub fn ask_to_rest(&self) {
        self.asked_to_rest.store(self.idle_since(), Relaxed);
        self.waker.wake();
    }

    /// Whether it was asked to rest, and has been idle ever since.
    pub fn is_asked_to_rest(&self) -> bool {
        self.is_still(&self.asked_to_rest)
    }

    fn is_still(&self, asked: &AtomicU64) -> bool {
        let asked = asked.load(Relaxed);
        asked != 0 && asked == self.idle_since()
    }

    /// Whether the client has closed its side or is gone.
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Acquire)
    }

    /// Notes that the client has closed its side or is gone, and tells whoever waits for it.
    pub fn set_gone(&self) {
        if !self.is_gone.swap(true, AcqRel) {
            self.gone.notify_waiters();
        }
    }
}

/// See [`Record::who`].
pub struct Who<'r>(&'r Record);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.client.get() {
            Some(client) => write!(f, "{client} via {}", self.0.peer),
            None => self.0.peer.fmt(f),
        }
    }
}

/// Connections by what they are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Nothing has come yet, or only part of a head.
    pub new: usize,
    /// With a request in work.
    pub busy: usize,
    /// Between requests.
    pub idle: usize,
    /// Our side closed.
    pub lingering: usize,
    /// Upgraded.
    pub tunnels: usize,
}

/// All open connections.
#[derive(Debug, Default)]
pub struct Roll {
    records: Mutex<HashMap<u64, Arc<Record>>>,
    open: AtomicUsize,
    next: AtomicU64,
}

impl Roll {
    /// Enters a new connection, waited for since `now`.
    pub fn enter(&self, peer: Peer, socket: Arc<str>, now: u64) -> Arc<Record> {
        let record = Arc::new(Record {
            id: self.next.fetch_add(1, Relaxed),
            peer,
            client: OnceLock::new(),
            is_for_unknown: AtomicBool::new(false),
            socket,
            state: AtomicU8::new(State::New as u8),
            in_flight: AtomicU32::new(0),
            untaken: AtomicU32::new(0),
            reading_since: AtomicU64::new(now),
            writing_since: AtomicU64::new(0),
            is_answered: AtomicBool::new(false),
            has_next: AtomicBool::new(false),
            counts: AtomicBool::new(false),
            is_quiet: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            empty_lines: AtomicU8::new(0),
            in_hand: InHand::default(),
            unheld: Unheld::default(),
            regained: Regained::default(),
            asked_to_leave: AtomicU64::new(0),
            asked_to_rest: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
            gone: Notify::new(),
            waker: AtomicWaker::new(),
        });
        self.open.fetch_add(1, AcqRel);
        self.lock().insert(record.id, record.clone());
        record
    }

    /// Strikes a connection that is closed.
    pub fn leave(&self, record: &Record) {
        record.in_hand.clear();
        if self.lock().remove(&record.id).is_some() {
            self.open.fetch_sub(1, AcqRel);
        }
    }

    /// Open connections.
    pub fn open(&self) -> usize {
        self.open.load(Acquire)
    }

    /// Walks all records.
    pub fn each(&self, mut visit: impl FnMut(&Arc<Record>)) {
        self.lock().values().for_each(&mut visit);
    }

    /// Counts them by what they are doing.
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        self.each(|record| {
            *match record.state() {
                State::New | State::Head => &mut census.new,
                State::Busy => &mut census.busy,
                State::Idle => &mut census.idle,
                State::Lingering => &mut census.lingering,
                State::Tunnel => &mut census.tunnels,
            } += 1;
        });
        census
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Record>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner) // a map is whole after any panic
    }
}

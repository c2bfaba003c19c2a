//! What the engine is doing, in full ([`Account`]).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::exchange::Snapshot;
use super::record::{Record, State};
use super::shared::Shared;
use crate::lifecycle::Sleep;

const MOST_HOLDERS: usize = 256;

#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Account {
    pub snapshot: Snapshot,
    pub holds: u64,
    pub holders: Vec<Holder>,
    pub more: usize,
    pub last_counted: Option<Duration>,
    pub sleep: Sleep,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Holder {
    pub what: What,
    pub peer: String,
    pub socket: String,
    pub method: Option<String>,
    pub route: Option<Arc<str>>,
    pub age: Duration,
    pub doing: &'static str,
    pub keeps_awake: KeepsAwake,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum What {
    New,
    Head,
    Request,
    Stream,
    Upgrade,
    Closing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum KeepsAwake {
    Yes,
    WhileActive,
    No,
}

impl Shared {
    pub(super) fn account(&self) -> Account {
        let now = self.activity.since_origin();
        let mut holders = Vec::new();
        self.roll.each(|record| holders_of(record, now, &mut holders));
        holders.sort_by_key(|holder: &Holder| std::cmp::Reverse(holder.age));
        let more = holders.len().saturating_sub(MOST_HOLDERS);
        holders.truncate(MOST_HOLDERS);
        Account {
            snapshot: self.snapshot(),
            holds: self.activity.counts().all(),
            holders,
            more,
            last_counted: self.activity.extended().map(|at| Instant::now().saturating_duration_since(at)),
            sleep: self.settings().sleep.clone(),
        }
    }
}

fn holders_of(record: &Record, now: u64, holders: &mut Vec<Holder>) {
    let waiting = record.reading_since.load(Relaxed);
    let (what, since, doing) = match record.state() {
        State::Idle => return,
        State::New => (What::New, waiting, "has said nothing yet"),
        State::Head => (What::Head, waiting, "the rest of its request is waited for"),
        State::Busy => (What::Request, record.writing_since.load(Relaxed), "its last bytes are on their way"),
        State::Tunnel => (What::Upgrade, 0, "open"),
        State::Lingering => (What::Closing, 0, "answered, its end is waited for"),
    };
    holders.push(Holder {
        what,
        peer: record.peer.to_string(),
        socket: record.socket.to_string(),
        method: None,
        route: None,
        age: Duration::from_nanos(if since == 0 { 0 } else { now.saturating_sub(since) }),
        doing,
        keeps_awake: KeepsAwake::Yes,
    });
}

//! The same request in the hands of the engine: how far it has come, and what it is to the sleep by then.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::Method;

use super::{ENDLESS, Exchange, Held, Inner, KeepsAwake, PARTS, Part};
use crate::server::patience::Patience;
use crate::server::record::Record;
use crate::server::shared::{Shared, Stage};

impl Exchange {
    pub(in crate::server) fn new(record: Arc<Record>, shared: Arc<Shared>, method: Method) -> Self {
        let since = shared.activity.since_origin();
        Self(Arc::new(Inner {
            record,
            shared,
            method,
            since,
            patience: Patience::since(since),
            policy: AtomicU8::new(KeepsAwake::Yes as u8),
            part: AtomicU8::new(Part::Asked as u8),
            held: AtomicU8::new(Held::Yes as u8),
            holds: AtomicBool::new(false),
            is_sent_off: AtomicBool::new(false),
            is_stream: AtomicBool::new(false),
            body_limit: AtomicU64::new(0),
            route: OnceLock::new(),
        }))
    }

    /// Whether it is served, and no noise.
    pub(in crate::server) fn counts(&self) -> bool {
        self.policy() != KeepsAwake::No
    }

    /// Whether its end restarts the clock.
    pub(in crate::server) fn extends(&self) -> bool {
        self.counts() && !self.0.is_sent_off.load(Acquire)
    }

    /// Whether it is held for; what its policy says of a stream was decided when its head was given.
    pub(in crate::server) fn is_held(&self) -> bool {
        self.0.held.load(Acquire) == Held::Yes as u8
    }

    /// Whether its bytes restart the clock though it is not held for.
    pub(in crate::server) fn stirs(&self) -> bool {
        self.0.held.load(Acquire) == Held::NoButStirs as u8
    }

    /// Notes whether it is held for by itself, not with its connection.
    pub(in crate::server) fn set_holds(&self, holds: bool) {
        self.0.holds.store(holds, Release);
    }

    pub(in crate::server) fn holds(&self) -> bool {
        self.0.holds.load(Acquire)
    }

    /// How long its body is waited for, if that is not for ever.
    pub(in crate::server) fn body_limit(&self, default: Option<Duration>) -> Option<Duration> {
        match self.0.body_limit.load(Acquire) {
            0 => default,
            ENDLESS => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    pub(in crate::server) fn patience(&self) -> &Patience {
        &self.0.patience
    }

    pub(in crate::server) fn part(&self) -> Part {
        PARTS[usize::from(self.0.part.load(Acquire))]
    }

    pub(in crate::server) fn method(&self) -> &Method {
        &self.0.method
    }

    /// When its head was whole, in the activity's nanoseconds.
    pub(in crate::server) fn since(&self) -> u64 {
        self.0.since
    }

    pub(in crate::server) fn record(&self) -> &Record {
        &self.0.record
    }

    pub(in crate::server) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Whether both are the same request.
    pub(in crate::server) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The answer's head is there. From here on a stream is what its policy says.
    pub(in crate::server) fn answer(&self, part: Part) {
        let is_stream = part == Part::Answer && self.0.is_stream.load(Acquire);
        let part = if is_stream { Part::Stream } else { part };
        self.0.part.store(part as u8, Release);
        let held = match self.policy() {
            _ if part == Part::Answer => return,
            KeepsAwake::Yes => return,
            KeepsAwake::WhileActive => Held::NoButStirs,
            KeepsAwake::No => Held::No,
        };
        self.0.record.unheld.begin(held == Held::NoButStirs);
        self.0.held.store(held as u8, Release);
        if self.0.shared.stage() == Stage::CloseIdle {
            self.send_off(); // the others were at the beginning of that stage
            self.0.shared.draining.notify_waiters();
        }
    }

    /// The stream, if it is one, is over.
    pub(in crate::server) fn end_stream(&self) {
        let held = self.0.held.swap(Held::Yes as u8, AcqRel);
        if held != Held::Yes as u8 {
            self.0.record.unheld.end(held == Held::NoButStirs as u8);
        }
    }

    /// Asks a stream that is not held for to end. What it still says, and its end, restart no clock.
    pub(in crate::server) fn send_off(&self) {
        if self.0.held.load(Acquire) == Held::Yes as u8 || self.0.is_sent_off.swap(true, AcqRel) {
            return;
        }
        let held = self.0.held.swap(Held::No as u8, AcqRel);
        self.0.record.unheld.calm(held == Held::NoButStirs as u8);
        if self.part() == Part::Upgrade {
            self.0.record.counts.store(false, Release);
        }
    }
}

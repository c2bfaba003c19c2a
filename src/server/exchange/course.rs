//! The same request in the hands of the engine: how far it has come, and what it is to the sleep by then.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use hyper::Method;

use super::{ENDLESS, Exchange, HELD, Held, Inner, KeepsAwake, Own, PARTS, Part};
use crate::lifecycle::Hold;
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
            own: Mutex::default(),
            is_sent_off: AtomicBool::new(false),
            is_in_vain: AtomicBool::new(false),
            is_stream: AtomicBool::new(false),
            body_limit: AtomicU64::new(0),
            route: OnceLock::new(),
        }))
    }

    /// Whether it is served, and no noise.
    pub(in crate::server) fn counts(&self) -> bool {
        self.policy() != KeepsAwake::No && !self.0.is_in_vain.load(Acquire)
    }

    /// Whether its end restarts the clock.
    pub(in crate::server) fn extends(&self) -> bool {
        self.counts() && !self.0.is_sent_off.load(Acquire)
    }

    /// Whether it is held for; what its policy says of a stream was decided when its head was given.
    pub(in crate::server) fn is_held(&self) -> bool {
        self.held() == Held::Yes
    }

    /// Whether its bytes restart the clock though it is not held for.
    pub(in crate::server) fn stirs(&self) -> bool {
        self.held() == Held::NoButStirs
    }

    /// Whether it waits quietly.
    pub(in crate::server) fn waits(&self) -> bool {
        self.held() == Held::Waits
    }

    /// It is held for by itself, not only with its connection.
    pub(in crate::server) fn set_hold(&self, hold: Hold) {
        self.own().hold = Some(hold);
    }

    pub(in crate::server) fn has_hold(&self) -> bool {
        self.own().hold.is_some()
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
        if part == Part::Answer && self.is_held() {
            return;
        }
        let mut own = self.own();
        let held = match (self.held(), self.policy()) {
            (Held::Waits, _) => Held::No, // it was asked to end, and this is its answer
            (Held::Yes, KeepsAwake::WhileActive) => Held::NoButStirs,
            (Held::Yes, KeepsAwake::No) => Held::No,
            _ => return,
        };
        self.set_held(&own, held);
        own.hold = None;
        drop(own);
        if self.0.shared.stage() == Stage::CloseIdle {
            self.send_off(); // the others were at the beginning of that stage
            self.0.shared.draining.notify_waiters();
        }
    }

    /// It is over; the hold of its own, for whoever has something to note before that ends. An upgraded HTTP/1 connection
    /// goes on as the request: until the connection is closed.
    pub(in crate::server) fn end(&self) -> Option<Hold> {
        let mut own = self.own();
        own.is_over = true;
        if self.part() != Part::Upgrade {
            self.set_held(&own, Held::Yes);
        }
        own.hold.take()
    }

    /// Asks whoever is not held for to end. What it still says, and its end, restart no clock.
    pub(in crate::server) fn send_off(&self) {
        let own = self.own();
        if self.is_held() || self.0.is_sent_off.swap(true, AcqRel) {
            return;
        }
        if self.stirs() {
            self.set_held(&own, Held::No);
        }
        if self.part() == Part::Upgrade {
            self.0.record.counts.store(false, Release);
        }
    }

    pub(super) fn own(&self) -> MutexGuard<'_, Own> {
        self.0.own.lock().unwrap_or_else(PoisonError::into_inner) // it is whole after any panic
    }

    pub(super) fn held(&self) -> Held {
        HELD[usize::from(self.0.held.load(Acquire))]
    }

    /// Notes whether it is held for, also with its connection.
    pub(super) fn set_held(&self, _locked: &Own, held: Held) {
        let before = HELD[usize::from(self.0.held.swap(held as u8, AcqRel))];
        self.0.record.unheld.change(before.as_unheld(), held.as_unheld());
        match (before, held) {
            (Held::Waits, Held::Waits) => {}
            (Held::Waits, _) => _ = self.0.shared.waiting.fetch_sub(1, Release),
            (_, Held::Waits) => _ = self.0.shared.waiting.fetch_add(1, Release),
            _ => {}
        }
    }
}

impl Held {
    /// As what it is counted with its connection: not at all, or whether its bytes restart the clock.
    fn as_unheld(self) -> Option<bool> {
        match self {
            Self::Yes => None,
            Self::No | Self::Waits => Some(false),
            Self::NoButStirs => Some(true),
        }
    }
}

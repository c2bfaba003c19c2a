//! Requests in the service's hands, and what they are to the sleep: counted, listed for whoever asks, and, once they
//! have become streams, held for by their policy.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::exchange::{Exchange, Part};
use crate::lifecycle::Hold;
use crate::lifecycle::story::count;

/// A request in the service's hands, from the call to the end of the answer's body.
#[derive(Debug)]
pub(super) struct InFlight {
    exchange: Exchange,
    is_untaken: bool,
}

impl InFlight {
    /// `hold` if the request is held for by itself, not with its connection.
    pub(super) fn begin(exchange: Exchange, hold: Option<Hold>) -> Self {
        let (record, shared) = (exchange.record(), exchange.shared());
        record.in_flight.fetch_add(1, Relaxed);
        shared.in_flight.fetch_add(1, Relaxed);
        if let Some(hold) = hold {
            exchange.set_hold(hold);
        }
        record.in_hand.add(&exchange);
        Self { exchange, is_untaken: false }
    }

    /// The answer's head is there: a stream may not be held for from here on.
    pub(super) fn answer(&mut self, part: Part) {
        self.exchange.answer(part);
    }

    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Whether a piece of the answer has been given that the connection has not asked to go on from.
    pub(super) fn set_untaken(&mut self, is_untaken: bool) {
        if is_untaken != self.is_untaken {
            self.is_untaken = is_untaken;
            let untaken = &self.exchange.record().untaken;
            if is_untaken {
                untaken.fetch_add(1, Relaxed)
            } else {
                untaken.fetch_sub(1, Relaxed)
            };
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.set_untaken(false);
        let (record, shared) = (self.exchange.record(), self.exchange.shared());
        let hold = self.exchange.end(); // dropped last
        if self.exchange.extends() {
            record.counts.store(true, Release);
            // Where the connection does not ask in time: its client is gone, or the request is held for by itself.
            if hold.is_some() || record.is_over.load(Acquire) {
                shared.activity.extend();
            }
        }
        count(if self.exchange.counts() { &shared.tally.served } else { &shared.tally.noise });
        // An upgraded HTTP/1 connection goes on as it: until the connection is closed.
        if self.exchange.part() != Part::Upgrade {
            record.in_hand.remove(&self.exchange);
        }
        shared.in_flight.fetch_sub(1, Relaxed);
        record.in_flight.fetch_sub(1, Relaxed);
        record.is_answered.store(true, Release);
    }
}

/// The exchanges of one connection, for whoever tells of them. The lock is the connection's own, taken for a few
/// instructions when a request begins and ends, and waited for only while somebody walks all connections.
///
/// An exchange knows its record and is listed in it: the circle is broken when it ends, or with its connection.
#[derive(Debug, Default)]
pub(super) struct InHand(Mutex<Hands>);

/// HTTP/1 never has a second one, so that it never allocates.
#[derive(Debug, Default)]
struct Hands {
    first: Option<Exchange>,
    more: Vec<Exchange>,
}

impl InHand {
    fn add(&self, exchange: &Exchange) {
        let mut hands = self.lock();
        if hands.first.is_none() {
            hands.first = Some(exchange.clone());
        } else {
            hands.more.push(exchange.clone());
        }
    }

    fn remove(&self, exchange: &Exchange) {
        let mut hands = self.lock();
        if hands.first.as_ref().is_some_and(|first| first.is(exchange)) {
            hands.first = None;
        } else if let Some(at) = hands.more.iter().position(|one| one.is(exchange)) {
            hands.more.swap_remove(at);
        }
        if hands.more.is_empty() {
            hands.more = Vec::new(); // the many streams of one moment leave no memory behind
        }
    }

    /// Forgets all of them: the connection is closed.
    pub(super) fn clear(&self) {
        *self.lock() = Hands::default();
    }

    /// The longest time that any of them has for its body; `None`: for ever.
    pub(super) fn body_limit(&self, default: Option<Duration>) -> Option<Duration> {
        let hands = self.lock();
        let limits = hands.first.iter().chain(&hands.more).map(|one| one.body_limit(default));
        limits.reduce(|one, other| Some(one?.max(other?))).unwrap_or(default)
    }

    /// Walks them.
    pub(super) fn each(&self, visit: impl FnMut(&Exchange)) {
        let hands = self.lock();
        hands.first.iter().chain(&hands.more).for_each(visit);
    }

    fn lock(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // a list is whole after any panic
    }
}

/// The requests of one connection that let the process sleep (streams by their policy, and those that wait quietly), and of
/// them the ones whose bytes restart the clock. Only what is *not* held for is counted here.
#[derive(Debug, Default)]
pub(super) struct Unheld {
    all: AtomicU32,
    stirring: AtomicU32,
}

impl Unheld {
    /// One request is another one now. `None`: it is held for; else whether its bytes restart the clock.
    pub(super) fn change(&self, from: Option<bool>, to: Option<bool>) {
        let step = |count: &AtomicU32, was: bool, is: bool| match (was, is) {
            (false, true) => _ = count.fetch_add(1, Release),
            (true, false) => _ = count.fetch_sub(1, Release),
            _ => {}
        };
        step(&self.all, from.is_some(), to.is_some());
        step(&self.stirring, from == Some(true), to == Some(true));
    }

    /// Requests that are not held for.
    pub(super) fn count(&self) -> usize {
        self.all.load(Acquire) as usize
    }

    /// Whether bytes on this connection restart the clock.
    pub(super) fn stirs(&self) -> bool {
        self.stirring.load(Relaxed) > 0
    }
}

/// A hold for a connection to take. One of its requests waits quietly no more: what comes of that is held for to its last
/// byte, and the request may be over before.
#[derive(Debug, Default)]
pub(super) struct Regained {
    /// So that connections, which look at every turn, mostly need no lock.
    is_there: AtomicBool,
    hold: Mutex<Option<Hold>>,
}

impl Regained {
    /// For a connection that is served still.
    pub(super) fn put(&self, hold: Hold, is_over: &AtomicBool) {
        let mut place = self.lock();
        if !is_over.load(Acquire) {
            *place = Some(hold);
            self.is_there.store(true, Release);
        }
    }

    pub(super) fn take(&self) -> Option<Hold> {
        if self.is_there.load(Acquire) { self.clear() } else { None }
    }

    /// The same at the end of the connection: `is_over` is set, and nothing comes after this.
    pub(super) fn clear(&self) -> Option<Hold> {
        let mut place = self.lock();
        self.is_there.store(false, Release);
        place.take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Hold>> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner) // it is whole after any panic
    }
}

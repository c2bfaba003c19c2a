//! Since when the answer to a request is waited for: what a limit on that wait is measured from.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Instant;

use super::Exchange;

/// No wait for the service at present: somebody else is waited for.
const PAUSED: u64 = u64::MAX;

/// Since when the service is waited for, in the activity's nanoseconds.
#[derive(Debug)]
pub(super) struct Patience(AtomicU64);

impl Patience {
    pub(super) fn since(now: u64) -> Self {
        Self(AtomicU64::new(now))
    }
}

/// While this lives nobody loses patience with the service; when it is dropped the wait begins anew.
#[derive(Debug)]
pub struct Paused(Exchange);

impl Exchange {
    /// Since when the answer is waited for: the request's head, or the last thing that was not the service's to do, such
    /// as a piece of its body. `None` while such a thing is waited for.
    pub fn waited_for_since(&self) -> Option<Instant> {
        match self.patience().0.load(Acquire) {
            PAUSED => None,
            since => Some(self.shared().activity.instant(since)),
        }
    }

    /// The wait for the answer begins anew: something has come that it had to wait for.
    pub fn restart_wait(&self) {
        self.patience().0.store(self.shared().activity.since_origin(), Release);
    }

    /// The answer is not waited for until [`Exchange::restart_wait`]: the client is.
    pub fn pause_wait(&self) {
        self.patience().0.store(PAUSED, Release);
    }

    /// The same until dropped.
    #[must_use]
    pub fn paused(&self) -> Paused {
        self.pause_wait();
        Paused(self.clone())
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.restart_wait();
    }
}

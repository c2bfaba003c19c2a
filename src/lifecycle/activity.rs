//! What must not be left (holds), and what restarts the clock (extends): two things.
//!
//! A hold is a guard; dropping it ends it, also on panic and cancellation. The hot path is one addition when it
//! begins, and when it ends one clock reading, one maximum and one subtraction; no lock, no task woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::word::{Counts, Listen, Tell, Unit, Word};

/// The activity of one process, shared by everything that holds it.
#[derive(Debug)]
pub struct Activity {
    word: Word,
    /// Nanoseconds after `origin` at which something that counts last ended; 0: never yet.
    extended: AtomicU64,
    origin: Instant,
    changed: Notify,
}

/// Keeps the process awake until dropped.
#[derive(Debug)]
pub struct Hold {
    activity: Arc<Activity>,
    unit: Unit,
}

impl Activity {
    /// Nothing held yet; the clock starts now.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            word: Word::new(),
            extended: AtomicU64::new(0),
            origin: Instant::now(),
            changed: Notify::new(),
        })
    }

    /// Begins a hold, or `None` when the process has committed to leave: whatever it was for belongs to the next one.
    pub fn hold(self: &Arc<Self>) -> Option<Hold> {
        let (unit, tell) = self.word.begin()?;
        self.tell(tell);
        Some(Hold { activity: self.clone(), unit })
    }

    /// Restarts the clock: something that counts ends now, in the nanoseconds of [`Activity::since_origin`]. Call it
    /// *before* its hold is dropped, so that nobody sees the count at zero with the old time.
    pub fn extend(&self) -> u64 {
        let now = self.since_origin();
        self.extended.fetch_max(now, Ordering::AcqRel);
        now
    }

    /// When something that counts last ended.
    pub fn extended(&self) -> Option<Instant> {
        match self.extended.load(Ordering::Acquire) {
            0 => None,
            nanos => Some(self.instant(nanos)),
        }
    }

    /// Nanoseconds since this activity began, never 0; cheap to keep in an atomic.
    pub fn since_origin(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// The instant a value of [`Activity::since_origin`] stands for.
    pub fn instant(&self, since_origin: u64) -> Instant {
        self.origin + Duration::from_nanos(since_origin)
    }

    /// Holds now.
    pub fn counts(&self) -> Counts {
        self.word.counts()
    }

    pub(super) fn listen(&self, to: Listen) {
        self.word.listen(to);
    }

    pub(super) fn begin_drain(&self) {
        self.word.begin_drain();
    }

    pub(super) fn try_commit(&self) -> bool {
        self.word.try_commit()
    }

    /// What the keeper does last, for tests of those who come too late.
    #[cfg(test)]
    pub(crate) fn commit(&self) -> bool {
        self.try_commit()
    }

    /// Wakes the keeper for another look.
    pub fn nudge(&self) {
        self.changed.notify_one();
    }

    /// Resolves when something the keeper listens to has happened; at once if it did since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn tell(&self, tell: Tell) {
        if tell == Tell::Keeper {
            self.nudge();
        }
    }
}

impl Hold {
    /// The activity it holds.
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let tell = self.activity.word.end(self.unit);
        self.activity.tell(tell);
    }
}

//! What an app is doing, in one value.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::upstream::Group;

/// How long an app that has failed is left alone: doubled each time, up to the last.
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(30);

/// An app that was up for so long has not failed to start.
pub(super) const WELL_AFTER: Duration = Duration::from_secs(10);

/// What an app is doing, and for whom.
#[derive(Debug)]
pub(super) struct State {
    pub phase: Phase,
    /// Since when it is in that phase.
    pub since: Instant,
    /// Which start this is, or was.
    pub start: u64,
    /// The last start that came to nothing, or came down by itself.
    pub crash: Option<Crash>,
    /// Starts, one after the other, that came to nothing.
    pub failures: u32,
    /// Requests, and streams that hold it.
    pub in_use: usize,
    /// Streams whose policy lets it sleep.
    pub unheld: usize,
    /// When somebody last stopped using it.
    pub last_used: Instant,
    /// Requests that wait until it is up.
    pub waiting: usize,
    /// It has put off its stop.
    pub is_busy: bool,
    /// The task wants to hear when nobody wants it any more.
    pub is_end_told: bool,
    /// No config names it any more.
    pub is_abandoned: bool,
}

/// How far an app is.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// Nothing runs.
    Asleep,
    /// Requests wait for it.
    Starting,
    /// It can be asked.
    Up(Arc<Group>),
    /// Requests wait until it can be started again.
    Stopping,
}

/// A start that came to nothing, or an app that came down by itself.
#[derive(Clone, Debug)]
pub(super) struct Crash {
    pub start: u64,
    pub at: Instant,
    pub id: String,
}

impl State {
    /// Asleep, and never started yet.
    pub fn asleep() -> Self {
        let now = Instant::now();
        Self {
            phase: Phase::Asleep,
            since: now,
            start: 0,
            crash: None,
            failures: 0,
            in_use: 0,
            unheld: 0,
            last_used: now,
            waiting: 0,
            is_busy: false,
            is_end_told: false,
            is_abandoned: false,
        }
    }

    /// Enters a phase.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.is_busy = false;
        self.since = Instant::now();
    }

    /// Notes a failure, and that it is asleep.
    pub fn fail(&mut self, id: String, was_up_for: Duration) {
        self.failures = if was_up_for >= WELL_AFTER { 1 } else { self.failures.saturating_add(1) };
        self.crash = Some(Crash { start: self.start, at: Instant::now(), id });
        self.enter(Phase::Asleep);
    }

    /// Whether somebody uses it, or waits for it: who waits has it only a moment after it is up.
    pub fn is_wanted(&self) -> bool {
        self.in_use > 0 || self.waiting > 0
    }

    /// How long it is still left alone after a failure, and the failure's id.
    pub fn rest(&self) -> Option<(String, Duration)> {
        let crash = self.crash.as_ref().filter(|_| self.failures > 0)?;
        let rest = FIRST_REST.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST_REST);
        let left = rest.checked_sub(crash.at.elapsed()).filter(|left| !left.is_zero())?;
        Some((crash.id.clone(), left))
    }
}

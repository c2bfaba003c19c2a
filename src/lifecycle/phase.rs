//! The phase machine, pure: facts in, `now` among them, one step out.

use std::time::{Duration, Instant};

use super::Sleep;
use super::word::Listen;

/// How long before the end of a drain accepting stops, so that what was accepted can still be answered.
const LAST_CALL: Duration = Duration::from_secs(5);

/// How long the closing of idle connections may take beyond `grace`: an HTTP/2 peer has 5 s to answer a PING.
const POLITENESS: Duration = Duration::from_secs(6);

/// Where the process is in its life. Data lives in the phase it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Sockets are there, nothing is accepted yet.
    Starting,
    /// Accepting and answering.
    Serving,
    /// Quiet: idle connections are being closed; accepting goes on, and anything found means Serving again.
    Closing {
        /// When to stop waiting for peers to close their side.
        until: Instant,
    },
    /// Leaving because all is quiet. Nothing changes it any more.
    Committed,
    /// Leaving because of a signal.
    Draining {
        /// When the signal came.
        since: Instant,
        /// Whether connections are still accepted.
        accepting: Accepting,
    },
    /// Over.
    Gone(Exit),
}

/// Whether a drain still accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepting {
    /// Yes: requests from before the signal still run.
    Yes,
    /// No: what comes waits in the kernel for the next process.
    No,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Asleep: quiet for long enough.
    Asleep,
    /// Drained: everything accepted was answered.
    Drained,
    /// The drain's time was over; what still ran was cut.
    Overdue,
    /// A second signal cut it.
    Cut,
}

/// What the machine looks at. `now` is one of the facts.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The time of the look.
    pub now: Instant,
    /// When the process was ready.
    pub ready: Instant,
    /// Everything that must not be left.
    pub holds: u64,
    /// Those of them from before the drain.
    pub older: u64,
    /// Open connections, idle ones included.
    pub connections: usize,
    /// When something that counts last ended.
    pub extended: Option<Instant>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The listeners are polled.
    Ready,
    /// Time passed, or a count changed.
    Look,
    /// The last sweep found something.
    Found,
    /// The last sweep found nothing and the exchange to committed succeeded.
    Committed,
    /// SIGTERM or SIGINT.
    Signal,
}

/// What the keeper has to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Stay,
    /// Close all idle connections.
    CloseIdle,
    /// Something came: the connections not yet half-closed stay open.
    Reopen,
    /// Flush, look one last time, and try to commit.
    Sweep,
    /// Tell systemd, tell the connections, go on accepting.
    Drain,
    /// Accept no more.
    StopAccepting,
    /// Cut what still runs.
    Cut,
}

/// Every legal edge; any other is a bug in the caller, not an event to handle.
pub fn can_become(now: &Phase, next: &Phase) -> bool {
    use Phase::{Closing, Committed, Draining, Gone, Serving, Starting};
    matches!(
        (now, next),
        (Starting, Serving)
            | (Serving, Closing { .. })
            | (Closing { .. }, Serving | Committed)
            | (Committed, Gone(Exit::Asleep))
            | (Starting | Serving | Closing { .. }, Draining { accepting: Accepting::Yes, .. })
            | (Draining { accepting: Accepting::Yes, .. }, Draining { accepting: Accepting::No, .. })
            | (Draining { .. }, Gone(Exit::Drained | Exit::Overdue | Exit::Cut))
    )
}

/// When a process falls asleep if nothing happens; `None`: never. Until the first request that counts has ended
/// (`extended`), the clock is `min_awake`, not `after`.
pub fn asleep_at(sleep: &Sleep, ready: Instant, extended: Option<Instant>) -> Option<Instant> {
    let after = sleep.after?;
    let awake_until = ready.checked_add(sleep.min_awake)?; // beyond the end of time is never
    match extended {
        None => Some(awake_until),
        Some(extended) => Some(awake_until.max(extended.checked_add(after)?)),
    }
}

/// The machine: a phase, and the settings that decide its next one.
#[derive(Clone, Debug)]
pub struct Machine {
    phase: Phase,
    sleep: Sleep,
}

impl Machine {
    /// A process that has just started.
    pub fn new(sleep: Sleep) -> Self {
        Self { phase: Phase::Starting, sleep }
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The settings in force.
    pub fn sleep(&self) -> &Sleep {
        &self.sleep
    }

    /// Takes new settings, from the next look on.
    pub fn set_sleep(&mut self, sleep: Sleep) {
        self.sleep = sleep;
    }

    /// When it falls asleep if nothing happens; `None`: never.
    pub fn asleep_at(&self, facts: &Facts) -> Option<Instant> {
        asleep_at(&self.sleep, facts.ready, facts.extended)
    }

    /// What to wait for until the next step: a change of the counts, a moment, or both.
    ///
    /// While requests come and go nobody is told: the keeper wakes once per `after` and looks. Only when the quiet is
    /// over and something still holds does it ask to hear of the end.
    pub fn watch(&self, facts: &Facts) -> (Listen, Option<Instant>) {
        match self.phase {
            Phase::Serving => match self.asleep_at(facts) {
                Some(at) if facts.holds == 0 || at > facts.now => (Listen::ToNothing, Some(at)),
                Some(_) => (Listen::ToEnds, None),
                None => (Listen::ToNothing, None),
            },
            Phase::Closing { until } => (Listen::ToBegins, Some(until)),
            Phase::Draining { since, accepting: Accepting::Yes } => {
                (Listen::ToEnds, Some(self.last_call(since)))
            }
            Phase::Draining { since, accepting: Accepting::No } => {
                (Listen::ToEnds, Some(since + self.sleep.drain))
            }
            Phase::Starting | Phase::Committed | Phase::Gone(_) => (Listen::ToNothing, None),
        }
    }

    /// One step.
    pub fn step(&mut self, event: Event, facts: &Facts) -> Step {
        let (next, step) = self.decide(event, facts);
        if let Some(next) = next {
            debug_assert!(can_become(&self.phase, &next), "{:?} cannot become {next:?}", self.phase);
            self.phase = next;
        }
        step
    }

    fn decide(&self, event: Event, facts: &Facts) -> (Option<Phase>, Step) {
        match (self.phase, event) {
            (Phase::Starting, Event::Ready) => (Some(Phase::Serving), Step::Stay),
            (Phase::Starting | Phase::Serving | Phase::Closing { .. }, Event::Signal) => {
                (Some(Phase::Draining { since: facts.now, accepting: Accepting::Yes }), Step::Drain)
            }
            (Phase::Serving, Event::Look) => self.look_serving(facts),
            (Phase::Closing { until }, Event::Look) => {
                // A request may have come and gone between two looks; or `after` has been changed.
                if !self.is_quiet(facts) {
                    (Some(Phase::Serving), Step::Reopen)
                } else if facts.connections == 0 || facts.now >= until {
                    (None, Step::Sweep)
                } else {
                    (None, Step::Stay)
                }
            }
            (Phase::Closing { .. }, Event::Found) => (Some(Phase::Serving), Step::Reopen),
            (Phase::Closing { .. }, Event::Committed) => (Some(Phase::Committed), Step::Stay),
            (Phase::Committed, Event::Look) => (Some(Phase::Gone(Exit::Asleep)), Step::Stay),
            (Phase::Draining { .. }, Event::Signal) => (Some(Phase::Gone(Exit::Cut)), Step::Cut),
            (Phase::Draining { since, accepting }, Event::Look) => {
                self.look_draining(since, accepting, facts)
            }
            // In Committed signals change nothing; the rest cannot happen and must not matter if it does.
            _ => (None, Step::Stay),
        }
    }

    fn is_quiet(&self, facts: &Facts) -> bool {
        facts.holds == 0 && self.asleep_at(facts).is_some_and(|at| facts.now >= at)
    }

    fn look_serving(&self, facts: &Facts) -> (Option<Phase>, Step) {
        if !self.is_quiet(facts) {
            return (None, Step::Stay);
        }
        let until = facts.now + self.sleep.grace * 2 + POLITENESS;
        (Some(Phase::Closing { until }), Step::CloseIdle)
    }

    fn look_draining(&self, since: Instant, accepting: Accepting, facts: &Facts) -> (Option<Phase>, Step) {
        if facts.now >= since + self.sleep.drain {
            return (Some(Phase::Gone(Exit::Overdue)), Step::Cut);
        }
        match accepting {
            Accepting::Yes if facts.older == 0 || facts.now >= self.last_call(since) => {
                (Some(Phase::Draining { since, accepting: Accepting::No }), Step::StopAccepting)
            }
            Accepting::No if facts.holds == 0 && facts.connections == 0 => {
                (Some(Phase::Gone(Exit::Drained)), Step::Stay)
            }
            _ => (None, Step::Stay),
        }
    }

    fn last_call(&self, since: Instant) -> Instant {
        since + self.sleep.drain.saturating_sub(LAST_CALL)
    }
}

impl Phase {
    /// One word for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Closing { .. } => "closing",
            Self::Committed => "committed",
            Self::Draining { .. } => "draining",
            Self::Gone(_) => "gone",
        }
    }
}

#[cfg(test)]
mod tests;

//! The `STATUS=` line: for people, and never stale.

use std::time::{Instant, SystemTime};

use super::notify;
use super::phase::{Facts, Machine, Phase};
use super::time_of_day::{TimeOfDay, time_of_day};

/// Sends the status when it changes, at most as often as the keeper ticks.
#[derive(Debug, Default)]
pub struct Status {
    last: String,
}

impl Status {
    /// Sends `text` unless it was the last one sent.
    pub fn tell(&mut self, text: String) {
        if text != self.last && notify::status(&text) {
            self.last = text;
        }
    }

    /// Notes that `text` was sent along with something else.
    pub fn told(&mut self, text: String) {
        self.last = text;
    }
}

/// The line for this instant. `work` is what the connections say of themselves ("2 requests, 3 idle connections").
pub fn line(machine: &Machine, facts: &Facts, work: &str, problem: Option<&str>) -> String {
    let state = match machine.phase() {
        Phase::Draining { .. } if work.is_empty() => "draining".to_owned(),
        Phase::Draining { .. } => format!("draining: {work}"),
        _ if facts.holds > 0 && work.is_empty() => "awake".to_owned(),
        _ if facts.holds > 0 => format!("awake: {work}"),
        _ => quiet(machine, facts, work),
    };
    match problem {
        Some(problem) => format!("{problem}; {state}"),
        None => state,
    }
}

fn quiet(machine: &Machine, facts: &Facts, work: &str) -> String {
    let since = clock(facts.extended.unwrap_or(facts.ready), facts.now);
    let with = if work.is_empty() { String::new() } else { format!(" ({work})") };
    match machine.asleep_at(facts) {
        Some(at) => format!("quiet since {since}{with}, asleep at {}", clock(at, facts.now)),
        None => format!("quiet since {since}{with}, never sleeps"),
    }
}

/// An instant as local time of day.
fn clock(instant: Instant, now: Instant) -> TimeOfDay {
    let wall = SystemTime::now();
    time_of_day(if instant >= now { wall + (instant - now) } else { wall - (now - instant) })
}

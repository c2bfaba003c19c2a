//! The `STATUS=` line: for people, and never stale.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::notify;
use super::phase::{Facts, Machine, Phase};

/// Sends the status when it changes, at most as often as the keeper ticks.
#[derive(Debug, Default)]
pub struct Status {
    last: String,
}

impl Status {
    /// Sends `text` unless it was the last one sent.
    pub fn tell(&mut self, text: String) {
        if text != self.last {
            notify::status(&text);
            self.last = text;
        }
    }
}

/// The line for this instant. `work` is what the connections say of themselves ("2 requests, 3 idle connections").
pub fn line(machine: &Machine, facts: &Facts, work: &str, problem: Option<&str>) -> String {
    let state = match machine.phase() {
        Phase::Draining { .. } if work.is_empty() => "draining".to_owned(),
        Phase::Draining { .. } => format!("draining: {work}"),
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

/// An instant as local time of day: `14:02:57`.
fn clock(instant: Instant, now: Instant) -> String {
    let wall = if instant >= now {
        SystemTime::now() + (instant - now)
    } else {
        SystemTime::now() - (now - instant)
    };
    let since_epoch = wall.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    local_time_of_day(since_epoch.as_secs())
}

fn local_time_of_day(epoch_secs: u64) -> String {
    let Ok(time) = libc::time_t::try_from(epoch_secs) else { return "?".to_owned() };
    // SAFETY: localtime_r only writes to the struct given; all-zero is a valid tm. It reads TZ, which nobody changes
    // once threads exist.
    #[allow(unsafe_code)]
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        libc::localtime_r(&time, &mut tm);
        tm
    };
    format!("{:02}:{:02}:{:02}", tm.tm_hour, tm.tm_min, tm.tm_sec)
}

//! Every wake and every sleep told in one journal line, with its figures as fields.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::phase::Exit;

/// What happened in this wake, counted as it happens.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests answered that counted.
    pub served: AtomicU64,
    /// Requests answered that did not count (probes, refusals), and connections that never made one.
    pub noise: AtomicU64,
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Datagrams read and dropped.
    pub datagrams: AtomicU64,
    /// Bytes that came after an idle connection was half-closed, and could not be answered.
    pub late_bytes: AtomicU64,
}

/// Adds one to a counter of the tally.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// When this wake began, and why.
#[derive(Clone, Debug)]
pub struct Story {
    /// When the process began, as near as it knows.
    pub started: Instant,
    /// When it was ready to accept.
    pub ready: Instant,
}

impl Story {
    /// Tells of the wake. `woken_by` is whoever was waiting when it became ready; nobody when it was started by hand.
    pub fn tell_wake(&self, woken_by: Option<&str>) {
        let ready_ms = millis(self.ready - self.started);
        match woken_by {
            Some(by) => {
                tracing::info!(woken_by = by, ready_ms, "awake: woken by {by}, ready in {ready_ms} ms")
            }
            None => tracing::info!(ready_ms, "awake: started with nobody waiting, ready in {ready_ms} ms"),
        }
    }

    /// Tells of the sleep, or of whatever other end it was.
    pub fn tell_end(&self, exit: Exit, quiet: Duration, tally: &Tally, why: &str) {
        let awake_ms = millis(self.ready.elapsed());
        let (served, noise) = (tally.served.load(Relaxed), tally.noise.load(Relaxed));
        let (accepted, datagrams) = (tally.accepted.load(Relaxed), tally.datagrams.load(Relaxed));
        let late_bytes = tally.late_bytes.load(Relaxed);
        let quiet_ms = millis(quiet);
        let end = match exit {
            Exit::Asleep => "asleep",
            Exit::Drained => "stopped",
            Exit::Overdue => "stopped, drain overdue",
            Exit::Cut => "stopped, cut by a second signal",
        };
        tracing::info!(
            why,
            served,
            noise,
            accepted,
            datagrams,
            late_bytes,
            awake_ms,
            quiet_ms,
            "{end}: {why}; awake {}, served {}, {noise} not counted",
            seconds(awake_ms),
            requests(served),
        );
    }
}

fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}

/// Milliseconds with three digits after the point, for fields.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn seconds(millis: f64) -> String {
    format!("{:.1} s", millis / 1e3)
}

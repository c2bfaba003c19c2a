//! Every wake and every sleep told in one journal line, with its figures as fields.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::phase::Exit;

/// `MESSAGE_ID` of a wake and of its end, by which systemd/dormouse.catalog explains them (journalctl -x).
const WAKE: &str = "d792c1e0f9914912b1e3dd9e9e8bbb6b";
const SLEEP: &str = "551583e7c3e240fb94426a189b9705e1";

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
    /// Connections that let go of their buffers (see [`super::footprint`]).
    pub rested: AtomicU64,
    /// Bytes that came after an idle connection was half-closed, and could not be answered.
    pub late_bytes: AtomicU64,
}

impl Tally {
    /// A number that changes with everything that is done.
    pub fn work(&self) -> u64 {
        [&self.served, &self.noise, &self.accepted, &self.datagrams, &self.rested]
            .iter()
            .map(|counter| counter.load(Relaxed))
            .sum()
    }
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
        let cause = match woken_by {
            Some(by) => format!("woken by {by}"),
            None => "started with nobody waiting".to_owned(),
        };
        tracing::info!(message_id = WAKE, woken_by, ready_ms, "awake: {cause}, ready in {ready_ms} ms");
    }

    /// Tells of the sleep, or of whatever other end it was.
    pub fn tell_end(&self, exit: Exit, quiet: Duration, tally: &Tally, why: &str) {
        let awake_ms = millis(self.ready.elapsed());
        let (served, noise) = (tally.served.load(Relaxed), tally.noise.load(Relaxed));
        let (accepted, datagrams) = (tally.accepted.load(Relaxed), tally.datagrams.load(Relaxed));
        let late_bytes = tally.late_bytes.load(Relaxed);
        let end = match exit {
            Exit::Asleep => "asleep",
            Exit::Drained => "stopped",
            Exit::Overdue => "stopped, drain overdue",
            Exit::Cut => "stopped, cut by a second signal",
        };
        let mut text =
            format!("{end}: {why}; awake {:.1} s, served {}", awake_ms / 1e3, count_of(served, "request"));
        let oddities = [
            (noise, format!("{noise} not counted")),
            (datagrams, format!("{} dropped", count_of(datagrams, "datagram"))),
            (late_bytes, format!("{} too late", count_of(late_bytes, "byte"))),
        ];
        for (_, oddity) in oddities.iter().filter(|(count, _)| *count > 0) {
            text = format!("{text}, {oddity}");
        }
        tracing::info!(
            message_id = SLEEP,
            why,
            served,
            noise,
            accepted,
            datagrams,
            late_bytes,
            awake_ms,
            quiet_ms = millis(quiet),
            "{text}",
        );
    }
}

fn count_of(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Milliseconds with three digits after the point.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

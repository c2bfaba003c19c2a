//! Every wake and every sleep told in one journal line, with its figures as fields.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use super::life::{End, Figures, Life};

/// `MESSAGE_ID` of a wake and of its end, by which systemd/dormouse.catalog explains them (journalctl -x).
const WAKE: &str = "d792c1e0f9914912b1e3dd9e9e8bbb6b";
const SLEEP: &str = "551583e7c3e240fb94426a189b9705e1";

/// What happened in this wake, counted as it happens: see [`Figures`].
#[derive(Debug, Default)]
#[allow(missing_docs)] // the same names there
pub struct Tally {
    pub served: AtomicU64,
    pub noise: AtomicU64,
    pub accepted: AtomicU64,
    pub datagrams: AtomicU64,
    /// Connections that let go of their buffers (see [`super::footprint`]): no part of the story.
    pub rested: AtomicU64,
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

    /// What was counted by now.
    pub fn figures(&self) -> Figures {
        Figures {
            served: self.served.load(Relaxed),
            noise: self.noise.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            datagrams: self.datagrams.load(Relaxed),
            late_bytes: self.late_bytes.load(Relaxed),
        }
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
    /// The same by the clock on the wall.
    pub began: SystemTime,
    /// When it was ready to accept.
    pub ready: Instant,
    /// Whoever was waiting when it became ready, or what else it was started for; nobody when it was started by hand.
    pub woken_by: Option<String>,
}

impl Story {
    /// Ready now, by a process that began at `started`.
    pub fn new(started: Instant) -> Self {
        let began = SystemTime::now() - started.elapsed();
        Self { started, began, ready: Instant::now(), woken_by: None }
    }

    /// The life as it is at `now`, or as it ends then.
    pub fn life(&self, now: Instant, quiet_for: Duration, figures: Figures, end: End, why: String) -> Life {
        Life {
            pid: std::process::id(),
            began: self.began,
            woken_by: self.woken_by.clone(),
            ready_in: self.ready.saturating_duration_since(self.started),
            awake_for: now.saturating_duration_since(self.ready),
            quiet_for,
            figures,
            end,
            why,
        }
    }
}

/// Tells of the wake.
pub fn tell_wake(life: &Life) {
    let ready_ms = millis(life.ready_in);
    let woken_by = life.woken_by.as_deref();
    let cause = match woken_by {
        Some(by) => format!("woken by {by}"),
        None => "started with nobody waiting".to_owned(),
    };
    tracing::info!(message_id = WAKE, woken_by, ready_ms, "awake: {cause}, ready in {ready_ms} ms");
}

/// Tells of the sleep, or of whatever other end it was.
pub fn tell_end(life: &Life) {
    let awake_ms = millis(life.awake_for);
    let Figures { served, noise, accepted, datagrams, late_bytes } = life.figures;
    let why = &life.why;
    let end = match life.end {
        End::Running => "awake",
        End::Asleep => "asleep",
        End::Stopped => "stopped",
        End::Overdue => "stopped, drain overdue",
        End::Cut => "stopped, cut by a second signal",
        End::Lost => "lost",
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
        quiet_ms = millis(life.quiet_for),
        "{text}",
    );
}

fn count_of(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Milliseconds with three digits after the point.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

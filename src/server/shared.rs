//! What all connections of one engine share.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hyper::header::HeaderValue;
use tokio::sync::Notify;

use super::exchange::Exchange;
use super::record::Roll;
use super::room;
use super::trust::Trust;
use super::wakes::Wakes;
use crate::lifecycle::story::Tally;
use crate::lifecycle::{Activity, Phase, Sleep, phase};

/// How long each wait for a peer may last; `None`: no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A connection that says nothing. Default 10 s.
    pub first_byte: Option<Duration>,
    /// A head, from its first byte to its last. Default 10 s.
    pub head: Option<Duration>,
    /// Between two reads of a request body, unless the request has its own limit ([`Exchange::set_body_timeout`]). Of
    /// HTTP/2 a stalled body ends the whole connection, 5 s after that. Default 30 s.
    pub body: Option<Duration>,
    /// A client that takes nothing of its answer. Default 30 s.
    pub write: Option<Duration>,
    /// Between two requests. Default 60 s.
    pub keep_alive: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let secs = |secs| Some(Duration::from_secs(secs));
        Self { first_byte: secs(10), head: secs(10), body: secs(30), write: secs(30), keep_alive: secs(60) }
    }
}

/// The engine's settings; replaced whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// When to sleep, and how to leave.
    pub sleep: Sleep,
    /// How long to wait for peers.
    pub timeouts: Timeouts,
    /// Most connections open at once; `None`, the default: the open-files limit less 256. When all places are taken the
    /// connections that have been idle longest are closed, and newcomers wait in the kernel until there is one.
    pub connections: Option<usize>,
    /// Who may say on whose behalf it asks. Default: nobody.
    pub trust: Trust,
}

/// What the phase means for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Serve.
    Open,
    /// Idle connections close now; a request calls everything back.
    CloseIdle,
    /// Answers say goodbye, idle connections close after the grace.
    Drain,
    /// Stop at once.
    Cut,
}

const STAGES: [Stage; 4] = [Stage::Open, Stage::CloseIdle, Stage::Drain, Stage::Cut];

/// What all connections of one engine share.
#[derive(Debug)]
pub struct Shared {
    /// What is held, and what extends.
    pub activity: Arc<Activity>,
    /// What is counted for the story.
    pub tally: Arc<Tally>,
    /// All open connections.
    pub roll: Roll,
    /// Requests in the service's hands.
    pub in_flight: AtomicUsize,
    /// Those of them that wait quietly.
    pub waiting: AtomicUsize,
    /// Told when a drain begins, and when those that are not held for are asked to end.
    pub draining: Notify,
    /// When the process was ready.
    pub ready: Instant,
    /// How many times the service was woken since boot.
    pub wakes: Wakes,
    /// Whether it falls asleep at all: somebody will wake it.
    pub sleeps: bool,
    stage: AtomicU8,
    /// When the stage began, in the activity's nanoseconds.
    stage_since: AtomicU64,
    settings: ArcSwap<Dated>,
    /// Most connections at once, and whether one more waits for a place.
    places: AtomicUsize,
    is_room_wanted: AtomicBool,
    ids: AtomicU64,
    phase: Mutex<Phase>,
}

/// How long a connection certainly stays after an answer.
#[derive(Clone, Debug)]
pub enum Promise {
    /// Until the client ends it.
    Forever,
    /// This long: the value of `Keep-Alive:`, in whole seconds.
    Stays(HeaderValue),
    /// Not even a second.
    Nothing,
}

/// Settings with what is computed from them once.
#[derive(Debug)]
struct Dated {
    settings: Arc<Settings>,
    /// That of an answer that restarts the clock.
    promise: Promise,
}

impl Shared {
    /// Nothing open yet.
    pub fn new(settings: Settings, sleeps: bool) -> Arc<Self> {
        Arc::new(Self {
            activity: Activity::new(),
            tally: Arc::default(),
            roll: Roll::default(),
            in_flight: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            draining: Notify::new(),
            ready: Instant::now(),
            wakes: Wakes::default(),
            sleeps,
            stage: AtomicU8::new(Stage::Open as u8),
            stage_since: AtomicU64::new(0),
            places: AtomicUsize::new(places(&settings)),
            is_room_wanted: AtomicBool::new(false),
            settings: ArcSwap::from_pointee(Dated::new(settings)),
            ids: AtomicU64::new(first_id()),
            phase: Mutex::new(Phase::Starting),
        })
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load().settings.clone()
    }

    /// The settings in force, looked at in passing: each turn of a connection does.
    pub fn with_settings<R>(&self, look: impl FnOnce(&Settings) -> R) -> R {
        look(&self.settings.load().settings)
    }

    /// Replaces the settings; requests under way end under the old ones where they already looked.
    pub fn set_settings(&self, settings: Settings) {
        self.places.store(places(&settings), Relaxed);
        self.settings.store(Arc::new(Dated::new(settings)));
        self.activity.nudge();
    }

    /// Whether there is a place for one more connection.
    pub fn has_room(&self) -> bool {
        self.roll.open() < self.places.load(Relaxed)
    }

    /// Asks the longest idle to leave; [`Self::tell_left`] wakes the keeper when one has.
    pub fn make_room(&self) {
        self.is_room_wanted.store(true, Release);
        room::make(&self.roll);
    }

    /// A connection has ended: the keeper is told if it waits for that.
    pub fn tell_left(&self) {
        if self.is_room_wanted.swap(false, AcqRel) || self.stage() != Stage::Open {
            self.activity.nudge();
        }
    }

    /// What the phase means for connections.
    pub fn stage(&self) -> Stage {
        STAGES[usize::from(self.stage.load(Acquire))]
    }

    /// When that began, in the activity's nanoseconds.
    pub fn stage_since(&self) -> u64 {
        self.stage_since.load(Acquire)
    }

    /// Enters a stage and wakes every connection for it.
    pub fn enter_stage(&self, stage: Stage) {
        self.stage_since.store(self.activity.since_origin(), Release);
        self.stage.store(stage as u8, Release);
        self.roll.each(|record| {
            if stage == Stage::CloseIdle {
                record.in_hand.each(Exchange::send_off);
            }
            record.waker.wake();
        });
        self.draining.notify_waiters();
    }

    /// The phase, for whoever tells of it.
    pub fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the phase.
    pub fn set_phase(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// What an answer given now can promise of its connection.
    pub fn promise(&self, counts: bool) -> Promise {
        let dated = self.settings.load();
        if counts {
            return dated.promise.clone(); // its end restarts the clock
        }
        let left = self.asleep_in(&dated.settings.sleep);
        Promise::of(dated.settings.timeouts.keep_alive, left)
    }

    /// How long until it falls asleep if nothing happens and nothing holds; `None`: never.
    pub fn asleep_in(&self, sleep: &Sleep) -> Option<Duration> {
        let at = phase::asleep_at(sleep, self.ready, self.activity.extended())?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// Whether an idle connection is to close so that the process can sleep. A request that was answered since the order
    /// to close has restarted the clock: its connection stays, as the answer promised, and the keeper is about to see it.
    pub fn closes_idle(&self) -> bool {
        self.stage() == Stage::CloseIdle && self.asleep_in(&self.settings().sleep) == Some(Duration::ZERO)
    }

    /// An id to find a failure by, in the journal and on the page.
    pub fn new_id(&self) -> String {
        // A fixed odd factor spreads consecutive numbers; it is a label, no secret.
        let number = self.ids.fetch_add(1, Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{:08x}", number >> 32)
    }
}

fn places(settings: &Settings) -> usize {
    settings.connections.unwrap_or_else(room::default_places)
}

impl Dated {
    fn new(settings: Settings) -> Self {
        let promise = Promise::of(settings.timeouts.keep_alive, settings.sleep.after);
        Self { settings: Arc::new(settings), promise }
    }
}

impl Promise {
    fn of(keep_alive: Option<Duration>, until_sleep: Option<Duration>) -> Self {
        let Some(certain) = [keep_alive, until_sleep].into_iter().flatten().min() else {
            return Self::Forever;
        };
        // One below the limit, so that no client writes into the close.
        match certain.as_secs().saturating_sub(1) {
            0 => Self::Nothing,
            secs => HeaderValue::try_from(format!("timeout={secs}")).map_or(Self::Nothing, Self::Stays),
        }
    }
}

fn first_id() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

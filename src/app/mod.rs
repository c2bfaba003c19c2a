//! Apps: what stands behind dormouse, started by the first request, and stopped when nobody has asked for a while.
//!
//! - `settings`: `[app.NAME]`;
//! - [`App`]: what a request finds: asleep, starting, up, stopping; [`Lease`]: who uses it (`usage`);
//! - `life`: the one task that starts it, watches it and stops it again;
//! - `start`: from a program or unit to an address that answers;
//! - `child` (with `program`, `exec`, `output`, `lines`): a program that runs below us;
//! - `unit`: a service of systemd's, over D-Bus;
//! - `sandbox`: whether ours lets programs run.
//!
//! An app that is not asleep holds dormouse awake, from its first request to its end, which restarts no clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::server::Exchange;
use crate::upstream::Group;

pub mod child;
mod exec;
mod life;
mod lines;
mod output;
pub mod program;
pub mod sandbox;
pub mod settings;
mod start;
pub mod unit;
mod usage;

pub use life::adopt;
pub use settings::{AppKind, AppSettings, Exempt};
pub use start::Folders;
pub use usage::Lease;

/// How long an app that has failed is left alone: doubled each time, up to the last.
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(30);

/// An app that was up for so long has not failed to start.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// One app, as a config names it. When no config does any more, and its last request has ended, it is stopped.
#[derive(Debug)]
pub struct Configured(Arc<App>);

/// One app.
#[derive(Debug)]
pub struct App {
    settings: AppSettings,
    folders: Arc<Folders>,
    state: Mutex<State>,
    /// Told at each change of phase, and when the task that watches it has to look.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Since when it is in that phase.
    since: Instant,
    /// Which start this is, or was.
    start: u64,
    /// The last start that came to nothing, or came down by itself.
    crash: Option<Crash>,
    /// Starts, one after the other, that came to nothing.
    failures: u32,
    /// Requests, and streams that hold it.
    in_use: usize,
    /// Streams whose policy lets it sleep.
    unheld: usize,
    /// When somebody last stopped using it.
    last_used: Instant,
    /// Requests that wait until it is up.
    waiting: usize,
    /// The task wants to hear when nobody uses it any more.
    is_end_told: bool,
    /// No config names it any more.
    is_abandoned: bool,
}

#[derive(Debug, Clone)]
enum Phase {
    Asleep,
    Starting,
    Up(Arc<Group>),
    Stopping,
}

/// A start that came to nothing, or an app that came down by itself.
#[derive(Clone, Debug)]
struct Crash {
    start: u64,
    at: Instant,
    id: String,
}

/// Why an app does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoApp {
    /// It did not start, or came down; the journal has the reason under this id.
    Crashed {
        /// The id.
        id: String,
    },
    /// It did not start a moment ago, and is not tried again before that.
    Resting {
        /// The id of what went wrong.
        id: String,
        /// When it may be tried again.
        retry_in: Duration,
    },
    /// Too many wait for it already.
    Full,
}

/// What a request finds.
enum Found {
    Up(Arc<Group>, Lease),
    /// It will be up by that start, or not at all.
    Wait(u64),
    No(NoApp),
}

/// An app at one instant, for people.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Its name.
    pub name: String,
    /// `starting`, `up` or `stopping`.
    pub phase: &'static str,
    /// For how long.
    pub age: Duration,
    /// Requests and streams that use it.
    pub in_use: usize,
    /// Requests that wait for it.
    pub waiting: usize,
    /// When it is stopped if nobody asks; `None`: never, or somebody does.
    pub sleeps_in: Option<Duration>,
}

impl Configured {
    /// An app that is asleep.
    pub fn new(settings: &AppSettings, folders: &Arc<Folders>) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            phase: Phase::Asleep,
            since: now,
            start: 0,
            crash: None,
            failures: 0,
            in_use: 0,
            unheld: 0,
            last_used: now,
            waiting: 0,
            is_end_told: false,
            is_abandoned: false,
        };
        Arc::new(Self(Arc::new(App {
            settings: settings.clone(),
            folders: folders.clone(),
            state: Mutex::new(state),
            changed: Notify::new(),
        })))
    }
}

impl std::ops::Deref for Configured {
    type Target = Arc<App>;

    fn deref(&self) -> &Arc<App> {
        &self.0
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        self.0.state().is_abandoned = true;
        self.0.changed.notify_waiters();
    }
}

impl App {
    /// What it is.
    pub fn settings(&self) -> &AppSettings {
        &self.settings
    }

    /// Waits until it is up, and starts it if it is not; the upstreams to ask, and what keeps it up meanwhile.
    /// `timeouts.request` does not run while it is waited for.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn wake(self: &Arc<Self>, exchange: &Exchange) -> Result<(Arc<Group>, Lease), NoApp> {
        let start = match self.find(exchange) {
            Found::Up(group, lease) => return Ok((group, lease)),
            Found::No(why) => return Err(why),
            Found::Wait(start) => start,
        };
        let _paused = exchange.paused();
        let _waiting = Waiting::begin(self)?;
        loop {
            let mut told = std::pin::pin!(self.changed.notified());
            told.as_mut().enable();
            if let Some(crash) = self.crash_since(start) {
                return Err(NoApp::Crashed { id: crash.id });
            }
            match self.find(exchange) {
                Found::Up(group, lease) => return Ok((group, lease)),
                Found::No(why) => return Err(why),
                Found::Wait(_) => told.await,
            }
        }
    }

    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        matches!(self.state().phase, Phase::Up(_))
    }

    /// What it is doing, if it does anything.
    pub fn sight(&self) -> Option<Sight> {
        let state = self.state();
        let phase = match state.phase {
            Phase::Asleep => return None,
            Phase::Starting => "starting",
            Phase::Up(_) => "up",
            Phase::Stopping => "stopping",
        };
        let rest = self.settings.sleep_after.map(|after| after.saturating_sub(state.last_used.elapsed()));
        Some(Sight {
            name: self.settings.name.clone(),
            phase,
            age: state.since.elapsed(),
            in_use: state.in_use,
            waiting: state.waiting,
            sleeps_in: rest.filter(|_| phase == "up" && state.in_use == 0),
        })
    }

    /// What a request finds now. Who finds it asleep starts it.
    fn find(self: &Arc<Self>, exchange: &Exchange) -> Found {
        let mut state = self.state();
        match &state.phase {
            Phase::Up(group) => {
                let group = group.clone();
                state.in_use += 1;
                Found::Up(group, Lease::new(self.clone(), exchange))
            }
            Phase::Starting => Found::Wait(state.start),
            Phase::Stopping => Found::Wait(state.start + 1),
            Phase::Asleep => {
                if let Some((id, retry_in)) = state.rest() {
                    return Found::No(NoApp::Resting { id, retry_in });
                }
                // Refused only once the process has committed to leave, which it has not while a request is in hand.
                let control = exchange.control();
                let Some(hold) = control.hold() else { return Found::No(NoApp::Full) };
                state.enter(Phase::Starting);
                state.start += 1;
                let start = state.start;
                drop(state);
                tokio::spawn(life::live(self.clone(), control, hold, life::From::Nothing));
                Found::Wait(start)
            }
        }
    }

    fn crash_since(&self, start: u64) -> Option<Crash> {
        self.state().crash.clone().filter(|crash| crash.start >= start)
    }

    /// Waits until it is asleep.
    pub async fn asleep(&self) {
        loop {
            let mut told = std::pin::pin!(self.changed.notified());
            told.as_mut().enable();
            if matches!(self.state().phase, Phase::Asleep) {
                return;
            }
            told.await;
        }
    }

    /// Something has used it, or a stream has moved that does not hold it.
    fn touch(&self) {
        self.state().last_used = Instant::now();
    }

    /// Somebody uses it no more.
    fn release(&self, counts: bool) {
        let mut state = self.state();
        if counts {
            state.last_used = Instant::now();
        }
        state.in_use -= 1;
        self.tell_end(state);
    }

    /// Tells the task that watches it, if that waits for this, that nobody wants it any more.
    fn tell_end(&self, mut state: MutexGuard<'_, State>) {
        if !state.is_wanted() && std::mem::take(&mut state.is_end_told) {
            drop(state);
            self.changed.notify_waiters();
        }
    }

    /// A stream that does not hold it begins, or ends.
    fn note_unheld(&self, begins: bool) {
        let unheld = &mut self.state().unheld;
        *unheld = if begins { *unheld + 1 } else { unheld.saturating_sub(1) };
    }

    /// Resolves when it is about to be stopped.
    async fn until_stopping(&self) {
        loop {
            let mut told = std::pin::pin!(self.changed.notified());
            told.as_mut().enable();
            if matches!(self.state().phase, Phase::Stopping | Phase::Asleep) {
                return;
            }
            told.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // no panic while it is held leaves it halfway
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }

    /// Somebody uses it, or has waited for it and is about to.
    fn is_wanted(&self) -> bool {
        self.in_use > 0 || self.waiting > 0
    }

    /// How long it is still left alone after a failure, and the failure's id.
    fn rest(&self) -> Option<(String, Duration)> {
        let crash = self.crash.as_ref().filter(|_| self.failures > 0)?;
        let rest = FIRST_REST.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST_REST);
        let left = rest.checked_sub(crash.at.elapsed()).filter(|left| !left.is_zero())?;
        Some((crash.id.clone(), left))
    }
}

/// A request that waits, counted.
struct Waiting<'a>(&'a App);

impl<'a> Waiting<'a> {
    fn begin(app: &'a App) -> Result<Self, NoApp> {
        let mut state = app.state();
        if state.waiting >= app.settings.queue {
            return Err(NoApp::Full);
        }
        state.waiting += 1;
        Ok(Self(app))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        self.0.tell_end(state);
    }
}

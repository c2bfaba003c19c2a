//! Apps: what stands behind dormouse, started by the first request, and stopped when nobody has asked for a while.
//!
//! - `settings`, `keys`: `[app.NAME]`;
//! - [`App`]: its `state`; `waking`: what a request finds, and waits for; [`Lease`]: who uses it (`usage`); [`Sight`]: what
//!   there is to tell of it;
//! - `life`: the one task that starts it, watches it (`watch`) and stops it again;
//! - `start`: from a program or unit to an address that answers; `address`: where a program listens;
//! - `unit`: a service of systemd's, over D-Bus;
//! - `sandbox`: whether ours lets programs run; `definition`: what the files of a unit say.
//!
//! An app that is not asleep holds dormouse awake, from its first request to its end, which restarts no clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::Notify;

use state::{Phase, State};

mod address;
pub mod definition;
pub(crate) mod keys;
mod life;
pub mod sandbox;
pub mod settings;
mod sight;
mod start;
mod state;
pub mod unit;
mod usage;
mod waking;
mod watch;

pub use life::adopt;
pub use settings::{AppKind, AppSettings, Exempt};
pub use sight::Sight;
pub use start::Folders;
pub use usage::Lease;
pub use waking::NoApp;

/// One app, as a config names it. When no config does any more, and its last request has ended, it is stopped.
#[derive(Debug)]
pub struct Configured {
    app: Arc<App>,
    /// All who name the same unit have it.
    unit: Option<Arc<()>>,
}

/// One app.
#[derive(Debug)]
pub struct App {
    settings: AppSettings,
    folders: Arc<Folders>,
    /// Whoever names its unit; nobody if it is none.
    unit: Weak<()>,
    state: Mutex<State>,
    /// Told at each change of phase, and when the task that watches it has to look.
    changed: Notify,
}

impl Configured {
    /// An app that is asleep. All who name the same unit have the same `unit`.
    pub fn new(settings: &AppSettings, folders: &Arc<Folders>, unit: Option<Arc<()>>) -> Arc<Self> {
        let app = Arc::new(App {
            settings: settings.clone(),
            folders: folders.clone(),
            unit: unit.as_ref().map(Arc::downgrade).unwrap_or_default(),
            state: Mutex::new(State::asleep()),
            changed: Notify::new(),
        });
        Arc::new(Self { app, unit })
    }
}

impl std::ops::Deref for Configured {
    type Target = Arc<App>;

    fn deref(&self) -> &Arc<App> {
        &self.app
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        self.unit = None; // before it is looked for
        self.app.state().is_abandoned = true;
        self.app.changed.notify_waiters();
    }
}

impl App {
    /// What it is.
    pub fn settings(&self) -> &AppSettings {
        &self.settings
    }

    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        matches!(self.state().phase, Phase::Up(_))
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

    /// Tells the task that nobody wants it any more, if that is so and the task wants to hear it.
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

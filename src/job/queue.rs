//! The jobs of one route.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Jobs, Settings, drive};
use crate::lifecycle::Hold;
use crate::server::Control;

/// The jobs of one route. It outlives the site: what is queued stays, and is done under the settings in force.
#[derive(Debug)]
pub struct Queue {
    /// What tells it from others: the route's path, hosts and socket.
    pub name: String,
    /// All of them.
    pub jobs: Arc<Jobs>,
    state: Mutex<State>,
    /// There may be a job to take, or a place to do one.
    pub changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Those in force; none when no route has it.
    settings: Option<Arc<Settings>>,
    /// A route of the site that is about to be in force has it.
    is_adopted: bool,
    /// Until now its jobs were for outside workers.
    was_outside: bool,
    /// Keeps the process awake while there is, or may be, something to do.
    hold: Option<Hold>,
    /// How many times it was woken: who looks can see whether somebody has come meanwhile.
    wakes: u64,
    is_driven: bool,
    running: usize,
}

impl Queue {
    /// A queue without settings.
    pub(super) fn new(name: String, jobs: Arc<Jobs>) -> Arc<Self> {
        Arc::new(Self { name, jobs, state: Mutex::default(), changed: Notify::new() })
    }

    /// A route has it; these are in force from now on.
    pub fn adopt(&self, settings: &Arc<Settings>) {
        let mut state = self.state();
        state.was_outside |= state.is_outside() && settings.is_here();
        state.settings = Some(settings.clone());
        state.is_adopted = true;
        drop(state);
        self.changed.notify_waiters();
    }

    /// All routes of the site in force have adopted theirs: if none has this one, nothing more of it is begun. Not left to
    /// the last request or job under the older site: by the time that ends all might be done.
    pub(super) fn in_force(self: &Arc<Self>, control: &Control) {
        let mut state = self.state();
        if !std::mem::take(&mut state.is_adopted) {
            state.settings = None;
        }
        let was_outside = std::mem::take(&mut state.was_outside);
        drop(state);
        if was_outside {
            self.wake(control); // no marker tells of what others were to do
        } else {
            self.changed.notify_waiters();
        }
    }

    /// The settings in force; `None` when no route has the queue any more.
    pub fn settings(&self) -> Option<Arc<Settings>> {
        self.state().settings.clone()
    }

    /// Whether outside workers do its jobs, and nobody here looks after them.
    pub fn is_outside(&self) -> bool {
        self.state().is_outside()
    }

    /// There is, or may be, a job to do. The process is held until that has been looked at. A queue that no route has is
    /// looked at too, so that its jobs are known to wait for one.
    pub fn wake(self: &Arc<Self>, control: &Control) {
        let begins = {
            let mut state = self.state();
            state.wakes += 1;
            let is_outside = state.is_outside();
            if !is_outside && state.hold.is_none() {
                state.hold = control.hold();
            }
            !is_outside && !std::mem::replace(&mut state.is_driven, true)
        };
        self.changed.notify_waiters();
        if begins {
            tokio::spawn(drive::drive(self.clone(), control.clone()));
        }
    }

    /// Whether it keeps the process awake.
    pub(super) fn holds(&self) -> bool {
        self.state().hold.is_some()
    }

    /// How many times it was woken.
    pub(super) fn wakes(&self) -> u64 {
        self.state().wakes
    }

    /// Nothing is to be done soon: the process need not be held for it. False if it was woken since `wakes`.
    pub(super) fn let_go(&self, wakes: u64) -> bool {
        let mut state = self.state();
        if state.wakes != wakes || state.running > 0 {
            return false;
        }
        state.hold = None;
        true
    }

    /// Nobody looks after it until it is woken again. False if it was woken since `wakes`, or jobs of it run: the last one's
    /// end is to be seen.
    pub(super) fn leave(&self, wakes: u64) -> bool {
        let mut state = self.state();
        if state.wakes != wakes || state.running > 0 {
            return false;
        }
        state.hold = None;
        state.is_driven = false;
        true
    }

    /// Dormouse leaves, so nothing more is begun.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.hold = None;
        state.is_driven = false;
    }

    /// How many of its jobs run.
    pub(super) fn running(&self) -> usize {
        self.state().running
    }

    /// One more runs.
    pub(super) fn begin(self: &Arc<Self>) -> Turn {
        self.state().running += 1;
        Turn(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // no panic while it is held leaves it halfway
    }
}

impl State {
    fn is_outside(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| !settings.is_here())
    }
}

/// A worker's place, until dropped.
#[derive(Debug)]
pub(super) struct Turn(Arc<Queue>);

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running -= 1;
        // Nobody has looked since: there may be a next one.
        state.wakes += 1;
        drop(state);
        self.0.changed.notify_waiters();
    }
}

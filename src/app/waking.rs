//! What a request finds: an app that is up, one that it has to wait for, or none.

use std::sync::Arc;
use std::time::Duration;

use super::state::{Crash, Phase};
use super::{App, Lease, life};
use crate::server::Exchange;
use crate::upstream::Group;

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

impl App {
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
}

/// A request that waits, counted.
pub(super) struct Waiting<'a>(&'a App);

impl<'a> Waiting<'a> {
    pub fn begin(app: &'a App) -> Result<Self, NoApp> {
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

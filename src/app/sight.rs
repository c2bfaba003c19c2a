//! What there is to tell of an app.

use std::time::Duration;

use super::App;
use super::state::Phase;

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
    /// It has put off its stop (`busy`).
    pub is_busy: bool,
    /// When it is stopped if nobody asks; `None`: never, or somebody does.
    pub sleeps_in: Option<Duration>,
}

impl App {
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
            is_busy: state.is_busy,
            sleeps_in: rest.filter(|_| phase == "up" && state.in_use == 0),
        })
    }
}

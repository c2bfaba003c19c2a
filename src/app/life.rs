//! The life of an app that is not asleep: started, watched, stopped, by one task.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::start::{self, Kept, Running, Started};
use super::state::{Phase, WELL_AFTER};
use super::unit::{Unit, UnitState};
use super::watch::{End, died, watch};
use super::{App, AppKind};
use crate::lifecycle::Hold;
use crate::schema::duration;
use crate::server::Control;
use crate::upstream::Group;

/// How long streams that do not hold an app have to end when it is stopped.
const GOODBYE: Duration = Duration::from_millis(200);

/// How many times in a row a program may fall asleep by itself while it is waited for.
const MOST_TURNS: u32 = 10;

/// How long a program may take to end after SIGTERM when dormouse itself has no more time.
const CUT: Duration = Duration::from_secs(5);

/// How often a start is looked at, while dormouse leaves, whether somebody still waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a life begins with.
pub(super) enum From {
    /// It has to be started.
    Nothing,
    /// It runs already.
    Running(Running, Arc<Group>),
}

/// Takes over a unit that runs already, or starts: a dormouse before this one has started it, and its clock begins anew.
pub async fn adopt(app: Arc<App>, control: Control) {
    let AppKind::Unit { unit, origin } = &app.settings.kind else { return };
    let Ok(unit) = Unit::new(unit) else { return }; // the config has checked its name
    let is_up = match unit.state().await {
        Ok(UnitState::Active) => true,
        Ok(UnitState::Activating) => false,
        _ => return,
    };
    let Some(hold) = control.hold() else { return };
    let group = start::group(origin);
    // One that runs may not listen yet.
    let is_up = is_up && start::is_ready(&app.settings, &group).await;
    let from = match is_up {
        true => From::Running(Running::Unit(unit), group),
        false => From::Nothing, // to be started again is to wait for its start
    };
    {
        let mut state = app.state();
        if !matches!(state.phase, Phase::Asleep) {
            return; // a request was faster
        }
        state.enter(Phase::Starting);
        state.start += 1;
    }
    if is_up {
        tracing::info!(app = app.settings.name, "app {} runs already", app.settings.name);
    }
    live(app.clone(), control, hold, from).await;
}

/// Lives until it is asleep again. `hold` keeps dormouse awake until then.
pub(super) async fn live(app: Arc<App>, control: Control, mut hold: Hold, from: From) {
    let mut from = Some(from);
    let (mut kept, mut turns) = (None, Turns::default());
    loop {
        let outcome = match from.take() {
            Some(From::Running(running, group)) => Ok((running, group)),
            _ => begin(&app, &control, &mut kept).await,
        };
        match outcome {
            Ok((mut running, group)) => {
                app.up(group.clone());
                let begun = Instant::now();
                let end = watch(&app, &control, &mut hold, &mut running, &group).await;
                let end = turns.note(end, app.state().is_wanted(), begun.elapsed());
                app.stop((running, &group), end, begun, &control).await;
            }
            Err(NoStart::Failed(why)) => app.fail(&why, &control, Duration::ZERO),
            Err(NoStart::Unwanted) => app.give_up(),
        }
        if !app.is_wanted_again(&control) {
            return;
        }
        // A drain goes on accepting only while what began before it lasts: this is not that any more.
        if let Some(newer) = control.hold() {
            hold = newer;
        }
    }
}

/// Why a start comes to nothing.
enum NoStart {
    /// This has gone wrong.
    Failed(String),
    /// Dormouse leaves, and nobody waits for it any more; a unit is left to the next dormouse.
    Unwanted,
}

impl std::convert::From<String> for NoStart {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// Ends in order, one after the other, that others had to wait for.
#[derive(Default)]
struct Turns(u32);

impl Turns {
    /// One that falls asleep by itself may do so under a request once and again; one that always does has failed.
    fn note(&mut self, end: End, is_wanted: bool, was_up_for: Duration) -> End {
        let is_one_more = matches!(end, End::Left) && is_wanted && was_up_for < WELL_AFTER;
        self.0 = if is_one_more { self.0 + 1 } else { 0 };
        if self.0 < MOST_TURNS {
            return end;
        }
        End::Died(format!("it has ended by itself {MOST_TURNS} times while it was waited for"))
    }
}

/// Starts it and waits until it is ready.
async fn begin(
    app: &App,
    control: &Control,
    kept: &mut Option<Kept>,
) -> Result<(Running, Arc<Group>), NoStart> {
    let settings = &app.settings;
    let begun = Instant::now();
    let name = &settings.name;
    tracing::info!(app = %name, "app {name} starts");
    let started = tokio::select! {
        started = start::start(settings, &app.folders, kept) => started?,
        () = app.until_unwanted(control) => return Err(NoStart::Unwanted),
    };
    let Started { group, mut running, is_listening } = started;
    if !is_listening || settings.ready.is_some() {
        let ready = tokio::time::timeout(settings.start_within, start::until_ready(settings, &group));
        tokio::select! {
            biased;
            ready = ready => if ready.is_err() {
                end(name, running, settings.stop_within).await;
                return Err(start::not_ready(settings).into());
            },
            why = died(&mut running) => return Err(why.into()),
            () = app.until_unwanted(control) => {
                if matches!(running, Running::Child(..)) {
                    end(name, running, settings.stop_within).await;
                }
                return Err(NoStart::Unwanted);
            }
        }
    }
    let took = begun.elapsed();
    tracing::info!(
        app = %name, start_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "app {name} is up after {:.1} ms", took.as_secs_f64() * 1000.0
    );
    Ok((running, group))
}

/// Ends what runs; a unit is systemd's.
async fn end(name: &str, running: Running, within: Duration) {
    match running {
        Running::Child(mut child, traces, _) => {
            let ended = child.stop(within).await;
            if ended.status.signal() == Some(libc::SIGKILL) {
                let within = duration::text(within);
                tracing::warn!(
                    app = name,
                    "app {name} did not end within {within} of SIGTERM (stop_within): killed"
                );
            }
            drop(traces);
        }
        Running::Unit(unit) => {
            if let Err(error) = unit.stop(within).await {
                tracing::warn!(unit = unit.name(), %error, "cannot stop {}: {error}", unit.name());
            }
        }
    }
}

impl App {
    /// Resolves when dormouse leaves and nobody waits for the app.
    async fn until_unwanted(&self, control: &Control) {
        control.draining().await;
        while self.state().waiting > 0 && !control.is_cut() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn up(&self, group: Arc<Group>) {
        let mut state = self.state();
        state.enter(Phase::Up(group));
        state.last_used = Instant::now();
        drop(state);
        self.changed.notify_waiters();
    }

    async fn stop(&self, (running, group): (Running, &Group), why: End, begun: Instant, control: &Control) {
        let name = &self.settings.name;
        match why {
            End::Died(why) => self.fail(&why, control, begun.elapsed()),
            End::Left => {
                let again = {
                    let mut state = self.state();
                    state.enter(Phase::Stopping);
                    if state.is_wanted() {
                        "is started again: it has ended by itself"
                    } else {
                        "sleeps, it has ended by itself"
                    }
                };
                tracing::info!(app = %name, "app {name} {again}");
            }
            // The next dormouse, or the next config, takes it over.
            End::Quiet
                if matches!(running, Running::Unit(_)) && self.is_left_to_others(control.is_draining()) =>
            {
                self.state().enter(Phase::Stopping);
                tracing::info!(app = %name, "app {name} is left running");
            }
            End::Quiet => {
                let has_streams = {
                    let mut state = self.state();
                    state.enter(Phase::Stopping);
                    state.unheld > 0
                };
                self.changed.notify_waiters();
                if has_streams {
                    tokio::time::sleep(GOODBYE).await;
                }
                group.close_idle(); // it may wait for them
                let begun = Instant::now();
                let within = self.settings.stop_within;
                end(name, running, if control.is_cut() { within.min(CUT) } else { within }).await;
                tracing::info!(app = %name, "app {name} sleeps, stopped in {:.1} ms", begun.elapsed().as_secs_f64() * 1000.0);
            }
        }
    }

    /// Whether its unit is not to be stopped: by the next dormouse, or under the settings of the next config.
    fn is_left_to_others(&self, is_leaving: bool) -> bool {
        is_leaving || (self.state().is_abandoned && self.unit.strong_count() > 0)
    }

    /// Notes that it was not started after all.
    fn give_up(&self) {
        let name = &self.settings.name;
        tracing::info!(app = %name, "app {name} is not started: dormouse leaves, and nobody waits for it any more");
        self.state().enter(Phase::Asleep);
        self.changed.notify_waiters();
    }

    /// Notes a failure; whoever waits is told its id.
    fn fail(&self, why: &str, control: &Control, was_up_for: Duration) {
        let (id, name) = (control.new_id(), &self.settings.name);
        tracing::error!(app = %name, id, "app {name} failed (id {id}): {why}");
        let mut state = self.state();
        state.fail(id, was_up_for);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Whether somebody wants it again who came while it was being stopped; if not, it is asleep now.
    fn is_wanted_again(&self, control: &Control) -> bool {
        let mut state = self.state();
        if !matches!(state.phase, Phase::Stopping) {
            return false; // it has failed, and is asleep, or somebody has started it again
        }
        state.failures = 0;
        let is_wanted = state.is_wanted() && !control.is_cut();
        if is_wanted {
            state.start += 1;
        }
        state.enter(if is_wanted { Phase::Starting } else { Phase::Asleep });
        drop(state);
        self.changed.notify_waiters();
        is_wanted
    }
}

#[cfg(test)]
mod tests;

//! The life of an app that is not asleep: started, watched, stopped, by one task.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::child::Ended;
use super::start::{self, Running, Started};
use super::state::Phase;
use super::unit::{Unit, UnitState};
use super::{App, AppKind, sandbox};
use crate::lifecycle::Hold;
use crate::schema::duration;
use crate::server::Control;
use crate::upstream::Group;

/// How long streams that do not hold an app have to end when it is stopped.
const GOODBYE: Duration = Duration::from_millis(200);

/// How long a program may take to end after SIGTERM when dormouse itself has no more time.
const CUT: Duration = Duration::from_secs(5);

/// How often a start is looked at, while dormouse leaves, whether somebody still waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How often an app that says it is busy is asked again, at most.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Why a start is given up; a unit is left to the next dormouse.
const TOLD_TO_LEAVE: &str = "dormouse leaves, and nobody waits for it any more";

/// What a life begins with.
pub(super) enum From {
    /// It has to be started.
    Nothing,
    /// It runs already.
    Running(Running, Arc<Group>),
}

/// Why a life ends.
enum End {
    /// Nobody has asked for a while, or dormouse leaves, or no config names it any more.
    Quiet,
    /// It came down by itself.
    Died(String),
    /// It ended in order by itself while nobody used it: programs that take their socket from systemd do so.
    Left,
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
    loop {
        let outcome = match from.take() {
            Some(From::Running(running, group)) => Ok((running, group)),
            _ => begin(&app, &control).await,
        };
        match outcome {
            Ok((mut running, group)) => {
                app.up(group.clone());
                let begun = Instant::now();
                let end = watch(&app, &control, &mut hold, &mut running, &group).await;
                app.stop((running, &group), end, begun, &control).await;
            }
            Err(why) => app.fail(&why, &control, Duration::ZERO),
        }
        if !app.is_wanted_again() {
            return;
        }
        // A drain goes on accepting only while what began before it lasts: this is not that any more.
        if let Some(newer) = control.hold() {
            hold = newer;
        }
    }
}

/// Starts it and waits until it is ready.
async fn begin(app: &App, control: &Control) -> Result<(Running, Arc<Group>), String> {
    let settings = &app.settings;
    let begun = Instant::now();
    let name = &settings.name;
    tracing::info!(app = %name, "app {name} starts");
    let started = tokio::select! {
        started = start::start(settings, &app.folders) => started?,
        () = app.until_unwanted(control) => return Err(TOLD_TO_LEAVE.to_owned()),
    };
    let Started { group, mut running, is_listening } = started;
    if !is_listening || settings.ready.is_some() {
        let ready = tokio::time::timeout(settings.start_within, start::until_ready(settings, &group));
        tokio::select! {
            biased;
            ready = ready => if ready.is_err() {
                end(name, running, settings.stop_within).await;
                return Err(start::not_ready(settings));
            },
            why = died(&mut running) => return Err(why),
            () = app.until_unwanted(control) => {
                if matches!(running, Running::Child(..)) {
                    end(name, running, settings.stop_within).await;
                }
                return Err(TOLD_TO_LEAVE.to_owned());
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

/// Waits for its end, and its reason.
async fn watch(app: &App, control: &Control, hold: &mut Hold, running: &mut Running, group: &Group) -> End {
    let mut is_draining = control.is_draining();
    let mut busy_until = None;
    loop {
        let mut told = std::pin::pin!(app.changed.notified());
        told.as_mut().enable();
        let rest = match app.quiet(is_draining) {
            Quiet::Over => {
                let again = if is_draining { None } else { still_busy(app, group, &mut busy_until).await };
                app.state().is_busy = again.is_some();
                if again.is_some() {
                    again
                } else if app.begin_stop() {
                    return End::Quiet;
                } else {
                    continue; // somebody has come meanwhile
                }
            }
            Quiet::In(rest) => {
                busy_until = None; // it has been used since
                app.state().is_busy = false;
                Some(rest)
            }
            Quiet::Never => None,
        };
        let sleep = async {
            match rest {
                Some(rest) => tokio::time::sleep(rest).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            why = died(running) => return app.why_ended(running, why).await,
            () = told => {}
            () = sleep => {}
            () = control.draining(), if !is_draining => {
                is_draining = true;
                // Not what a drain waits for before it stops accepting; what uses the app is.
                if let Some(newer) = control.hold() {
                    *hold = newer;
                }
            }
            () = control.cut() => return End::Quiet,
        }
    }
}

/// Whether the app says that it is busy, and when to ask again.
async fn still_busy(app: &App, group: &Group, until: &mut Option<Instant>) -> Option<Duration> {
    let settings = &app.settings;
    let path = settings.busy.as_deref()?;
    let last = *until.get_or_insert_with(|| Instant::now() + settings.busy_at_most);
    if Instant::now() >= last {
        let (name, most) = (&settings.name, duration::text(settings.busy_at_most));
        tracing::warn!(app = %name, "app {name} says it is busy for longer than busy_at_most ({most}): stopped");
        return None;
    }
    if start::ask(group, path).await.is_none_or(|status| status.as_u16() != 200) {
        *until = None;
        return None;
    }
    let again = settings.sleep_after.unwrap_or(ASK_AGAIN).min(ASK_AGAIN);
    Some(again.min(last.saturating_duration_since(Instant::now())))
}

/// Waits until it comes down by itself; why, for the journal.
async fn died(running: &mut Running) -> String {
    match running {
        Running::Child(child, _) => describe(&child.exited().await),
        Running::Unit(unit) => {
            unit.ended().await; // whatever it is by then
            format!("{} has stopped (journalctl -u {})", unit.name(), unit.name())
        }
    }
}

fn describe(ended: &Ended) -> String {
    let mut text = format!("it ended by itself, {ended}");
    if !ended.stderr.is_empty() {
        text.push_str("; its last words: ");
        text.push_str(&ended.stderr.join(" | "));
    }
    text.push_str(sandbox::hint(ended));
    text
}

/// Ends what runs; a unit is systemd's.
async fn end(name: &str, running: Running, within: Duration) {
    match running {
        Running::Child(mut child, traces) => {
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

/// Since when nobody has used it.
enum Quiet {
    /// For long enough.
    Over,
    /// Not yet: look again then.
    In(Duration),
    /// Somebody uses it, or it never sleeps.
    Never,
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

    fn quiet(&self, is_leaving: bool) -> Quiet {
        let mut state = self.state();
        if state.is_wanted() {
            state.is_end_told = true;
            return Quiet::Never;
        }
        if is_leaving || state.is_abandoned {
            return Quiet::Over;
        }
        match self.settings.sleep_after.map(|after| after.saturating_sub(state.last_used.elapsed())) {
            Some(Duration::ZERO) => Quiet::Over,
            Some(rest) => Quiet::In(rest),
            None => Quiet::Never,
        }
    }

    /// Enters the phase in which nobody is let in any more, unless somebody just was.
    fn begin_stop(&self) -> bool {
        let mut state = self.state();
        if state.is_wanted() {
            return false;
        }
        state.enter(Phase::Stopping);
        drop(state);
        self.changed.notify_waiters();
        true
    }

    /// What an end that came by itself means.
    async fn why_ended(&self, running: &mut Running, why: String) -> End {
        let is_in_order = match running {
            Running::Child(child, _) => child.exited().await.is_success(), // the same as before
            Running::Unit(_) => false,
        };
        let is_wanted = self.state().is_wanted();
        if is_in_order && !is_wanted { End::Left } else { End::Died(why) }
    }

    async fn stop(&self, (running, group): (Running, &Group), why: End, begun: Instant, control: &Control) {
        let name = &self.settings.name;
        match why {
            End::Died(why) => self.fail(&why, control, begun.elapsed()),
            End::Left => {
                self.state().enter(Phase::Stopping);
                tracing::info!(app = %name, "app {name} sleeps, it has ended by itself");
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
    fn is_wanted_again(&self) -> bool {
        let mut state = self.state();
        if !matches!(state.phase, Phase::Stopping) {
            return false; // it has failed, and is asleep, or somebody has started it again
        }
        state.failures = 0;
        let is_wanted = state.waiting > 0;
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

//! An app that is up, watched until it is to be stopped or comes down by itself.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use super::start::{self, Running};
use super::state::Phase;
use super::{App, sandbox};
use crate::lifecycle::Hold;
use crate::process::Ended;
use crate::schema::duration;
use crate::server::Control;
use crate::upstream::Group;

/// How often an app that says it is busy is asked again, at most.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Why a life ends.
pub(super) enum End {
    /// Nobody has asked for a while, or dormouse leaves, or no config names it any more.
    Quiet,
    /// It came down by itself.
    Died(String),
    /// It ended in order by itself while nobody used it: programs that take their socket from systemd do so.
    Left,
}

/// Waits until it is to end or has ended, and tells why.
pub(super) async fn watch(
    app: &App,
    control: &Control,
    hold: &mut Hold,
    running: &mut Running,
    group: &Group,
) -> End {
    let death = {
        let mut death = pin!(died(running));
        match until_quiet(app, control, hold, group, death.as_mut()).await {
            None => return End::Quiet,
            Some(why) => why,
        }
    };
    app.why_ended(running, death).await
}

/// Waits until nobody has used it for long enough, and it may be stopped (`None`); or why it came down by itself.
async fn until_quiet(
    app: &App,
    control: &Control,
    hold: &mut Hold,
    group: &Group,
    mut death: Pin<&mut impl Future<Output = String>>,
) -> Option<String> {
    let mut is_draining = control.is_draining();
    let mut busy_until = None;
    loop {
        let mut told = pin!(app.changed.notified());
        told.as_mut().enable();
        let rest = match app.quiet(is_draining) {
            Quiet::Over => {
                let asking =
                    async { if is_draining { None } else { still_busy(app, group, &mut busy_until).await } };
                let again = tokio::select! {
                    again = asking => again,
                    why = death.as_mut() => return Some(why),
                    () = control.draining(), if !is_draining => None,
                };
                app.state().is_busy = again.is_some();
                if again.is_none() {
                    match app.begin_stop() {
                        true => return None,
                        false => continue, // somebody has come meanwhile
                    }
                }
                again
            }
            Quiet::In(rest) => {
                busy_until = None; // it has been used since
                app.state().is_busy = false;
                Some(rest)
            }
            Quiet::Never => None,
        };
        tokio::select! {
            why = death.as_mut() => return Some(why),
            () = told => {}
            () = sleep(rest) => {}
            () = control.draining(), if !is_draining => {
                is_draining = true;
                // Not what a drain waits for before it stops accepting; what uses the app is.
                if let Some(newer) = control.hold() {
                    *hold = newer;
                }
            }
            () = control.cut() => return None,
        }
    }
}

/// `None`: for ever.
async fn sleep(rest: Option<Duration>) {
    match rest {
        Some(rest) => tokio::time::sleep(rest).await,
        None => std::future::pending().await,
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
pub(super) async fn died(running: &mut Running) -> String {
    match running {
        Running::Child(child, ..) => describe(&child.exited().await),
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

/// Since when nobody has used it.
pub(super) enum Quiet {
    /// For long enough.
    Over,
    /// Not yet: look again then.
    In(Duration),
    /// Somebody uses it, or it never sleeps.
    Never,
}

impl App {
    pub(super) fn quiet(&self, is_leaving: bool) -> Quiet {
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
    pub(super) fn begin_stop(&self) -> bool {
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
        let (is_in_order, keeps_socket) = match running {
            Running::Child(child, _, keeps) => (child.exited().await.is_success(), *keeps), // the same as before
            Running::Unit(_) => (false, false),
        };
        // Whoever asks meanwhile waits in the queue of that socket.
        let is_missed = self.state().is_wanted() && !keeps_socket;
        if is_in_order && !is_missed { End::Left } else { End::Died(why) }
    }
}

//! Whom the keeper works with: the owner of the connections, and the program around the engine.

use std::future::Future;
use std::pin::Pin;

use super::Sleep;
use super::activity::Hold;
use super::life::Life;
use super::phase::Phase;
use crate::activation::Accepted;

/// Whoever owns the accepted connections. The keeper tells it what phase it is; it closes them accordingly.
pub trait Connections: Send + Sync + 'static {
    /// A connection that was accepted, with its hold until its first byte.
    fn accepted(&self, accepted: Accepted, hold: Hold);
    /// The phase has changed: idle connections are closed, stay open, or say goodbye (see [`Phase`]).
    fn phase_changed(&self, phase: Phase);
    /// Cut everything that still runs; what was cut, for the journal.
    fn cut(&self) -> Vec<String>;
    /// Connections open now, idle ones included. When it falls in Closing or Draining, or after [`Self::make_room`],
    /// [`super::Activity::nudge`] follows.
    fn open(&self) -> usize;
    /// Whether there is a place for one more.
    fn has_room(&self) -> bool;
    /// Called once a second: what is idle may keep less.
    fn tick(&self);
    /// There is no place or no descriptor for somebody who waits: asks those that can be spared to leave.
    fn make_room(&self);
    /// The sleep settings in force.
    fn sleep(&self) -> Sleep;
    /// What they are doing, for people: `2 requests, 3 idle connections`; empty when there are none.
    fn describe(&self) -> String;
}

/// What the program around the engine does at certain moments.
///
/// Those that are given a [`Life`] may block, briefly: they run on the blocking pool, with the runtime's context, in the
/// order of their moments and one at a time.
pub trait Hooks: Send + Sync + 'static {
    /// SIGHUP: read the configuration again, and swap it whole or keep the old one. On the serving thread.
    fn reload(&self) {}
    /// What the process was started for when nobody waits for it: `a job that is due`; nothing if it was started by hand.
    /// On the serving thread, just before `READY=1`.
    fn cause(&self) -> Option<String> {
        None
    }
    /// Just after `READY=1`: what need not be there for the first answer.
    fn ready(&self, _life: &Life) {}
    /// Before every attempt to fall asleep: flush what may be lost. A request can still call the process back. `life` is
    /// what it will have been if none does.
    fn before_sleep(&self, _life: &Life) {}
    /// After [`Hooks::before_sleep`], when something came after all: `life` goes on.
    fn called_back(&self, _life: &Life) {}
    /// All is over, in whatever way `life` says, and systemd knows. It is waited for, but not for long.
    fn left(&self, _life: &Life) {}
    /// What the program itself keeps awake for, for people: `app wiki`; empty if nothing. On the serving thread.
    fn work(&self) -> String {
        String::new()
    }
    /// A drain is out of time, and everything was told to end: what the process has still to wait for, some seconds at
    /// most, such as programs it has started.
    fn ending(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
    /// Something people should see in front of the status, such as a bad configuration. On the serving thread.
    fn problem(&self) -> Option<String> {
        None
    }
}

impl Hooks for () {}

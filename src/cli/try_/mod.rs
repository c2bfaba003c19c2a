//! `dormouse try`: plays systemd in the terminal, without systemd or root.
//!
//! It holds the port and never accepts. When somebody knocks it starts `dormouse serve` as systemd would, tells when
//! it woke and when it fell asleep, and waits for the next one; or until a job is due that is to be tried again.

mod child;
mod folder;
mod notices;
mod report;
mod signals;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use self::child::Child;
use self::folder::Folder;
use self::notices::{Notice, NoticeSocket};
use self::signals::Signals;
use super::{Try, code};
use crate::activation::{Listener, Sockets};
use crate::job;

/// The pause after a failure, as `RestartSec=` of the unit; doubled while nothing ever gets ready.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Holds the port until Ctrl-C; returns the exit code.
pub fn run(arguments: &Try) -> u8 {
    let mut sockets = Sockets::default();
    if let Err(error) = sockets.bind(&arguments.listen) {
        eprintln!("dormouse: {}", report::cannot_listen(&arguments.listen, &error));
        return code::USAGE;
    }
    let result = match sockets.listeners.as_slice() {
        [listener] => Stage::set(arguments, listener).and_then(|stage| stage.play()),
        _ => Ok(()),
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("dormouse: {error}");
            code::SOFTWARE
        }
    }
}

/// All that lives as long as `try` does.
struct Stage<'r> {
    config: Option<&'r Path>,
    listener: &'r Listener,
    signals: Signals,
    notices: NoticeSocket,
    folder: Folder,
}

/// Why a wait is over.
#[derive(PartialEq)]
enum Waited {
    /// What was waited for has come: a connection, or the time.
    Came,
    /// Ctrl-C, or a signal like it.
    Interrupted,
}

/// What came of one wake.
enum Outcome {
    /// It left by itself and all is well.
    Asleep,
    /// It ended because we were told to end.
    Stopped,
    /// Something went wrong.
    Failed { was_ready: bool },
}

impl<'r> Stage<'r> {
    fn set(arguments: &'r Try, listener: &'r Listener) -> io::Result<Self> {
        let signals = Signals::catch()?;
        let folder = Folder::create()?;
        let notices = NoticeSocket::bind(&folder.notify_socket())?;
        Ok(Self { config: arguments.config.as_deref(), listener, signals, notices, folder })
    }

    fn play(&self) -> io::Result<()> {
        let program = std::env::args().next().unwrap_or_else(|| "dormouse".to_owned());
        report::print(&report::opening(&self.listener.address(), &program, &self.folder.runtime()));
        let mut pause = SHORTEST_PAUSE;
        for number in 1.. {
            if self.wait_for_knock()? == Waited::Interrupted {
                break;
            }
            match self.wake(number)? {
                Outcome::Stopped => break,
                Outcome::Asleep => pause = SHORTEST_PAUSE,
                Outcome::Failed { was_ready } => {
                    if was_ready {
                        pause = SHORTEST_PAUSE;
                    }
                    if pause > SHORTEST_PAUSE {
                        report::tell(&report::pause(pause));
                    }
                    if self.wait(pause)? == Waited::Interrupted {
                        break;
                    }
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
            }
        }
        Ok(())
    }

    /// Waits until a connection is in the listener's queue, and leaves it there; or until a job is due.
    fn wait_for_knock(&self) -> io::Result<Waited> {
        let due = job::due(&self.folder.state().join("jobs"));
        loop {
            let rest = due.map(|due| due.duration_since(SystemTime::now()).unwrap_or_default());
            if rest.is_some_and(|rest| rest.is_zero()) {
                return Ok(Waited::Came);
            }
            let [knock, _] = poll([self.listener.as_fd(), self.signals.stop_requested()], rest)?;
            if self.signals.take_stop_requests() > 0 {
                return Ok(Waited::Interrupted);
            }
            if knock {
                return Ok(Waited::Came);
            }
        }
    }

    fn wait(&self, pause: Duration) -> io::Result<Waited> {
        let until = Instant::now() + pause;
        loop {
            if self.signals.take_stop_requests() > 0 {
                return Ok(Waited::Interrupted);
            }
            let Some(rest) = until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())
            else {
                return Ok(Waited::Came);
            };
            poll([self.signals.stop_requested()], Some(rest))?;
        }
    }

    /// One life of the child, from the knock to its end.
    fn wake(&self, number: u64) -> io::Result<Outcome> {
        let knock = Instant::now();
        let mut child = match Child::start(self.listener.as_fd(), &self.folder, self.config) {
            Ok(child) => child,
            Err(error) => {
                report::tell(&report::cannot_start(number, &error));
                return Ok(Outcome::Failed { was_ready: false });
            }
        };
        let mut was_ready = false;
        let mut stop_requests = 0;
        let exit = loop {
            poll([self.signals.stop_requested(), self.signals.child_ended(), self.notices.as_fd()], None)?;
            self.signals.clear_child_ended();
            // Before its notices are read, so that its very last one is.
            let exit = child.exit()?;
            for notice in self.notices.take() {
                if notice == Notice::Ready && !was_ready {
                    was_ready = true;
                    report::tell(&report::woke(number, child.id(), knock.elapsed()));
                }
            }
            if let Some(exit) = exit {
                break exit;
            }
            for _ in 0..self.signals.take_stop_requests() {
                stop_requests += 1;
                child.stop(stop_requests);
            }
        };
        let outcome = match exit.code() {
            _ if stop_requests > 0 => Outcome::Stopped,
            Some(0) if was_ready => Outcome::Asleep,
            _ => Outcome::Failed { was_ready },
        };
        report::tell(&report::end(&outcome, number, knock.elapsed(), exit));
        Ok(outcome)
    }
}

/// Waits until one of these can be read; tells which. Without `limit`, for ever.
fn poll<const N: usize>(files: [BorrowedFd<'_>; N], limit: Option<Duration>) -> io::Result<[bool; N]> {
    let mut polled = files.map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN));
    let limit = limit.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
    match rustix::event::poll(&mut polled, limit.as_ref()) {
        Ok(_) => Ok(polled.map(|file| !file.revents().is_empty())),
        // A signal: its handler has written to a pipe, which the next look shows.
        Err(Errno::INTR) => Ok([false; N]),
        Err(errno) => Err(errno.into()),
    }
}

//! One program that runs as a child of this process.
//!
//! It is watched by a pidfd (Linux 5.3), so no signal handler has a part in it, and its end is seen before it is reaped:
//! until then nobody else can have the id of its process group, and what it left running there is killed. A process
//! that leaves the group is systemd's, which ends it with the service.

use std::fmt;
use std::future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpriority_process, kill_process_group,
    setpriority_process, waitid, waitpid,
};
use signal_hook::low_level::signal_name;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};

use super::group;
use super::output::Output;
use super::owner::Owner;
use super::program::{Born, Program, StartError};
use super::streams::{Streams, Way};
use crate::activation::register;

/// A program that was started. Dropped, it is killed with its whole group.
pub struct Child {
    leader: Leader,
    output: Output,
}

/// How long the program of a command or a job has to end after SIGTERM, before SIGKILL.
pub const WITHIN: Duration = Duration::from_secs(5);

/// A program that was started, and the streams that are read and written by whoever started it.
#[derive(Debug)]
pub struct Started {
    /// The program.
    pub child: Child,
    /// With [`super::Stdin::Pipe`].
    pub stdin: Option<pipe::Sender>,
    /// With [`Way::Bytes`].
    pub stdout: Option<pipe::Receiver>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code, or the signal that killed it.
    pub status: ExitStatus,
    /// The last lines of its stderr, the oldest first: at most 20, and 4 KiB. Control characters are escaped.
    pub stderr: Vec<String>,
}

impl Ended {
    /// Whether it ended by itself, with exit code 0.
    pub fn is_success(&self) -> bool {
        self.status.success()
    }
}

impl fmt::Display for Ended {
    /// `exit code 3`, `killed by SIGSEGV`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => match signal_name(signal) {
                Some(name) => write!(f, "killed by {name}"),
                None => write!(f, "killed by signal {signal}"),
            },
            (None, None) => f.write_str("ended"),
        }
    }
}

impl Child {
    /// Starts it; its output goes to the log from here on. See [`Child::start_with`].
    ///
    /// # Errors
    /// When it cannot be started; nothing is left of it then.
    pub fn start(program: &Program) -> Result<Self, StartError> {
        Ok(Self::start_with(program, Streams::logged())?.child)
    }

    /// Starts it. That it could be started, as far as execve(2), is known when this returns: it waits for that, about a
    /// millisecond.
    ///
    /// The thread that calls must be the process's first, or live as long: the program is killed when it ends. It must
    /// be in a tokio runtime with I/O.
    ///
    /// # Errors
    /// When it cannot be started; nothing is left of it then.
    pub fn start_with(program: &Program, streams: Streams) -> Result<Started, StartError> {
        let error = |source| StartError::Process { owner: program.owner.clone(), source };
        let Born { pid, pidfd, stdin, stdout, stderr } = program.spawn(streams.stdin)?;
        let leader = Leader::watch(pid, pidfd).map_err(error)?;
        if let Some(nice) = program.nice {
            leader.check_nice(nice, &program.owner);
        }
        // Should this fail, the leader is killed by being dropped.
        let stdin = stdin.map(pipe::Sender::from_owned_fd).transpose().map_err(error)?;
        let (bytes, lines) = match streams.stdout {
            Way::Bytes => (Some(stdout), None),
            way => (None, Some((stdout, way))),
        };
        let stdout = bytes.map(pipe::Receiver::from_owned_fd).transpose().map_err(error)?;
        let output = Output::follow(&program.owner, lines, (stderr, streams.stderr));
        let child = Self { leader, output: output.map_err(error)? };
        Ok(Started { child, stdin, stdout })
    }

    /// Its process id, which is also its group's.
    pub fn id(&self) -> u32 {
        self.leader.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits until it has ended by itself, and returns the same each time it is asked. What it left running in its group
    /// is killed then. Cancelled, it leaves everything as it was.
    pub async fn exited(&mut self) -> Ended {
        let status = self.leader.ended(Others::Killed).await;
        let stderr = self.output.finish().await;
        Ended { status, stderr }
    }

    /// Ends it: SIGTERM to its whole group, and SIGKILL after `within`. Returns once it is gone; cancelled, it has been
    /// told, and may be told again.
    pub async fn stop(&mut self, within: Duration) -> Ended {
        self.leader.signal(Signal::TERM);
        // One that was stopped would not hear it.
        self.leader.signal(Signal::CONT);
        match timeout(within, self.exited()).await {
            Ok(ended) => ended,
            Err(_) => {
                self.leader.signal(Signal::KILL);
                self.exited().await
            }
        }
    }

    /// Ends it as [`Child::stop`] does, and everybody else in its group has the same time: a shell dies of SIGTERM at once,
    /// before whoever does its work has put things in order.
    pub async fn stop_all(&mut self, within: Duration) -> Ended {
        let until = Instant::now() + within;
        self.leader.signal(Signal::TERM);
        self.leader.signal(Signal::CONT);
        match timeout_at(until, self.leader.ended(Others::Left)).await {
            Ok(_) => self.leader.others_end(until).await,
            Err(_) => self.leader.signal(Signal::KILL),
        }
        self.exited().await
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("id", &self.id()).field("status", &self.leader.status).finish()
    }
}

/// The first process of the group.
struct Leader {
    pid: Pid,
    /// Readable once it has ended. `None` only while it is dropped.
    watched: Option<AsyncFd<OwnedFd>>,
    /// Once it has been reaped.
    status: Option<ExitStatus>,
    /// What it left in its group was left alone, and may be there still.
    has_others: bool,
}

/// What becomes of whoever else is in a group when its first process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    /// They are killed.
    Killed,
    /// They are left alone for now.
    Left,
}

/// What is said of one whom somebody else has reaped: the kernel itself, if SIGCHLD was ignored by who started us.
fn lost() -> ExitStatus {
    ExitStatus::from_raw(Signal::KILL.as_raw())
}

impl Leader {
    fn watch(pid: Pid, pidfd: OwnedFd) -> io::Result<Self> {
        let watched = register(pidfd, Interest::READABLE);
        if watched.is_err() {
            let _ =
                kill_process_group(pid, Signal::KILL).and_then(|()| waitpid(Some(pid), WaitOptions::empty()));
        }
        Ok(Self { pid, watched: Some(watched?), status: None, has_others: false })
    }

    /// Looks whether it is as nice as it should be, which it was to see to before its first instruction. It runs on if
    /// that may not be.
    fn check_nice(&self, nice: i32, owner: &Owner) {
        if getpriority_process(Some(self.pid)) == Ok(nice) {
            return;
        }
        if let Err(error) = setpriority_process(Some(self.pid), nice) {
            tracing::warn!(
                %error,
                "{owner}: cannot set its priority to {nice} (`nice`): {error}; a limit or the unit's sandbox forbids it, \
                 see SystemCallFilter= and LimitNICE="
            );
        }
    }

    /// Waits for its end.
    async fn ended(&mut self, others: Others) -> ExitStatus {
        loop {
            if let Some(status) = self.reap(others) {
                return status;
            }
            let Some(watched) = &self.watched else { return lost() };
            match watched.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                // The runtime ends, and who waits with it.
                Err(_) => future::pending().await,
            }
        }
    }

    /// How it ended, if it has, and what becomes of its group then.
    fn reap(&mut self, others: Others) -> Option<ExitStatus> {
        if self.status.is_some() {
            return self.status;
        }
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let has_ended = waitid(WaitId::Pid(self.pid), look);
        if let Ok(None) = has_ended {
            return None;
        }
        // While it is not reaped, nobody else can have its group's id.
        let reaped = has_ended.and_then(|_| {
            match others {
                Others::Killed => self.signal(Signal::KILL),
                Others::Left => self.has_others = true,
            }
            waitpid(Some(self.pid), WaitOptions::NOHANG)
        });
        let status = reaped.ok().flatten().map(|(_, status)| ExitStatus::from_raw(status.as_raw()));
        self.status = Some(status.unwrap_or_else(lost));
        self.status
    }

    /// Waits for the end of all others in its group, which are killed at some time.
    async fn others_end(&mut self, until: Instant) {
        if self.has_others && timeout_at(until, group::end(self.pid)).await.is_err() {
            let _ = kill_process_group(self.pid, Signal::KILL); // as in `group`, it is theirs
        }
        self.has_others = false;
    }

    /// To the whole group, while its id is its own.
    fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            // There is nobody to tell that nobody was there.
            let _ = kill_process_group(self.pid, signal);
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if self.has_others {
            let _ = kill_process_group(self.pid, Signal::KILL); // as in `group`, it is theirs
        }
        if self.reap(Others::Killed).is_some() {
            return;
        }
        // It takes a moment to die. Without a runtime it is reaped when this process ends, as it is about to.
        if let (Some(watched), Ok(runtime)) = (self.watched.take(), Handle::try_current()) {
            let pid = self.pid;
            runtime.spawn(async move {
                let _ = watched.readable().await;
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            });
        }
    }
}

#[cfg(test)]
mod tests;

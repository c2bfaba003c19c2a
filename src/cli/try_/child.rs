//! `dormouse serve`, started the way systemd starts it.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{self, Pid, Signal, WaitId, WaitIdOptions};

use super::folder::Folder;
use crate::activation::{end_with_us, pass};

/// What `LISTEN_FDNAMES` says, as the `FileDescriptorName=` of the unit that is shipped.
const SOCKET_NAME: &str = "http";

/// The running child.
pub struct Child(std::process::Child);

impl Child {
    /// Starts it, with the listener as its socket.
    pub fn start(listener: BorrowedFd<'_>, folder: &Folder, config: Option<&Path>) -> io::Result<Self> {
        // The path, not /proc/self/exe: after an upgrade or a new build, the next wake runs the new one.
        let program = std::env::current_exe()?;
        let mut command = Command::new(&program);
        command.arg("activate-exec").arg(&program).arg("serve");
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", SOCKET_NAME);
        command.env("NOTIFY_SOCKET", folder.notify_socket());
        command.env("STATE_DIRECTORY", folder.state()).env("RUNTIME_DIRECTORY", folder.runtime());
        // Of whatever started us; none of it is about the child.
        for variable in ["LISTEN_PID", "LISTEN_PIDFDID", "WATCHDOG_PID", "WATCHDOG_USEC"] {
            command.env_remove(variable);
        }
        // A group of its own: Ctrl-C in the terminal reaches us alone, and we tell it once.
        command.stdin(Stdio::null()).process_group(0);
        end_with_us(&mut command, Signal::TERM);
        pass(&mut command, listener)?;
        Ok(Self(command.spawn()?))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Asks it to end: SIGTERM, which it may be told twice; who asks a third time means it.
    pub fn stop(&self, times: u32) {
        // It has not been waited for, so its id is still its own.
        let _ = if times < 3 {
            process::kill_process(self.pid(), Signal::TERM)
        } else {
            process::kill_process_group(self.pid(), Signal::KILL)
        };
    }

    /// How it ended, if it has; what it left running in its group is killed, as systemd does (`KillMode=mixed`).
    pub fn exit(&mut self) -> io::Result<Option<ExitStatus>> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if process::waitid(WaitId::Pid(self.pid()), look)?.is_none() {
            return Ok(None);
        }
        // While it is not waited for, nobody else can have its group's id.
        let _ = process::kill_process_group(self.pid(), Signal::KILL);
        self.0.wait().map(Some)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

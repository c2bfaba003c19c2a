//! The other side of the protocol: starting a program with a socket, as systemd does (sd_listen_fds(3)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{self, Signal};

/// The first descriptor that is passed (SD_LISTEN_FDS_START).
const FIRST_PASSED: RawFd = 3;

/// Ends the command by `signal` when the thread that starts it ends, also when that is by SIGKILL. It is for the first
/// thread of a process, or one that lives as long as the command may.
pub(crate) fn end_with_us(command: &mut Command, signal: Signal) {
    let parent = process::getpid();
    let between_fork_and_exec = move || {
        process::set_parent_process_death_signal(Some(signal))?;
        if process::getppid() != Some(parent) {
            return Err(io::ErrorKind::NotFound.into()); // it ended before that
        }
        Ok(())
    };
    // SAFETY: only system calls between fork and exec, no allocation or lock (signal-safety(7)).
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(between_fork_and_exec);
    }
}

/// Makes `socket` descriptor 3 of the command. Its `LISTEN_*` variables are the caller's to set.
pub(crate) fn pass(command: &mut Command, socket: BorrowedFd<'_>) -> io::Result<()> {
    // Descriptor 3 itself if nothing else is: then `Command` cannot take it for what it needs on its way to exec, which
    // would be overwritten. It lives as long as `command`.
    let held: OwnedFd = rustix::io::fcntl_dupfd_cloexec(socket, FIRST_PASSED)?;
    let between_fork_and_exec = move || {
        // SAFETY: system calls on numbers. Descriptor 3 is the socket, or was somebody's before.
        #[allow(unsafe_code)]
        let result = unsafe {
            match held.as_raw_fd() {
                FIRST_PASSED => libc::fcntl(FIRST_PASSED, libc::F_SETFD, 0), // dup2 to itself would leave it close-on-exec
                held => libc::dup2(held, FIRST_PASSED),
            }
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: only system calls between fork and exec, no allocation or lock (signal-safety(7)).
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(between_fork_and_exec);
    }
    Ok(())
}

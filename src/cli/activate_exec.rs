//! The hidden `dormouse activate-exec PROGRAM ARGS...`: the last step of handing sockets to a program.
//!
//! `LISTEN_PID` must name the process that uses the sockets (sd_listen_fds(3)), and who starts a program cannot know
//! its process id beforehand. So this process, which has been given the sockets and the other variables, adds its own
//! id and becomes the program.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::ActivateExec;

/// As shells have it: there, but not to be run.
const CANNOT_RUN: u8 = 126;
/// As shells have it: not there.
const NOT_FOUND: u8 = 127;

/// Becomes the program; returns an exit code only when that fails.
pub fn run(arguments: &ActivateExec) -> u8 {
    let [program, rest @ ..] = arguments.program.as_slice() else { return NOT_FOUND };
    let error = Command::new(program).args(rest).env("LISTEN_PID", std::process::id().to_string()).exec();
    eprintln!("dormouse: cannot run {}: {error}", program.display());
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN }
}

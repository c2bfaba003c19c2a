//! The `dormouse` command.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use dormouse::cli::{self, Arguments, Command};

/// sysexits.h: the command was used wrongly.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let _started = Instant::now();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    ExitCode::from(match arguments.command {
        Command::Serve(_) => 70,
        Command::Try(arguments) => cli::try_::run(&arguments),
        Command::Check(_) => 70,
        Command::ActivateExec(arguments) => cli::activate_exec::run(&arguments),
    })
}

//! The `dormouse` command: what it was asked for, done, and how it ended.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use dormouse::cli::{self, Arguments, Command, code};

fn main() -> ExitCode {
    let started = Instant::now();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let is_mistake = error.use_stderr(); // --help and --version are none
            let _ = error.print();
            return ExitCode::from(if is_mistake { code::USAGE } else { code::OK });
        }
    };
    ExitCode::from(match arguments.command {
        Command::Serve(arguments) => cli::serve::run(&arguments, started),
        Command::Try(arguments) => cli::try_::run(&arguments),
        Command::Check(arguments) => cli::check::run(&arguments),
        Command::Why(arguments) => cli::why::run(&arguments),
        Command::ActivateExec(arguments) => cli::activate_exec::run(&arguments),
    })
}

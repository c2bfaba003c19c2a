//! The command line. Only this module prints.

pub mod activate_exec;
pub mod check;
pub mod code;
pub mod daemon;
pub mod places;
mod plain;
pub mod serve;
pub mod try_;
pub mod why;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The web server that isn't running until somebody asks.
#[derive(Debug, Parser)]
#[command(name = "dormouse", version, about, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs of the command line.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the sockets systemd passed, or --listen; sleep when quiet
    Serve(Serve),
    /// Play systemd in the terminal: hold the port, wake dormouse, watch it sleep
    Try(Try),
    /// Check a config file: every error at once, then the table of routes
    Check(Check),
    /// What keeps it awake, what woke it, why it sleeps; asks running ones, wakes none
    Why(Why),
    /// Set LISTEN_PID to this very process and become the program
    #[command(name = "activate-exec", hide = true)]
    ActivateExec(ActivateExec),
}

/// Arguments of `dormouse serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Config file [default: /etc/dormouse/dormouse.toml, or the built-in welcome page if there is none]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Bind an address by hand, when systemd passes no socket; may be repeated
    #[arg(long, value_name = "ADDR:PORT|unix:PATH")]
    pub listen: Vec<String>,
    /// Sleep after this much quiet, whatever the config says ("30s", "10m", "never")
    #[arg(long, value_name = "DURATION")]
    pub sleep_after: Option<String>,
}

/// Arguments of `dormouse try`.
#[derive(Debug, Args)]
pub struct Try {
    /// Config file [default: /etc/dormouse/dormouse.toml, or the built-in welcome page if there is none]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to hold the port
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub listen: String,
}

/// Arguments of `dormouse check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Check /etc/dormouse/NAME.toml
    #[arg(value_name = "NAME", conflicts_with = "config")]
    pub name: Option<String>,
    /// Config file [default: /etc/dormouse/dormouse.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments of `dormouse why`.
#[derive(Debug, Args)]
pub struct Why {
    /// The instance: `dormouse`, or NAME of dormouse@NAME.service [default: all there are]
    #[arg(value_name = "NAME", conflicts_with = "runtime")]
    pub name: Option<String>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Ask the dormouse whose RUNTIME_DIRECTORY is DIR, such as one started by hand or by `dormouse try`
    #[arg(long, value_name = "DIR")]
    pub runtime: Option<PathBuf>,
}

/// Arguments of the hidden `dormouse activate-exec`.
#[derive(Debug, Args)]
pub struct ActivateExec {
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

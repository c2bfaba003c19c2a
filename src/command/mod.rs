//! What `run` and `job` share: from a request to the arguments and environment of a program. Nothing is started here, and
//! all of it is pure.
//!
//! - [`Command`]: a command as its route says it (`read`), and the arguments for one request (`fill`);
//! - `keys`: the keys that such routes have;
//! - [`Asked`]: the request that is made arguments of; [`Fields`]: what its body says, a form or JSON (`form`, `json`);
//! - `patterns`: `allow` and `when`; `shell`: arguments that would be read as code;
//! - [`cgi`]: what CGI/1.1 tells a program of a request;
//! - [`Unfit`]: why a request makes no command, in words for its sender.
//!
//! A program reads its arguments for what they look like, so nothing that a client chooses may look like something else:
//! no value begins an argument with `-` unless `allow` has a pattern for it, and a pattern is held to the whole value.

mod asked;
pub mod cgi;
mod fields;
mod fill;
mod form;
mod json;
pub mod keys;
mod patterns;
mod read;
mod shell;
#[cfg(test)]
mod tests;
mod unfit;

use std::ffi::OsString;
use std::path::PathBuf;

use patterns::Patterns;

pub use asked::Asked;
pub use fields::{Fields, Wants};
pub use form::{Form, parameter};
pub use unfit::Unfit;

use crate::handler::placeholder::{CommandSource, Template};

/// A command as its route says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Command {
    /// The program and its arguments; empty for a queue that outside workers pull from.
    line: Vec<Template<CommandSource>>,
    allow: Patterns,
    when: Patterns,
    /// Added to its environment.
    pub env: Vec<(String, String)>,
    /// Where it runs; `None`: the state directory.
    pub dir: Option<PathBuf>,
    /// How nice it is to others (nice(1)); `None`: as nice as we are.
    pub nice: Option<i32>,
}

impl Command {
    /// `env`, as a program gets it.
    pub fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.env.iter().map(|(name, value)| (name.into(), value.into()))
    }
}

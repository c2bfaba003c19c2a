//! Whose a program is.

use std::fmt;
use std::sync::Arc;

/// Whose a program is, for the log and for errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An app's, by its name.
    App(Arc<str>),
    /// A command of the route with this path, and the verb that runs it.
    Route(&'static str, Arc<str>),
}

impl Owner {
    /// The app's name, or the route's path.
    pub fn name(&self) -> &str {
        match self {
            Self::App(name) | Self::Route(_, name) => name,
        }
    }

    /// The key of the config that says what is run.
    pub fn key(&self) -> &'static str {
        match self {
            Self::App(_) => "run",
            Self::Route(verb, _) => verb,
        }
    }
}

impl fmt::Display for Owner {
    /// `app "wiki"`, `run "/deploy"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(name) => write!(f, "app {name:?}"),
            Self::Route(verb, path) => write!(f, "{verb} {path:?}"),
        }
    }
}

//! Which route takes a request: by socket, host, path and method, on the bytes that came.
//!
//! The most specific route wins, whatever the order in the file: a named host before a wildcard before none; exact
//! paths, then paths with parameters, then subtrees, the longest first; a named socket before none. Then the place is
//! settled, and a method nobody there takes is a 405, even if a less specific route would take it.
//!
//! Nothing is cleaned: `//`, `..` and `%2F` are matched and handed on as sent.

mod host;
mod methods;
mod pattern;
mod router;
mod tree;

pub use host::{HostError, HostPattern, request_host};
pub use methods::MethodSet;
pub use pattern::{Pattern, PatternError};
pub use router::{Conflict, Found, Question, Router, Spec};

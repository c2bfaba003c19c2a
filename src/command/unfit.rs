//! Why a request makes no command.

use crate::intake::FormError;

/// Why a request makes no command: one line for the page of its 400. It names what is wrong and never repeats what came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The request has no such thing.
    #[error("{{{0}}} is missing")]
    Missing(String),
    /// No argument can hold it.
    #[error("{{{0}}} has a NUL byte in it")]
    Nul(String),
    /// `allow` has another pattern for it.
    #[error("{{{0}}} is not as this address allows it")]
    NotAllowed(String),
    /// A program would take it for an option.
    #[error("{{{0}}} begins with a dash, which this address does not allow")]
    Dash(String),
    /// More than an argument can hold.
    #[error("{{{0}}} is too long")]
    TooLong(String),
    /// An object or a list of JSON.
    #[error("{{{0}}} is an object or a list, and a single value is expected")]
    NotSingle(String),
    /// The body is something else.
    #[error("the body is expected to be {0}")]
    Unexpected(&'static str),
    /// `application/json` that is none.
    #[error("the {what} is no valid JSON (line {line}, column {column})")]
    NotJson {
        /// The body, or a field of it.
        what: &'static str,
        /// Where the reading ended.
        line: usize,
        /// Where in it.
        column: usize,
    },
    /// `multipart/form-data` that is none.
    #[error(transparent)]
    NotForm(FormError),
    /// A form that is meant to cost something.
    #[error("the form has more than {0} fields")]
    TooManyFields(usize),
    /// No variable can hold it.
    #[error("the path has a NUL byte in it")]
    NulInPath,
    /// A program that puts it behind a folder would leave that.
    #[error("the path has a \"..\" in it")]
    Climbs,
    /// More than a program can be given.
    #[error("the request's head is too long")]
    HeadTooLong,
}

//! What can be wrong with a body, and what its client is answered.

use std::io;

use hyper::StatusCode;

use super::form::{MOST_OF_ALL, MOST_OF_FIELD, MOST_PARTS};
use super::multipart::Malformed;
use crate::guard::BodyError;

/// Why a body is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// It does not come, or not as it may.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// It is larger than may be held in memory, and there is nowhere else.
    #[error("the request's body is larger than what is taken here")]
    TooLarge,
    /// The disk is full, or the user's share of it (quota).
    #[error("there is no room in the spool ({0}); make some, or move the state directory")]
    NoSpace(#[source] io::Error),
    /// The disk does not do what it should.
    #[error("cannot write to the spool ({0})")]
    Io(#[source] io::Error),
    /// The form is not what it should be.
    #[error(transparent)]
    Form(#[from] FormError),
}

impl From<io::Error> for IntakeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace(error),
            _ => Self::Io(error),
        }
    }
}

impl IntakeError {
    /// What the client is answered.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Body(BodyError::TooLarge) | Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::TimedOut) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::Broken(_)) | Self::Form(_) => StatusCode::BAD_REQUEST,
            Self::NoSpace(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What is wrong with a multipart form, in words for its sender. Names are repeated shortened and quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// It is something else.
    #[error(
        "the request is no multipart form; send one, with the file in the field {0:?} (curl -F {0}=@FILE)"
    )]
    NoForm(String),
    /// Its Content-Type says of no boundary, or of one that cannot be.
    #[error("the Content-Type of the form has no boundary of 1 to 70 characters (RFC 2046 section 5.1.1)")]
    NoBoundary,
    /// What it consists of is no multipart form.
    #[error("the form is malformed {place}: {malformed}")]
    Malformed {
        /// Whereabouts.
        place: String,
        /// What is wrong.
        malformed: Malformed,
    },
    /// It ends before its last boundary.
    #[error("the form ends {0}, without its last boundary")]
    Incomplete(String),
    /// The file is not in it.
    #[error("the form has no field {0:?}, which the file belongs into (curl -F {0}=@FILE)")]
    Missing(String),
    /// There are two files, and one is wanted.
    #[error("the field {0:?} is in the form more than once, and one file is taken")]
    Twice(String),
    /// Many parts.
    #[error("the form has more than {MOST_PARTS} parts")]
    TooManyParts,
    /// A field that should be small.
    #[error("the field {0:?} is larger than {most} KiB", most = MOST_OF_FIELD / 1024)]
    FieldTooLarge(String),
    /// Fields that should be small.
    #[error("the fields of the form are larger than {} KiB together", MOST_OF_ALL / 1024)]
    FieldsTooLarge,
}

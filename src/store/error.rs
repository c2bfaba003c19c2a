//! What can go wrong with the file, and of which kind it is.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

/// Why the store did not do what it was asked to. One failure answers a whole batch, so it can be cloned.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or a quota is full. It works again as soon as there is room.
    #[error("there is no room on the disk for {}; free some, or raise the quota", file.display())]
    NoSpace {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// Anything else the system has against it. Each call tries again.
    #[error("cannot use {}; it and its directory must be writable for the user dormouse runs as", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// It is another process's.
    #[error(
        "{} is open in another process; each dormouse needs a state directory of its own (StateDirectory=)",
        file.display()
    )]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// A newer dormouse wrote it.
    #[error(
        "{} is of version {version}, and this dormouse reads version {known}; install the newer dormouse again, or move the file away",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        version: u64,
        /// The one this program reads.
        known: u64,
    },
    /// It is damaged, again after a fresh one was started.
    #[error("{} is damaged ({reason}), is the disk in order?", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: Arc<str>,
    },
    /// A mistake of ours; the file is whole.
    #[error("a mistake in dormouse ({reason}), nothing was changed in {}; please report it", file.display())]
    Internal {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        reason: Arc<str>,
    },
    /// The system gives no thread.
    #[error("cannot start a thread for {}; see TasksMax= and LimitNPROC=", file.display())]
    Thread {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
}

/// Of which kind a failure is: it decides what is done about it.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file's content makes no sense.
    Damaged(String),
    /// The system failed; whether the content is whole is not known, but nothing speaks against it.
    Io(io::Error),
    InUse,
    Newer(u64),
    /// A panic, or an error that only a mistake can bring.
    Internal(String),
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        use redb::Error;
        match error {
            // No system call gives these: redb says so of what is no database, and of one that was cut off.
            Error::Io(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Self::Damaged(error.to_string())
            }
            Error::Io(error) => Self::Io(error),
            Error::PreviousIo | Error::DatabaseClosed => Self::Io(io::Error::other(error.to_string())),
            Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => Self::InUse,
            Error::Corrupted(_)
            | Error::UpgradeRequired(_)
            | Error::TableTypeMismatch { .. }
            | Error::TableIsMultimap(_)
            | Error::TypeDefinitionChanged { .. }
            | Error::TableDoesNotExist(_) => Self::Damaged(error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl Fault {
    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io(error) if is_full(error))
    }

    /// For whoever asked.
    pub fn told(self, file: &Path) -> StoreError {
        let file = file.to_owned();
        match self {
            Self::Io(source) if is_full(&source) => StoreError::NoSpace { file, source: source.into() },
            Self::Io(source) => StoreError::Io { file, source: source.into() },
            Self::InUse => StoreError::InUse { file },
            Self::Newer(version) => StoreError::Newer { file, version, known: super::file::VERSION },
            Self::Damaged(reason) => StoreError::Damaged { file, reason: reason.into() },
            Self::Internal(reason) => StoreError::Internal { file, reason: reason.into() },
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [Errno::NOSPC, Errno::DQUOT].iter().any(|full| number == Some(full.raw_os_error()))
}

/// What was caught of a panic.
pub(super) fn text_of_panic(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panic: {}", text.unwrap_or_default())
}

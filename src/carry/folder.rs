//! The runtime directory, taken by one process at a time.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// How often, and how far apart, a directory that is taken is tried.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// A runtime directory that is ours until we end, however we end: the kernel holds the lock.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the directory, making it first if it is not there; `None` when another process keeps it.
    ///
    /// # Errors
    /// When it can be neither made nor opened.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        let lock = File::open(path)?;
        // Somebody may just be looking ([`Folder::is_taken`]), or the process before us is about to end.
        for _ in 0..TRIES {
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self { path: path.to_owned(), _lock: lock })),
                Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether some process has this directory now: a dormouse runs.
    ///
    /// # Errors
    /// When the directory cannot be looked at, for want of permission or because it is not there.
    pub fn is_taken(path: &Path) -> io::Result<bool> {
        let lock = File::open(path)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

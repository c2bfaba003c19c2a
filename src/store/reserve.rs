//! Room on the disk for what must be written when it is full: how jobs ended.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;

/// The name of the file that takes the room.
pub(super) const FILE: &str = "jobs.reserve";

/// Its length. A commit of a few changes writes less than a tenth of it, and the room of one is used again by the next
/// but one.
const BYTES: u64 = 1024 * 1024;

/// How much of it is handed over at a time.
const STEP_BYTES: u64 = 64 * 1024;

/// A file that is nothing but room, given up when a change finds none and taken back as soon as there is some. While it
/// cannot be had, nothing is accepted.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    is_held: bool,
}

impl Reserve {
    pub fn new(directory: &Path) -> Self {
        Self { path: directory.join(FILE), is_held: false }
    }

    /// Takes the room, unless it has it.
    pub fn hold(&mut self) -> io::Result<()> {
        if self.is_held {
            return Ok(());
        }
        let taken = self.open().and_then(|file| {
            match fallocate(&file, FallocateFlags::empty(), 0, BYTES) {
                Ok(()) => Ok(()),
                // A file system without this has no way to promise room.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
                Err(error) => Err(error.into()),
            }
        });
        if taken.is_err() {
            self.release(); // a part of it helps nobody
        }
        self.is_held = taken.is_ok();
        taken
    }

    /// Gives it up; whether there was any.
    pub fn release(&mut self) -> bool {
        self.is_held = false;
        std::fs::remove_file(&self.path).is_ok()
    }

    /// Gives it to this file, which the database has open: what is not on the disk yet of its length gets the room at
    /// once, before others can take it. Whether there was any.
    pub fn hand_over(&mut self, to: &Path) -> bool {
        let was_there = self.release();
        if was_there && let Err(error) = fill_holes(to) {
            tracing::debug!(%error, "{} got a part of the reserve, at most: {error}", to.display());
        }
        was_there
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).open(&self.path)
    }
}

/// Takes room for as many holes of a file as the reserve is long.
fn fill_holes(path: &Path) -> io::Result<()> {
    // Not reading: the file is locked by descriptor, so that one more does it no harm.
    let file = OpenOptions::new().write(true).open(path)?;
    let length = file.metadata()?.len();
    let (mut at, mut left) = (0, BYTES);
    while left > 0 {
        at = seek(&file, SeekFrom::Hole(at))?;
        if at >= length {
            break;
        }
        let size = STEP_BYTES.min(length - at).min(left);
        fallocate(&file, FallocateFlags::KEEP_SIZE, at, size)?;
        (at, left) = (at + size, left - size);
    }
    Ok(())
}

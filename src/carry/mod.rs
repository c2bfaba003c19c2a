//! What goes on across sleeps: a small file in the runtime directory, kept over stops and gone at boot.
//!
//! `carry.json` holds the number of wakes since boot and the lives of the last [`history`](document::MOST_LIVES) of them.
//! It is written when the process is ready, so that a `kill -9` leaves "running" behind, which the next start turns into
//! "ended without a word"; before every attempt to fall asleep, while a request can still call it back; and at the end
//! of a drain. Each time whole, into a file beside it that takes its place: whoever reads it, and whenever the process is
//! killed, it is either the old one or the new one. It is not synced to a disk: the runtime directory is memory.
//!
//! What is damaged, unreadable, too large or of another version is ignored with one warning, and replaced. Top-level
//! members of a file of the same version that this program does not know are carried along untouched: they belong to a
//! newer program that was there between two wakes of this one.
//!
//! - [`document`]: bytes and what they mean, pure;
//! - [`Carry`]: the file, and the order of its writes;
//! - `folder`: whose runtime directory it is.

pub mod document;
mod file;
mod folder;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::document::Document;
pub use self::file::{FILE, Unreadable, read};
pub use self::folder::Folder;
use crate::lifecycle::Life;

/// The carry-over file of a process that runs.
#[derive(Debug)]
pub struct Carry {
    folder: Folder,
    /// Held only to look and to change, never while a file is written: the serving thread looks too.
    document: Mutex<Document>,
    writer: Mutex<Writer>,
}

/// Whoever has it writes.
#[derive(Debug, Default)]
struct Writer {
    /// How old this life was when it was last written.
    age: Option<Duration>,
    has_warned: bool,
}

impl Carry {
    /// Reads what earlier lives left in the folder. What cannot be used is told in one warning: counts begin anew.
    pub fn open(folder: Folder) -> Self {
        let mut document = match read(folder.path()) {
            Ok(document) => document.unwrap_or_default(),
            Err(error) => {
                let file = folder.path().join(FILE);
                tracing::warn!(
                    file = %file.display(),
                    "{} {error}: wakes and history are counted anew, and it is replaced",
                    file.display()
                );
                Document::default()
            }
        };
        document.begin();
        Self { folder, document: Mutex::new(document), writer: Mutex::default() }
    }

    /// Wakes since boot, this one included.
    pub fn wakes(&self) -> u64 {
        lock(&self.document).wakes
    }

    /// Notes how this life stands, unless a later word of it has been noted already, by whatever thread.
    pub fn note(&self, life: &Life) {
        let mut writer = lock(&self.writer);
        if writer.age.is_some_and(|age| age > life.awake_for) {
            return;
        }
        let is_first = writer.age.replace(life.awake_for).is_none();
        let document = {
            let mut document = lock(&self.document);
            document.note(life, is_first);
            document.clone()
        };
        // One writer at a time: what is written last is what is newest.
        if let Err(error) = file::write(self.folder.path(), &document)
            && !std::mem::replace(&mut writer.has_warned, true)
        {
            let file = self.folder.path().join(FILE);
            tracing::warn!(
                file = %file.display(), %error,
                "cannot write {}: wakes and history will not go on after the next sleep", file.display()
            );
        }
    }

    /// The lives it knows, oldest first, this one last.
    pub fn lives(&self) -> Vec<Life> {
        lock(&self.document).lives.iter().cloned().collect()
    }

    /// The folder it is in.
    pub fn directory(&self) -> &Path {
        self.folder.path()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner) // both are whole after any panic
}

#[cfg(test)]
mod tests;

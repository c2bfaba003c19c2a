//! The file on its way to and from the folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::document::{Document, Fault};

/// The name of the file.
pub const FILE: &str = "carry.json";

/// What is larger is none of ours: twenty lives take ten thousand bytes.
pub(super) const LARGEST: u64 = 1024 * 1024;

/// Why a file that is there cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system did not let us.
    #[error("cannot be read ({0})")]
    Io(#[from] io::Error),
    /// It is absurdly large.
    #[error("is larger than {} bytes", LARGEST)]
    TooLarge,
    /// Its bytes make no sense.
    #[error("{0}")]
    Fault(#[from] Fault),
}

/// What the file in this directory says; `None` when there is none.
///
/// # Errors
/// See [`Unreadable`].
pub fn read(directory: &Path) -> Result<Option<Document>, Unreadable> {
    let file = directory.join(FILE);
    let options = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&file); // a pipe must not block
    let file = match options {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Unreadable::TooLarge);
    }
    Ok(Some(Document::parse(&bytes)?))
}

/// Replaces the file, whole or not at all.
pub(super) fn write(directory: &Path, document: &Document) -> io::Result<()> {
    let mut text = document.render();
    if text.len() as u64 > LARGEST {
        // Only what was carried along can be that large; it would not be read again.
        text = document.without_others().render();
    }
    let new = directory.join(format!("{FILE}.new"));
    let mut file = create(&new)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&new, directory.join(FILE))
}

/// A file of this user and for its group: `dormouse why` reads it.
fn create(path: &Path) -> io::Result<File> {
    // What a killed process left behind is replaced, whatever it is.
    let _ = fs::remove_file(path);
    OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)
}

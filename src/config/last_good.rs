//! The last good config, kept for the day when the file is bad.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A copy of the last good config in the state directory.
pub(super) struct LastGood {
    file: PathBuf,
}

impl LastGood {
    /// The copy in this directory.
    pub fn new(directory: &Path) -> Self {
        Self { file: directory.join("last-good.toml") }
    }

    /// Where it is.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Its text, if there is one.
    pub fn read(&self) -> Option<String> {
        fs::read_to_string(&self.file).ok()
    }

    /// Replaces it if it differs: whole or not at all, and on the disk before the old one is gone. Readable for this user
    /// only, as the config may be.
    pub fn keep(&self, text: &str) -> io::Result<()> {
        if fs::read(&self.file).is_ok_and(|kept| kept == text.as_bytes()) {
            return Ok(());
        }
        if let Some(directory) = self.file.parent() {
            fs::create_dir_all(directory)?;
        }
        let new = self.file.with_extension("toml.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.file)
    }
}

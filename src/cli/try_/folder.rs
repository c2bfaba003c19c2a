//! A private temporary folder, for what systemd would put under /run and /var/lib.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Removed with all that is in it when dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it, for this user alone.
    pub fn create() -> io::Result<Self> {
        let folder = Self(create_unique(&std::env::temp_dir())?);
        create(&folder.state())?;
        create(&folder.runtime())?;
        Ok(folder)
    }

    pub fn notify_socket(&self) -> PathBuf {
        self.0.join("notify")
    }

    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    pub fn runtime(&self) -> PathBuf {
        self.0.join("runtime")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What remains in a temporary folder is no reason to end in an error.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A name that is taken, perhaps on purpose by somebody else, is left alone.
fn create_unique(parent: &Path) -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        let path = parent.join(format!("dormouse-try-{}-{number}", std::process::id()));
        match create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 100 => number += 1,
            Err(error) => {
                let text = format!("cannot make the temporary folder {}: {error}", path.display());
                return Err(io::Error::new(error.kind(), text));
            }
        }
    }
}

fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_its_own_and_leaves_nothing() {
        let (one, two) = (Folder::create().expect("a folder"), Folder::create().expect("another"));
        assert_ne!(one.0, two.0);
        std::fs::write(one.state().join("file"), "x").expect("it can be written to");
        let path = one.0.clone();
        drop(one);
        assert!(!path.exists());
        assert!(two.runtime().is_dir());
    }
}

//! The folder where large inputs wait: `ID.in.part` while it is written, `ID.in` once it is whole and on the disk.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

/// The folder. Everything here blocks: it is called on the blocking pool.
#[derive(Clone, Debug)]
pub struct SpoolFolder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// What this process has made; `None` once leftovers are swept, and nobody asks any more.
    own: Mutex<Option<HashSet<String>>>,
}

/// A file of the spool. Dropped before it is kept, it is gone.
#[derive(Debug)]
pub struct SpoolFile {
    whole: PathBuf,
    part: Part,
}

/// The file under its name for the time being, which ends with this; a kept one has no such name.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: Arc<File>,
}

/// A file to be unlinked, and only then closed: whichever comes second takes as long as the file is large.
struct Unlink(PathBuf, #[allow(dead_code, reason = "closed when dropped")] Arc<File>);

impl SpoolFolder {
    /// A folder, which is made when it is first needed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Inner { path: path.into(), own: Mutex::new(Some(HashSet::new())) }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Where the whole input with this id is, if it is.
    pub fn path_of(&self, id: &str) -> PathBuf {
        self.0.path.join(format!("{id}.in"))
    }

    /// Makes a file.
    ///
    /// # Errors
    /// When the folder or the file cannot be made, and for an id that is no name.
    pub fn create(&self, id: &str) -> io::Result<SpoolFile> {
        let is_id =
            !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_id {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the id of an input is a word"));
        }
        if let Some(own) = &mut *self.own() {
            own.insert(id.to_owned());
        }
        let whole = self.path_of(id);
        let path = self.0.path.join(format!("{id}.in.part"));
        let mut options = File::options();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make()?;
                options.open(&path)?
            }
            other => other?,
        };
        Ok(SpoolFile { whole, part: Part { path, file: Arc::new(file) } })
    }

    /// Makes the folder, for good: what is kept in it must not be lost with it.
    fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0.path)?;
        self.0.path.parent().map_or(Ok(()), sync_folder)
    }

    /// Removes what a process before this one left: files that are not whole, and whole ones whose id nobody wants; and
    /// says how many. Inputs that this process has begun are left alone; it is for once, early in its life.
    ///
    /// # Errors
    /// When the folder cannot be read, or a file not be removed. A folder that is not there is no error.
    pub fn sweep(&self, is_wanted: impl Fn(&str) -> bool) -> io::Result<usize> {
        let mut own = self.own(); // held: what begins now waits
        let Some(names) = &*own else { return Ok(0) };
        let entries = match fs::read_dir(&self.0.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *own = None;
                return Ok(0);
            }
            other => other?,
        };
        let mut count = 0;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_leftover = match (name.strip_suffix(".in.part"), name.strip_suffix(".in")) {
                (Some(id), _) => !names.contains(id),
                (None, Some(id)) => !names.contains(id) && !is_wanted(id),
                (None, None) => false,
            };
            if is_leftover {
                fs::remove_file(entry.path())?;
                count += 1;
            }
        }
        *own = None;
        Ok(count)
    }

    fn own(&self) -> MutexGuard<'_, Option<HashSet<String>>> {
        self.0.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpoolFile {
    /// Makes it last: its bytes and its name are on the disk when this returns, and it is nobody's to unlink any more.
    ///
    /// # Errors
    /// When the disk fails or is full; then it is gone.
    pub fn keep(self) -> io::Result<PathBuf> {
        let Self { whole, mut part } = self;
        part.file.sync_data()?; // the length too (fdatasync(2))
        fs::rename(&part.path, &whole)?;
        part.path.clone_from(&whole);
        whole.parent().map_or(Ok(()), sync_folder)?;
        part.path.clear();
        Ok(whole)
    }

    /// Opens it for reading, from its beginning.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.part.path)
    }

    pub(super) fn writer(&self) -> Arc<File> {
        self.part.file.clone()
    }

    /// Over something that is no file of a spool.
    #[cfg(test)]
    pub(super) fn over(file: File) -> Self {
        Self { whole: PathBuf::new(), part: Part { path: PathBuf::new(), file: Arc::new(file) } }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.path.as_os_str().is_empty() {
            return;
        }
        let unlink = Unlink(std::mem::take(&mut self.path), self.file.clone());
        // Not on the serving thread; and where nothing runs any more, here.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(move || drop(unlink));
        }
    }
}

impl Drop for Unlink {
    fn drop(&mut self) {
        // A leftover is swept at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::handler::files::Scratch;

    fn write(folder: &SpoolFolder, id: &str) -> SpoolFile {
        let file = folder.create(id).unwrap();
        (&*file.writer()).write_all(id.as_bytes()).unwrap();
        file
    }

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_folder_is_made_when_it_is_needed_and_private() {
        let scratch = Scratch::new();
        let path = scratch.path().join("a/spool");
        let folder = SpoolFolder::new(&path);
        assert_eq!(folder.sweep(|_| false).unwrap(), 0);
        assert!(!path.exists());
        let file = write(&folder, "one");
        assert_eq!(names(&path), ["one.in.part"]);
        for (path, mode) in [(path.clone(), 0o700), (path.join("one.in.part"), 0o600)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
        }
        drop(file);
        assert!(names(&path).is_empty());
    }

    #[test]
    fn what_is_kept_stays_and_nothing_else() {
        let scratch = Scratch::new();
        let folder = SpoolFolder::new(scratch.path());
        let (kept, dropped) = (write(&folder, "kept"), write(&folder, "dropped"));
        assert_eq!(io::read_to_string(kept.open().unwrap()).unwrap(), "kept");
        let path = kept.keep().unwrap();
        drop(dropped);
        assert_eq!(path, folder.path_of("kept"));
        assert_eq!(names(scratch.path()), ["kept.in"]);
        assert_eq!(fs::read_to_string(path).unwrap(), "kept");
    }

    #[test]
    fn what_cannot_be_kept_is_gone() {
        let scratch = Scratch::new();
        let folder = SpoolFolder::new(scratch.path());
        fs::create_dir(folder.path_of("a")).unwrap(); // in the way
        write(&folder, "a").keep().unwrap_err();
        assert_eq!(names(scratch.path()), ["a.in"]);
    }

    #[test]
    fn one_id_has_one_file_and_is_a_word() {
        let scratch = Scratch::new();
        let folder = SpoolFolder::new(scratch.path());
        let _first = write(&folder, "a");
        assert_eq!(folder.create("a").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        for id in ["", "../a", "a/b", "a.b", "a b", "a\0"] {
            assert_eq!(folder.create(id).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{id:?}");
        }
    }

    #[test]
    fn leftovers_are_swept_once_and_what_is_begun_since_is_none() {
        let scratch = Scratch::new();
        for name in
            ["crashed.in.part", "wanted.in", "unwanted.in", "wanted.in.part", "jobs.redb", "\u{e4}.in"]
        {
            scratch.write(name, b"x");
        }
        let folder = SpoolFolder::new(scratch.path());
        let begun = write(&folder, "begun");
        let kept = write(&folder, "kept").keep().unwrap();
        let is_wanted = |id: &str| {
            assert!(matches!(id, "wanted" | "unwanted" | "\u{e4}"), "{id}");
            id == "wanted"
        };
        assert_eq!(folder.sweep(is_wanted).unwrap(), 4);
        assert_eq!(names(scratch.path()), ["begun.in.part", "jobs.redb", "kept.in", "wanted.in"]);
        let later = write(&folder, "later");
        assert_eq!(folder.sweep(|_| false).unwrap(), 0);
        assert!(kept.exists());
        drop((begun, later));
        assert_eq!(names(scratch.path()), ["jobs.redb", "kept.in", "wanted.in"]);
    }

    /// The runtime ends before its blocking pool has come to it.
    #[test]
    fn the_end_of_the_runtime_leaves_nothing() {
        let scratch = Scratch::new();
        let folder = SpoolFolder::new(scratch.path());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let file = write(&folder, "a");
        runtime.block_on(async move { drop(file) });
        drop(runtime);
        assert!(names(scratch.path()).is_empty());
    }
}

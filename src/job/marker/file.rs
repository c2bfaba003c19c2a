//! A file whose modification time says something.

use std::fs::{DirBuilder, File, FileTimes};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::spawn_blocking;

use crate::store::{Millis, now};

/// Makes a file say when, or removes it; whether that was done.
pub(super) async fn set(file: &Path, at: Option<Millis>) -> bool {
    let path = file.to_owned();
    let set = spawn_blocking(move || match at {
        Some(at) => write(&path, at),
        None => remove(&path),
    });
    let set = set.await.map_err(io::Error::other).flatten();
    if let Err(error) = &set {
        tracing::error!(
            %error,
            "cannot write {}: jobs that wait may not be begun before the next request: {error}", file.display()
        );
    }
    set.is_ok()
}

/// Its modification time, if it is there.
pub(super) fn modified(file: &Path) -> Option<SystemTime> {
    file.symlink_metadata().ok()?.modified().ok()
}

/// Makes it, or moves its time; a new one is on disk when this returns.
pub(super) fn write(file: &Path, due: Millis) -> io::Result<()> {
    let at = UNIX_EPOCH + Duration::from_millis(if due == 0 { now() } else { due.div_ceil(1000) * 1000 });
    let is_new = file.symlink_metadata().is_err();
    let directory = file.parent().unwrap_or(Path::new("/"));
    if is_new && !directory.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        File::open(directory.parent().unwrap_or(directory))?.sync_all()?;
    }
    let opened = File::options().create(true).write(true).truncate(false).open(file)?;
    opened.set_times(FileTimes::new().set_modified(at))?;
    if is_new {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

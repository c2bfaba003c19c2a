//! The marker: a file by which systemd knows when to start dormouse for a job.
//!
//! `jobs/due` in the state directory exists as long as there are jobs that dormouse has to do, and its modification time
//! is when the next one is due: now, or in an hour for one that is tried again then. `dormouse-jobs.path` looks for it. A
//! process that crashed, or slept, or a machine without power has left it behind.
//!
//! `jobs/parked` is there when jobs wait that no route takes: a process whose config has one looks at the store.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, FileTimes};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::store::{Millis, now};

/// The name of the file.
const DUE: &str = "due";

/// The two files, and what they have to say.
#[derive(Debug)]
pub(super) struct Marker {
    due: PathBuf,
    parked: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By queue, when its next job is due.
    due: BTreeMap<String, Millis>,
    /// Jobs that are just being accepted.
    pins: usize,
    /// What the file says; `None`: it is not known to be there.
    written: Option<Millis>,
}

/// Keeps the marker there until it is known what was accepted.
#[derive(Debug)]
pub struct Pin {
    state: Arc<Mutex<State>>,
    file: PathBuf,
    is_released: bool,
}

impl Marker {
    /// The marker of jobs in this folder.
    pub fn new(directory: &Path) -> Self {
        Self { due: directory.join(DUE), parked: directory.join("parked"), state: Arc::default() }
    }

    /// Whether an earlier process may have left jobs.
    pub fn may_have_work(&self) -> bool {
        [&self.due, &self.parked].into_iter().any(|file| file.symlink_metadata().is_ok())
    }

    /// When the next job of an earlier process is due; `None`: it has left none.
    pub fn due(&self) -> Option<SystemTime> {
        modified(&self.due)
    }

    /// A job is about to be accepted: the file is there before it is.
    pub async fn pin(&self) -> io::Result<Pin> {
        let mut state = self.state.lock().await;
        if state.written.is_none() {
            let file = self.due.clone();
            let at = now();
            spawn_blocking(move || write(&file, at)).await.map_err(io::Error::other)??;
            state.written = Some(at);
        }
        state.pins += 1;
        Ok(Pin { state: self.state.clone(), file: self.due.clone(), is_released: false })
    }

    /// These queues have jobs, of an earlier process.
    pub async fn found(&self, queues: impl Iterator<Item = String>) {
        let mut state = self.state.lock().await;
        state.due.extend(queues.map(|queue| (queue, now())));
    }

    /// When the next job of a queue is due; `None`: it has none. Unless the queue has moved on by then.
    pub async fn note(&self, queue: &str, due: Option<Millis>, is_still_so: impl Fn() -> bool) {
        let mut state = self.state.lock().await;
        if !is_still_so() {
            return;
        }
        match due {
            Some(due) => state.due.insert(queue.to_owned(), due),
            None => state.due.remove(queue),
        };
        state.settle(&self.due).await;
    }

    /// Notes whether jobs wait that no route takes.
    pub async fn park(&self, is_parked: bool) {
        let (state, file) = (self.state.lock().await, self.parked.clone());
        let _ = spawn_blocking(move || if is_parked { write(&file, now()) } else { remove(&file) }).await;
        drop(state);
    }

    /// Says again what there is to say.
    pub async fn settle(&self) {
        self.state.lock().await.settle(&self.due).await;
    }
}

impl State {
    /// Makes the file say what there is to say.
    async fn settle(&mut self, file: &Path) {
        let due = self.due.values().min().copied().or((self.pins > 0).then_some(0));
        // What is over is over: one that is due stays so.
        let due = due.map(|due| if due <= now() { 0 } else { due });
        if due == self.written && due.is_some() {
            return;
        }
        let path = file.to_owned();
        let written = spawn_blocking(move || match due {
            Some(due) => write(&path, due),
            None => remove(&path),
        });
        if let Err(error) = written.await.map_err(io::Error::other).flatten() {
            tracing::error!(
                %error,
                "cannot write {}: jobs that wait may not be begun before the next request: {error}", file.display()
            );
        }
        self.written = due;
    }
}

impl Pin {
    /// The job is accepted, and `queue` was told of it.
    pub async fn keep(mut self, queue: &str) {
        let mut state = self.state.lock().await;
        state.due.insert(queue.to_owned(), 0);
        state.pins -= 1;
        state.settle(&self.file).await;
        drop(state);
        self.is_released = true;
    }

    /// There is no such job after all.
    pub async fn release(mut self) {
        let mut state = self.state.lock().await;
        state.pins -= 1;
        state.settle(&self.file).await;
        drop(state);
        self.is_released = true;
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        if !self.is_released {
            // Its task was cut off. A marker too many costs a look.
            if let Ok(mut state) = self.state.try_lock() {
                state.pins -= 1;
            }
        }
    }
}

/// When the next job is due of those in this folder (`jobs` in a state directory), by its marker; `None`: there is none.
pub fn due(directory: &Path) -> Option<SystemTime> {
    modified(&directory.join(DUE))
}

fn modified(file: &Path) -> Option<SystemTime> {
    file.symlink_metadata().ok()?.modified().ok()
}

/// Makes it, or moves its time; a new one is on disk when this returns.
fn write(file: &Path, due: Millis) -> io::Result<()> {
    let at = UNIX_EPOCH + Duration::from_millis(if due == 0 { now() } else { due.div_ceil(1000) * 1000 });
    let is_new = file.symlink_metadata().is_err();
    let directory = file.parent().unwrap_or(Path::new("/"));
    if is_new {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
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

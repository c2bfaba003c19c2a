//! The marker: a file by which systemd knows when to start dormouse for a job.
//!
//! `jobs/due` in the state directory exists as long as there are jobs that dormouse has to do, and its modification time
//! is when the next one is due: now, or in an hour for one that is tried again then. `dormouse-jobs.path` looks for it. A
//! process that crashed, or slept, or a machine without power has left it behind.
//!
//! `jobs/parked` is there when jobs wait that no route takes: a process whose config has one looks at the store.
//!
//! Neither is removed before it is known what is left of an earlier process, nor by a process that cannot open the store:
//! they are another's then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File, FileTimes};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    is_pending: Arc<AtomicBool>,
}

/// How it stands with a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// There is nothing to do here.
    Nothing,
    /// Its next job is due then.
    Due(Millis),
    /// It has jobs, and no route.
    Parked,
}

#[derive(Debug)]
struct State {
    due_file: PathBuf,
    parked_file: PathBuf,
    /// By queue, when its next job is due.
    due: BTreeMap<String, Millis>,
    /// Queues whose jobs no route takes.
    parked: BTreeSet<String>,
    /// Jobs that are just being accepted.
    pins: usize,
    /// What the file says; `None`: it is not known to be there.
    written: Option<Millis>,
    /// Whether the other file is there, if that is known.
    is_parked: Option<bool>,
    /// There may be jobs that nobody has looked at yet.
    is_pending: Arc<AtomicBool>,
    /// The store is ours, and so are the files.
    is_ours: bool,
}

/// Keeps the marker there until it is known what was accepted.
#[derive(Debug)]
pub struct Pin {
    state: Arc<Mutex<State>>,
    is_released: bool,
}

impl Marker {
    /// The marker of jobs in this folder.
    pub fn new(directory: &Path) -> Self {
        let (due, parked) = (directory.join(DUE), directory.join("parked"));
        let is_pending = Arc::new(AtomicBool::new(false));
        let state = State {
            due_file: due.clone(),
            parked_file: parked.clone(),
            due: BTreeMap::new(),
            parked: BTreeSet::new(),
            pins: 0,
            written: None,
            is_parked: None,
            is_pending: is_pending.clone(),
            is_ours: false,
        };
        Self { due, parked, state: Arc::new(Mutex::new(state)), is_pending }
    }

    /// Whether an earlier process may have left jobs, or this one under an earlier site. Then [`found`](Self::found) is to
    /// say which.
    pub fn may_have_work(&self) -> bool {
        let may_have = [&self.due, &self.parked].into_iter().any(|file| file.symlink_metadata().is_ok());
        self.is_pending.store(may_have, Ordering::Release);
        may_have
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
        Ok(Pin { state: self.state.clone(), is_released: false })
    }

    /// This is how it stands with the queues that have jobs which are not over, as far as one knows who has not looked at
    /// them: those that are due are looked at next.
    pub async fn found(&self, stands: impl Iterator<Item = (String, Stand)>) {
        let mut state = self.state.lock().await;
        state.is_ours = true;
        self.is_pending.store(false, Ordering::Release);
        for (queue, stand) in stands {
            state.note(&queue, stand);
        }
        state.settle().await;
    }

    /// How it stands with a queue, whose jobs this process has looked at; unless it has moved on by now.
    pub async fn note(&self, queue: &str, stand: Stand, is_still_so: impl Fn() -> bool) {
        let mut state = self.state.lock().await;
        if !is_still_so() {
            return;
        }
        state.is_ours = true;
        state.note(queue, stand);
        state.settle().await;
    }
}

impl State {
    fn note(&mut self, queue: &str, stand: Stand) {
        match stand {
            Stand::Due(due) => self.due.insert(queue.to_owned(), due),
            Stand::Nothing | Stand::Parked => self.due.remove(queue),
        };
        match stand {
            Stand::Parked => self.parked.insert(queue.to_owned()),
            Stand::Nothing | Stand::Due(_) => self.parked.remove(queue),
        };
    }

    /// Makes the files say what there is to say. What is parked comes first: of a queue that goes from one to the other,
    /// one of the two says so at any moment.
    async fn settle(&mut self) {
        let may_remove = self.is_ours && !self.is_pending.load(Ordering::Acquire);
        let is_parked = !self.parked.is_empty();
        if self.is_parked != Some(is_parked) && (is_parked || may_remove) {
            let at = is_parked.then_some(0);
            self.is_parked = set(&self.parked_file, at).await.then_some(is_parked);
        }
        let due = self.due.values().min().copied().or((self.pins > 0).then_some(0));
        // What is over is over: one that is due stays so.
        let due = due.map(|due| if due <= now() { 0 } else { due });
        if (due == self.written && due.is_some()) || (due.is_none() && !may_remove) {
            return;
        }
        // What could not be written is written with the next word.
        self.written = if set(&self.due_file, due).await { due } else { None };
    }
}

/// Makes a file say when, or removes it; whether that was done.
async fn set(file: &Path, at: Option<Millis>) -> bool {
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

impl Pin {
    /// The job is accepted, and `queue` was told of it.
    pub async fn keep(mut self, queue: &str) {
        let mut state = self.state.lock().await;
        state.is_ours = true;
        state.due.insert(queue.to_owned(), 0);
        state.pins -= 1;
        state.settle().await;
        drop(state);
        self.is_released = true;
    }

    /// There is no such job after all.
    pub async fn release(mut self) {
        let mut state = self.state.lock().await;
        state.pins -= 1;
        state.settle().await;
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

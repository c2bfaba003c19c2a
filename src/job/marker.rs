//! The marker: a file by which systemd knows when to start dormouse for a job.
//!
//! `jobs/due` in the state directory exists as long as there are jobs that dormouse has to do, and its modification time
//! is when the next one is due: now, or in an hour for one that is tried again then. `dormouse-jobs.path` looks for it. A
//! process that crashed, or slept, or a machine without power has left it behind.
//!
//! It goes a moment after the last of them, or when the process leaves, and not between two that come one after the other:
//! making it costs a sync of the folder. One too many costs a look, one too few a job.
//!
//! `jobs/parked` is there when jobs wait that no route takes: a process whose config has one looks at the store.
//!
//! Neither is removed before it is known what is left of an earlier process, nor by a process that cannot open the store:
//! they are another's then.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::store::{Millis, now};

mod file;
#[cfg(test)]
mod tests;

use file::{modified, set, write};

/// So long a marker stays for which there is no job any more.
const LINGER: Duration = Duration::from_secs(1);

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
    /// Whether it is known not to be there.
    is_gone: bool,
    /// Somebody is about to look whether it can go.
    lingers: bool,
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
            is_gone: false,
            lingers: false,
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
            state.is_gone = false;
            spawn_blocking(move || write(&file, 0)).await.map_err(io::Error::other)??;
            state.written = Some(0);
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
        state.settle(&self.state).await;
    }

    /// How it stands with a queue, whose jobs this process has looked at; unless it has moved on by now.
    pub async fn note(&self, queue: &str, stand: Stand, is_still_so: impl Fn() -> bool) {
        let mut state = self.state.lock().await;
        if !is_still_so() {
            return;
        }
        state.is_ours = true;
        state.note(queue, stand);
        state.settle(&self.state).await;
    }

    /// The process leaves: the marker goes, unless there is something to do.
    pub async fn leave(&self) {
        self.state.lock().await.remove().await;
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
    async fn settle(&mut self, own: &Arc<Mutex<Self>>) {
        let is_parked = !self.parked.is_empty();
        if self.is_parked != Some(is_parked) && (is_parked || self.may_remove()) {
            let at = is_parked.then_some(0);
            self.is_parked = set(&self.parked_file, at).await.then_some(is_parked);
        }
        let Some(due) = self.due() else { return self.remove_later(own) };
        if self.written != Some(due) {
            self.is_gone = false;
            // What could not be written is written with the next word.
            self.written = set(&self.due_file, Some(due)).await.then_some(due);
        }
    }

    /// When the next job is due, or may be. What is over is over: one that is due stays so.
    fn due(&self) -> Option<Millis> {
        let due = self.due.values().min().copied().or((self.pins > 0).then_some(0));
        due.map(|due| if due <= now() { 0 } else { due })
    }

    fn may_remove(&self) -> bool {
        self.is_ours && !self.is_pending.load(Ordering::Acquire)
    }

    /// Removes the marker in a moment, if there is nothing to do then either.
    fn remove_later(&mut self, own: &Arc<Mutex<Self>>) {
        if self.is_gone || std::mem::replace(&mut self.lingers, true) {
            return;
        }
        let own = own.clone();
        tokio::spawn(async move {
            sleep(LINGER).await;
            let mut state = own.lock().await;
            state.lingers = false;
            state.remove().await;
        });
    }

    /// Removes the marker, unless there is something to do.
    async fn remove(&mut self) {
        if self.due().is_none() && self.may_remove() && !self.is_gone {
            self.written = None;
            self.is_gone = set(&self.due_file, None).await;
        }
    }
}

impl Pin {
    /// The job is accepted, and `queue` was told of it.
    pub async fn keep(mut self, queue: &str) {
        let mut state = self.state.lock().await;
        state.is_ours = true;
        state.due.insert(queue.to_owned(), 0);
        state.pins -= 1;
        state.settle(&self.state).await;
        drop(state);
        self.is_released = true;
    }

    /// There is no such job after all.
    pub async fn release(mut self) {
        let mut state = self.state.lock().await;
        state.pins -= 1;
        state.settle(&self.state).await;
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

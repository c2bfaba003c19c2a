//! Background jobs: accepted now, on disk before anybody is told so, and run when it is their turn.
//!
//! - [`Jobs`]: all of one process: the store, the folder, the queues, and who watches what;
//! - [`Queue`]: the jobs of one route; `drive`: the task that starts them, as long as there are some;
//! - `attempt`: one of them running; `output`: what it prints, in a file; [`progress`]: how far it says it has come;
//! - `marker`: the file by which systemd knows when to start dormouse for a job (`dormouse-jobs.path`).
//!
//! A job is run at least once: one that was running when dormouse had to leave, or crashed, is run again by the next.
//! Outside workers take the jobs of a queue by lease; such a queue starts nothing, and keeps nobody awake.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::OnceCell;

use crate::intake::SpoolFolder;
use crate::lasting::Registry;
use crate::process::Roster;
use crate::server::Control;
use crate::store::{Job, JobId, JobStore, Millis, now};

mod attempt;
mod drive;
mod marker;
mod output;
pub mod progress;
mod queue;
mod settings;
mod watch;

pub use marker::{Pin, due};
pub use output::{Kept, Reader};
pub use queue::Queue;
pub use settings::{Settings, Work};
pub use watch::Watched;

use attempt::Attempt;
use marker::Marker;

/// At most so many results are forgotten at once.
const PURGED_AT_ONCE: usize = 1000;

/// The jobs of one process.
#[derive(Debug)]
pub struct Jobs {
    /// What is on disk.
    pub store: JobStore,
    /// Input that is too large for the store, and output.
    pub folder: SpoolFolder,
    marker: Marker,
    queues: Registry<String, Queue>,
    /// Those that run here.
    running: Mutex<BTreeMap<JobId, Arc<Attempt>>>,
    watched: Registry<JobId, Watched>,
    /// Where programs are known while they run.
    roster: Arc<Roster>,
    /// Leftovers are looked for once.
    swept: OnceCell<()>,
}

impl Jobs {
    /// Those in this folder, of which nothing is opened yet.
    pub fn new(directory: &Path, roster: Arc<Roster>) -> Arc<Self> {
        Arc::new(Self {
            store: JobStore::new(directory.to_owned()),
            folder: SpoolFolder::new(directory.join("spool")),
            marker: Marker::new(directory),
            queues: Registry::default(),
            running: Mutex::default(),
            watched: Registry::default(),
            roster,
            swept: OnceCell::new(),
        })
    }

    /// The queue of this name.
    pub fn queue(self: &Arc<Self>, name: &str) -> Arc<Queue> {
        self.queues.get(name.to_owned(), |name| Queue::new(name.clone(), self.clone()))
    }

    /// The site that is in force now has given its queues their settings: looks for jobs that an earlier process has left.
    pub fn in_force(self: &Arc<Self>, control: &Control) {
        if !self.marker.may_have_work() {
            return;
        }
        let Some(hold) = control.hold() else { return };
        let (jobs, control) = (self.clone(), control.clone());
        tokio::spawn(async move {
            jobs.resume(&control).await;
            drop(hold);
        });
    }

    /// Sets every queue to work that has jobs; those that no route takes any more are parked.
    async fn resume(self: &Arc<Self>, control: &Control) {
        let summary = match self.store.summary().await {
            Ok(summary) => summary,
            Err(error) => {
                tracing::error!("jobs that were accepted cannot be looked at: {}", crate::log::chain(&error));
                return;
            }
        };
        self.marker.found(summary.iter().map(|left| left.queue.clone())).await;
        let mut parked = 0;
        for left in &summary {
            match self.queues.find(&left.queue).filter(|queue| queue.settings().is_some()) {
                Some(queue) => queue.wake(control),
                None => {
                    parked += left.queued + left.running;
                    self.marker.note(&left.queue, None, || true).await;
                    tracing::warn!(
                        queue = left.queue,
                        "{} jobs wait that no route takes: none has path {}; they stay until one does",
                        left.queued + left.running,
                        left.queue
                    );
                }
            }
        }
        self.marker.park(parked > 0).await;
        self.marker.settle().await;
        self.swept.get_or_init(|| self.sweep()).await;
    }

    /// Whether a job of an earlier process is due by now.
    pub fn is_due(&self) -> bool {
        self.marker.due().is_some_and(|due| due <= SystemTime::now())
    }

    /// How it stands with a job: what the store says, and how far one that runs here has come.
    pub async fn get(&self, id: JobId) -> Result<Option<Job>, crate::store::StoreError> {
        let mut job = self.store.get(id).await?;
        if let (Some(job), Some(attempt)) = (&mut job, self.attempt(id)) {
            job.progress = attempt.progress().or(job.progress.take());
        }
        Ok(job)
    }

    /// What tells of a job's changes.
    pub fn watch(&self, id: JobId) -> Arc<Watched> {
        self.watched.get(id, |_| Arc::default())
    }

    /// A job has changed, or there is more of its output.
    pub fn told(&self, id: JobId) {
        if let Some(watched) = self.watched.find(&id) {
            watched.tell();
        }
    }

    /// The file of a job's output.
    pub fn output(&self, id: JobId) -> PathBuf {
        self.folder.path().join(format!("{id}.out"))
    }

    /// The file of a job's input.
    pub fn input(&self, id: JobId) -> PathBuf {
        self.folder.path_of(&id.to_string())
    }

    /// Keeps the marker there until dropped, whatever the queues say: a job is about to be accepted.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn pin(self: &Arc<Self>) -> std::io::Result<Pin> {
        self.marker.pin().await
    }

    /// Forgets results that nobody is to see any more.
    pub async fn purge(&self) {
        let Ok(gone) = self.store.purge(now(), PURGED_AT_ONCE).await else { return }; // next time
        let files: Vec<_> = gone.iter().flat_map(|id| [self.input(*id), self.output(*id)]).collect();
        let removing = tokio::task::spawn_blocking(move || {
            for file in files {
                let _ = std::fs::remove_file(file); // most jobs have none
            }
        });
        let _ = removing.await;
    }

    /// Ends a job that runs here, if it does, and waits until it is over.
    pub async fn end(&self, id: JobId) -> bool {
        match self.attempt(id) {
            Some(attempt) => {
                attempt.cancel().await;
                true
            }
            None => false,
        }
    }

    /// The queues that keep the process awake, each with a hold of its own, by name.
    pub fn held_for(&self) -> Vec<String> {
        self.queues.all().into_iter().filter(|queue| queue.holds()).map(|queue| queue.name.clone()).collect()
    }

    /// Everything is on disk, and closed.
    pub async fn close(&self) {
        self.store.close().await;
    }

    fn attempt(&self, id: JobId) -> Option<Arc<Attempt>> {
        self.running().get(&id).cloned()
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<JobId, Arc<Attempt>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner) // a map is whole after any panic
    }

    /// Removes the files of jobs that were never accepted, or are forgotten.
    async fn sweep(&self) {
        self.purge().await;
        let begun = now();
        let folder = self.folder.path().to_owned();
        let files = tokio::task::spawn_blocking(move || files(&folder)).await.unwrap_or_default();
        let (mut known, mut strays) = (HashSet::new(), Vec::new());
        for (id, path) in files {
            match self.store.get(id).await {
                Ok(None) if id.created() < begun => strays.push(path),
                _ => drop(known.insert(id.to_string())),
            }
        }
        let folder = self.folder.clone();
        let removing = tokio::task::spawn_blocking(move || {
            strays.iter().filter(|path| path.extension().is_some_and(|ending| ending == "out")).for_each(
                |path| {
                    let _ = std::fs::remove_file(path); // the next process tries again
                },
            );
            folder.sweep(|id| known.contains(id))
        });
        if let Err(error) = removing.await.map_err(std::io::Error::other).flatten() {
            tracing::warn!(%error, "leftovers in {} stay: {error}", self.folder.path().display());
        }
    }
}

/// The files that are named by a job.
fn files(folder: &Path) -> Vec<(JobId, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let path = entry.path();
        let id = path.file_name()?.to_str()?.split('.').next()?.parse().ok()?;
        Some((id, path))
    });
    named.collect()
}

/// So long after `now`.
fn after(now: Millis, wait: std::time::Duration) -> Millis {
    now.saturating_add(wait.as_millis().try_into().unwrap_or(Millis::MAX))
}

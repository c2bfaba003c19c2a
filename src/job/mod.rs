//! Background jobs: accepted now, on disk before anybody is told so, and run when it is their turn.
//!
//! - [`Jobs`]: all of one process: the store, the folder, the queues, and who watches what;
//! - [`Queue`]: the jobs of one route; `drive`: the task that starts them, as long as there are some;
//! - `attempt`: one of them running; `close`: what becomes of it; `output`: what it prints, in a file; [`progress`]: how far
//!   it says it has come;
//! - `marker`: the file by which systemd knows when to start dormouse for a job (`dormouse-jobs.path`).
//!
//! A job is run at least once: one that was running when dormouse had to leave, or crashed, is run again by the next.
//! Outside workers take the jobs of a queue by lease; such a queue starts nothing, and keeps nobody awake.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::intake::SpoolFolder;
use crate::lasting::Registry;
use crate::process::Roster;
use crate::server::Control;
use crate::store::{Job, JobId, JobStore, QueueSummary, State, StoreError};

mod attempt;
mod close;
mod drive;
mod marker;
mod output;
mod patience;
pub mod progress;
mod queue;
mod settings;
mod tidy;
mod watch;

pub use marker::{Pin, due};
pub use output::{Kept, Reader};
pub use queue::Queue;
pub use settings::{Settings, Work};
pub use watch::Watched;

use attempt::Attempt;
use marker::{Marker, Stand};
use patience::Patience;

/// A store that fails at the start is asked so often, within half a minute. Then dormouse may sleep: who waits for its jobs
/// starts it again.
const MOST_TIMES: usize = 5;

/// A job that is to be ended and has not begun is looked for so often, should nobody tell of it.
const LOOK: Duration = Duration::from_secs(1);

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
    /// When results were last forgotten.
    tidied: Mutex<Option<Instant>>,
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
            tidied: Mutex::default(),
        })
    }

    /// The queue of this name.
    pub fn queue(self: &Arc<Self>, name: &str) -> Arc<Queue> {
        self.queues.get(name.to_owned(), |name| Queue::new(name.clone(), self.clone()))
    }

    /// The site that is in force now has given its queues their settings: looks for jobs that an earlier process has left,
    /// or this one under another site.
    pub fn in_force(self: &Arc<Self>, control: &Control) {
        self.queues.all().iter().for_each(|queue| queue.in_force(control));
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
        let Some(summary) = self.summary(control).await else { return };
        let queues: Vec<_> = summary
            .iter()
            .map(|left| self.queues.find(&left.queue).filter(|queue| queue.settings().is_some()))
            .collect();
        let stands = summary.iter().zip(&queues).map(|(left, queue)| {
            let stand = match queue {
                None => Stand::Parked,
                Some(queue) if queue.is_outside() => Stand::Nothing,
                Some(_) if left.running > 0 => Stand::Due(0),
                Some(_) => Stand::Due(left.next_due.unwrap_or_default()),
            };
            (left.queue.clone(), stand)
        });
        // Before they are woken: whoever drives one knows better.
        self.marker.found(stands).await;
        for (left, queue) in summary.iter().zip(queues) {
            match queue {
                Some(queue) => queue.wake(control),
                None => tracing::warn!(
                    queue = left.queue,
                    "{} jobs wait that no route takes: none has path {}; they stay until one does",
                    left.queued + left.running,
                    left.queue
                ),
            }
        }
        self.tidy().await;
    }

    /// What is not over. `None` if the store does not say, which is logged: another process has it, or it fails for long.
    async fn summary(&self, control: &Control) -> Option<Vec<QueueSummary>> {
        let mut patience = Patience::default();
        for _ in 0..MOST_TIMES {
            let error = match self.store.summary().await {
                Ok(summary) => return Some(summary),
                Err(error) => error,
            };
            tracing::error!("jobs that were accepted cannot be looked at: {}", crate::log::chain(&error));
            if matches!(error, StoreError::InUse { .. }) || control.is_draining() {
                return None;
            }
            tokio::select! {
                () = sleep(patience.wait()) => {}
                () = control.draining() => return None,
            }
        }
        None
    }

    /// Whether a job of an earlier process is due by now.
    pub fn is_due(&self) -> bool {
        self.marker.due().is_some_and(|due| due <= SystemTime::now())
    }

    /// How it stands with a job: what the store says, and how far one that runs here has come.
    pub async fn get(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut job = self.store.get(id).await?;
        job.iter_mut().for_each(|job| self.add_progress(job));
        Ok(job)
    }

    /// How far a job that runs here has come.
    pub fn add_progress(&self, job: &mut Job) {
        if let Some(attempt) = self.attempt(job.id) {
            job.progress = attempt.progress().or(job.progress.take());
        }
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

    /// Ends a job that runs here, if it does, and waits until it is over. One that was taken a moment ago may not have begun:
    /// then that is waited for, or it would run although it is cancelled.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end(&self, id: JobId) -> Result<(), StoreError> {
        let watched = self.watch(id);
        loop {
            let mut told = pin!(watched.changed());
            told.as_mut().enable();
            if let Some(attempt) = self.attempt(id) {
                attempt.cancel().await;
                return Ok(());
            }
            let job = self.store.get(id).await?;
            if !job.is_some_and(|job| job.state == State::Running && job.lease.is_none()) {
                return Ok(());
            }
            tokio::select! {
                () = told => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    /// The queues that keep the process awake, each with a hold of its own, by name.
    pub fn held_for(&self) -> Vec<String> {
        self.queues.all().into_iter().filter(|queue| queue.holds()).map(|queue| queue.name.clone()).collect()
    }

    /// Everything is on disk, and closed; the marker is there if there is something to do, and only then.
    pub async fn close(&self) {
        self.marker.leave().await;
        self.store.close().await;
    }

    fn attempt(&self, id: JobId) -> Option<Arc<Attempt>> {
        self.running().get(&id).cloned()
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<JobId, Arc<Attempt>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner) // a map is whole after any panic
    }
}

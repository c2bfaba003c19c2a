//! The store as its callers see it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::JobId;
use super::call::{Answer, Call, Message, Submission};
use super::changes::Over;
use super::error::StoreError;
use super::file::{self, FILE, Opener};
use super::job::{
    Again, Cancel, Ending, Job, Lease, Millis, NewJob, Outcome, Progress, QueueSummary, Refused, Submitted,
};
use super::keeper::{Facts, Keeper};
use super::leasing::{Leasing, Returns};
use super::looks::Snapshot;
use super::tables::{Made, Tables};
use super::thread::Worker;

/// How many calls wait in line for the thread; more wait on their own side.
const LINE: usize = 1024;

/// The jobs, durably: one file `jobs.redb` in a directory, and a thread that has it.
///
/// Nothing is opened, and no thread started, before the first call. Every change is on disk when its call returns
/// (fsync); those that come at once share one. A call that is dropped while it waits is not undone: what was sent
/// happens, except that a job which nobody took is put back. After an error nothing of the call has happened, with one
/// exception: if the disk fails between two writes of a commit, what changes a job that runs may be on disk, and is then
/// refused when it is tried again ([`Refused::Over`]).
#[derive(Clone)]
pub struct JobStore {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    opener: Opener,
    facts: Arc<Facts>,
    /// Started by the first call. It ends when this is dropped.
    thread: Mutex<Option<Thread>>,
}

/// How the thread is reached.
#[derive(Clone)]
struct Thread {
    messages: mpsc::Sender<Message>,
    returns: Arc<Returns>,
}

impl fmt::Debug for JobStore {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("JobStore").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl JobStore {
    /// The store in this directory, which is made if it is not there, as is the file. Opens nothing.
    pub fn new(directory: PathBuf) -> Self {
        Self::with(directory, file::plain())
    }

    pub(super) fn with(directory: PathBuf, opener: Opener) -> Self {
        let path = directory.join(FILE);
        let inner = Inner { path, opener, facts: Arc::default(), thread: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Takes a job in, unless `most_queued` of its queue wait already. With a key, a submission that came before under it
    /// in the same queue, and whose job is not forgotten yet, is looked for first; the fingerprint tells whether it is the
    /// same. An empty key is none.
    ///
    /// # Errors
    /// See [`StoreError`]; [`StoreError::NoSpace`] leaves nothing behind.
    pub async fn submit(
        &self,
        new: NewJob,
        inline_input: Option<Bytes>,
        key: Option<(String, [u8; 32])>,
        most_queued: u64,
    ) -> Result<Submitted, StoreError> {
        self.send(|_, to| {
            let (input, made) = (inline_input, None);
            Message::Change(Box::new(Submission { new, input, key, most_queued, made, to }))
        })
        .await
    }

    /// Gives the job that has been due longest, of those that wait or whose lease has run out. It runs from now on: under
    /// this lease, or without one in this process, for as long as that lives. If the call is dropped, the job waits
    /// again, and nobody is told: who leases next gets it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn lease(
        &self,
        queue: &str,
        now: Millis,
        lease: Option<Lease>,
    ) -> Result<Option<Job>, StoreError> {
        let queue = queue.to_owned();
        let given = self.send(|thread, to| {
            let (returns, made) = (thread.returns.clone(), None);
            Message::Change(Box::new(Leasing { queue, now, lease, made, returns, to }))
        });
        Ok(given.await?.take())
    }

    /// Makes a lease longer, or shorter. One whose time is over is good as long as nobody else has taken the job.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn renew(
        &self,
        id: JobId,
        token: &str,
        until: Millis,
    ) -> Result<Result<Job, Refused>, StoreError> {
        let token = token.to_owned();
        self.change(move |tables| tables.renew(id, &token, until)).await
    }

    /// Notes how far a job that runs has come.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn progress(
        &self,
        id: JobId,
        token: Option<&str>,
        progress: Progress,
    ) -> Result<Result<Job, Refused>, StoreError> {
        let token = token.map(str::to_owned);
        self.change(move |tables| tables.progress(id, token.as_deref(), &progress)).await
    }

    /// Ends a job that runs. Its record is kept until `expires`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn finish(
        &self,
        id: JobId,
        token: Option<&str>,
        ending: Ending,
        outcome: Outcome,
        now: Millis,
        expires: Millis,
    ) -> Result<Result<Job, Refused>, StoreError> {
        let token = token.map(str::to_owned);
        let over = Over { now, expires };
        self.change(move |tables| tables.finish(id, token.as_deref(), ending, &outcome, over)).await
    }

    /// Puts a job that runs back into its queue. Without an outcome, that of an earlier attempt stays.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn retry_at(
        &self,
        id: JobId,
        token: Option<&str>,
        due: Millis,
        outcome: Option<Outcome>,
        again: Again,
    ) -> Result<Result<Job, Refused>, StoreError> {
        let token = token.map(str::to_owned);
        self.change(move |tables| tables.retry_at(id, token.as_deref(), due, outcome.as_ref(), again)).await
    }

    /// Ends a job by somebody's wish: at once if it waits or an outside worker has it, whose token is worth nothing then.
    /// One that runs here is not changed: see [`Cancel::Running`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn cancel(
        &self,
        id: JobId,
        now: Millis,
        expires: Millis,
    ) -> Result<Result<Cancel, Refused>, StoreError> {
        self.change(move |tables| tables.cancel(id, Over { now, expires })).await
    }

    /// Forgets jobs that are over and whose time is, at most `limit` and at most 10,000: records, inputs, keys. Their ids,
    /// so that the caller can remove their files.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn purge(&self, now: Millis, limit: usize) -> Result<Vec<JobId>, StoreError> {
        self.change(move |tables| tables.purge(now, limit)).await
    }

    /// A job.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn get(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.look(move |snapshot| snapshot.job(id)).await
    }

    /// What a job reads, if the store has it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn input(&self, id: JobId) -> Result<Option<Bytes>, StoreError> {
        self.look(move |snapshot| snapshot.input(id)).await
    }

    /// The jobs of a queue, the newest first, those older than `before` only; at most `limit` and at most 1000. They come
    /// without what may be large: command line, environment, result, and all but the beginning of an error.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list(
        &self,
        queue: &str,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let queue = queue.to_owned();
        self.look(move |snapshot| snapshot.list(&queue, before, limit)).await
    }

    /// When [`lease`](Self::lease) can give the next job of a queue: one that waits is due, or a lease runs out.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn next_due(&self, queue: &str) -> Result<Option<Millis>, StoreError> {
        let queue = queue.to_owned();
        self.look(move |snapshot| snapshot.next_due(&queue)).await
    }

    /// All queues with jobs that are not over, by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn summary(&self) -> Result<Vec<QueueSummary>, StoreError> {
        self.look(|snapshot| snapshot.summary()).await
    }

    /// Waits until all that was sent is on disk, and the file closed. A later call opens it again.
    pub async fn close(&self) {
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(thread) = thread else { return };
        let (to, closed) = oneshot::channel();
        if thread.messages.send(Message::Close(to)).await.is_ok() {
            let _ = closed.await; // an error means that the thread is gone, and the file with it
        }
    }

    async fn change<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tables<'_>) -> Made<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.send(|_, to| Message::Change(Box::new(Call::new(work, to)))).await
    }

    async fn look<T: Send + 'static>(
        &self,
        work: impl FnMut(&Snapshot<'_>) -> Made<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.send(|_, to| Message::Look(Box::new(Call::new(work, to)))).await
    }

    async fn send<T>(&self, message: impl FnOnce(&Thread, Answer<T>) -> Message) -> Result<T, StoreError> {
        let thread = self.inner.thread()?;
        let (to, told) = oneshot::channel();
        let message = message(&thread, to);
        thread.messages.send(message).await.map_err(|_| self.inner.gone())?;
        told.await.map_err(|_| self.inner.gone())?
    }

    /// How often something was committed.
    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.inner.facts.commits.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Inner {
    fn thread(&self) -> Result<Thread, StoreError> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        match &*thread {
            Some(thread) if !thread.messages.is_closed() => Ok(thread.clone()),
            _ => Ok(thread.insert(self.start()?).clone()),
        }
    }

    fn start(&self) -> Result<Thread, StoreError> {
        let (messages, line) = mpsc::channel(LINE);
        let returns = Arc::new(Returns::new(messages.downgrade()));
        let keeper = Keeper::new(self.path.clone(), self.opener.clone(), self.facts.clone());
        let worker = Worker { path: self.path.clone(), keeper, returns: returns.clone() };
        let started = std::thread::Builder::new().name("jobs".into()).spawn(move || worker.run(line));
        match started {
            Ok(_) => Ok(Thread { messages, returns }),
            Err(error) => Err(StoreError::Thread { file: self.path.clone(), source: error.into() }),
        }
    }

    /// The thread ended under a call, which only a panic outside of the file can bring about.
    fn gone(&self) -> StoreError {
        let source = io::Error::other("its thread has ended").into();
        StoreError::Io { file: self.path.clone(), source }
    }
}

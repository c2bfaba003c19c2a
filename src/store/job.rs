//! What is kept of a job.

use std::ffi::OsString;
use std::time::Duration;

use super::JobId;

/// A time: milliseconds since 1970.
pub type Millis = u64;

/// The time now; zero if the clock is before 1970.
pub fn now() -> Millis {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |since| since.as_millis().try_into().unwrap_or(Millis::MAX))
}

/// So long after a time.
pub fn after(time: Millis, length: Duration) -> Millis {
    time.saturating_add(length.as_millis().try_into().unwrap_or(Millis::MAX))
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits for a worker, or for its next attempt.
    Queued,
    /// A worker has it.
    Running,
    /// It ended well.
    Done,
    /// It ended, and not well.
    Failed,
    /// Somebody did not want it any more.
    Cancelled,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Cancelled];

    /// Its name in the file, and in what is answered.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen to the job.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// How a job can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Well.
    Done,
    /// Not well.
    Failed,
    /// By somebody's wish.
    Cancelled,
}

impl From<Ending> for State {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Done => Self::Done,
            Ending::Failed => Self::Failed,
            Ending::Cancelled => Self::Cancelled,
        }
    }
}

/// A job to be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its id, made before so that files can have its name: [`JobId::new`].
    pub id: JobId,
    /// The route it was submitted to, by name.
    pub queue: String,
    /// The path it was submitted at.
    pub path: String,
    /// The command line; empty for a job that outside workers take.
    pub command: Vec<OsString>,
    /// What its environment has beside what every program gets.
    pub env: Vec<(String, OsString)>,
    /// What it reads.
    pub input: Input,
    /// Who submitted it.
    pub client: String,
    /// When.
    pub created: Millis,
    /// When it may start.
    pub due: Millis,
}

/// What a job reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Its length in bytes.
    pub size: u64,
    /// What the client says it is.
    pub media_type: Option<String>,
    /// Whether it is in a file of its own, which is the caller's to keep; otherwise the store has it.
    pub is_file: bool,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The route it was submitted to, by name.
    pub queue: String,
    /// The path it was submitted at.
    pub path: String,
    /// The command line; empty for a job that outside workers take.
    pub command: Vec<OsString>,
    /// What its environment has beside what every program gets.
    pub env: Vec<(String, OsString)>,
    /// What it reads.
    pub input: Input,
    /// Who submitted it.
    pub client: String,
    /// How it stands.
    pub state: State,
    /// When it was accepted.
    pub created: Millis,
    /// When its last attempt began.
    pub started: Option<Millis>,
    /// When it was over.
    pub finished: Option<Millis>,
    /// When the next attempt may begin, or the last one could.
    pub due: Millis,
    /// Attempts begun, those that were released again not counted.
    pub attempts: u32,
    /// How many of them ended because dormouse did.
    pub interruptions: u32,
    /// How far the last attempt came.
    pub progress: Option<Progress>,
    /// How the last attempt that ended did; it stays while the next one runs.
    pub outcome: Option<Outcome>,
    /// Which outside worker has it, while it runs.
    pub lease: Option<Lease>,
}

/// How much of an error a list has, in bytes.
const ERROR_IN_BRIEF: usize = 1024;

impl Job {
    /// A job as it is when it has been accepted.
    pub(super) fn accepted(new: NewJob) -> Self {
        let NewJob { id, queue, path, command, env, input, client, created, due } = new;
        Self {
            id,
            queue,
            path,
            command,
            env,
            input,
            client,
            state: State::Queued,
            created,
            started: None,
            finished: None,
            due,
            attempts: 0,
            interruptions: 0,
            progress: None,
            outcome: None,
            lease: None,
        }
    }

    /// As a list has it: without what may be large, so that a thousand of them fit in memory.
    pub(super) fn in_brief(mut self) -> Self {
        (self.command, self.env) = (Vec::new(), Vec::new());
        if let Some(outcome) = &mut self.outcome {
            outcome.result = None;
            if let Some(error) = &mut outcome.error {
                let end =
                    (0..=error.len().min(ERROR_IN_BRIEF)).rev().find(|end| error.is_char_boundary(*end));
                error.truncate(end.unwrap_or_default());
                error.shrink_to_fit();
            }
        }
        self
    }
}

/// How far a job has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// Of how many; zero when nobody knows.
    pub total: u64,
    /// What it is at.
    pub text: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the program exited with.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why it did not come to that, or what a worker says went wrong.
    pub error: Option<String>,
    /// What a worker gave back. The caller bounds its length.
    pub result: Option<String>,
}

/// An outside worker's right to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What the worker shows; not to be guessed.
    pub token: String,
    /// From when on somebody else may have the job.
    pub until: Millis,
    /// What the worker calls itself.
    pub worker: Option<String>,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is on disk.
    Accepted(Job),
    /// The same submission came before, and this is its job; nothing was added.
    Before(Job),
    /// Another submission came before under the same key; nothing was added.
    Differs,
    /// The queue has as many as it takes; nothing was added.
    Full,
}

/// Why a job goes back to its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The attempt failed.
    Failed,
    /// dormouse had to end it; [`Job::interruptions`] counts it.
    Interrupted,
    /// It never really began: [`Job::attempts`] takes it back.
    Released,
}

/// What became of a wish to cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// It is cancelled.
    Cancelled(Job),
    /// It runs here: the caller ends its program, then finishes it with [`Ending::Cancelled`].
    Running(Job),
}

/// Why a job is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none of that id, or not any more.
    #[error("there is no such job")]
    Unknown,
    /// The caller does not have it: it waits, or somebody else has it.
    #[error("the job is not leased to who asks")]
    NotLeased,
    /// It has ended.
    #[error("the job is over")]
    Over,
}

/// A queue with jobs that are not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSummary {
    /// The route's name.
    pub queue: String,
    /// How many wait.
    pub queued: u64,
    /// How many a worker has.
    pub running: u64,
    /// When the next one can be leased: one that waits is due, or a lease runs out. `None` when all run here.
    pub next_due: Option<Millis>,
}

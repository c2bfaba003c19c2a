//! What a route says of its jobs.

use std::sync::Arc;
use std::time::Duration;

use crate::app::Folders;
use crate::command::Command;

/// What a route says of its jobs.
#[derive(Debug)]
pub struct Settings {
    /// The route's path as written.
    pub path: Arc<str>,
    /// Which requests it takes, and with which values.
    pub command: Command,
    /// Who does them.
    pub work: Work,
    /// How many may wait; more are refused.
    pub most_queued: u64,
    /// How many times one that has failed is tried again.
    pub retries: u32,
    /// How long after the first failure; twice as long after each further one.
    pub backoff: Duration,
    /// How long a result is kept.
    pub keep: Duration,
    /// How much of its output is kept, in bytes.
    pub output: u64,
}

/// Who does a queue's jobs.
#[derive(Debug)]
pub enum Work {
    /// Programs that dormouse runs.
    Here {
        /// How many at once.
        workers: usize,
        /// How long one may take.
        total: Option<Duration>,
        /// Where they run.
        folders: Arc<Folders>,
    },
    /// Outside workers, who have a job for so long unless they ask for longer.
    Outside {
        /// Until when somebody else may have it.
        lease: Duration,
    },
}

/// No wait between two attempts is longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(24 * 60 * 60);

impl Settings {
    /// How long after its `failures`th failure a job is tried again; `None`: it is not.
    pub fn wait_after(&self, failures: u32) -> Option<Duration> {
        if failures > self.retries {
            return None;
        }
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        Some(self.backoff.saturating_mul(factor).min(LONGEST_BACKOFF))
    }

    /// Whether dormouse does them.
    pub fn is_here(&self) -> bool {
        matches!(self.work, Work::Here { .. })
    }
}

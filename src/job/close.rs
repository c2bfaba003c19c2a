//! What becomes of an attempt, and its way to the disk.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;

use tokio::time::sleep;

use super::attempt::Running;
use super::patience::Patience;
use crate::app::sandbox;
use crate::log::chain;
use crate::process::Ended;
use crate::store::{Again, Ending, Job, Outcome, Refused, StoreError, after, now};

/// So many interruptions by crashes are not bad luck any more: it may be what they come of.
pub(super) const MOST_INTERRUPTIONS: u32 = 20;

/// How an attempt came to its end.
pub(super) enum Close {
    /// By itself.
    Ended(Ended),
    /// Somebody does not want it any more.
    Cancelled,
    /// It took too long.
    TimedOut,
    /// Dormouse leaves.
    Cut,
    /// It could not be started.
    NotStarted(String),
}

impl Running {
    /// Writes down what became of it.
    pub async fn close(&self, close: Close) {
        let (id, path) = (self.job.id, &self.settings.path);
        let took = self.begun.elapsed().as_secs_f64();
        let mut outcome = Outcome::default();
        let why = match close {
            Close::Ended(ended) => {
                outcome.exit_code = ended.status.code();
                outcome.signal = ended.status.signal();
                if ended.is_success() {
                    tracing::info!(job = %id, route = %path, "job {id} of {path} is done after {took:.1} s");
                    return self.finish(Ending::Done, outcome).await;
                }
                let last = ended.stderr.last().map(|last| format!(": {last}")).unwrap_or_default();
                format!("{ended}{}{last}", sandbox::hint(&ended))
            }
            Close::Cancelled => {
                tracing::info!(job = %id, route = %path, "job {id} of {path} is cancelled after {took:.1} s");
                return self.finish(Ending::Cancelled, outcome).await;
            }
            Close::Cut => {
                tracing::info!(job = %id, route = %path, "job {id} of {path} was ended, for dormouse leaves; it is run again");
                // Before those that came after it, as it was.
                let due = self.job.due;
                let released = self.jobs.store.retry_at(id, None, due, None, Again::Released).await;
                if let Err(error) = released {
                    tracing::error!("job {id}: {}", chain(&error)); // the next process finds it running, which is the same
                }
                return;
            }
            Close::TimedOut => "it took longer than it may (timeouts.total)".to_owned(),
            Close::NotStarted(why) => why,
        };
        outcome.error = Some(why.clone());
        // Those that a crash has ended are not its failures.
        let failures = self.job.attempts.saturating_sub(self.job.interruptions).max(1);
        let wait =
            self.settings.wait_after(failures).filter(|_| self.job.interruptions <= MOST_INTERRUPTIONS);
        match wait {
            Some(wait) => {
                let within = crate::schema::duration::text(wait);
                tracing::warn!(job = %id, route = %path, "job {id} of {path} has failed, and is tried again in {within}: {why}");
                let due = after(now(), wait);
                self.write(|| self.jobs.store.retry_at(id, None, due, Some(outcome.clone()), Again::Failed))
                    .await;
            }
            None => {
                tracing::error!(job = %id, route = %path, "job {id} of {path} has failed: {why}");
                self.finish(Ending::Failed, outcome).await;
            }
        }
    }

    async fn finish(&self, ending: Ending, outcome: Outcome) {
        self.sync_output().await;
        let (id, now) = (self.job.id, now());
        let expires = after(now, self.settings.keep);
        if let Some(progress) = self.attempt.progress() {
            let _ = self.jobs.store.progress(id, None, progress).await; // it is over in any case
        }
        self.write(|| self.jobs.store.finish(id, None, ending, outcome.clone(), now, expires)).await;
    }

    /// Its output is on disk before its end is.
    async fn sync_output(&self) {
        let path = self.jobs.output(self.job.id);
        let syncing = move || File::open(path).and_then(|file| file.sync_data());
        let _ = tokio::task::spawn_blocking(syncing).await; // there may be none
    }

    /// Writes until it is written, for there may be room by then; or dormouse leaves: then it is run again by the next.
    async fn write<F>(&self, write: impl Fn() -> F)
    where
        F: Future<Output = Result<Result<Job, Refused>, StoreError>>,
    {
        let mut patience = Patience::default();
        loop {
            let id = self.job.id;
            match write().await {
                Ok(Ok(_)) => return,
                Ok(Err(refused)) => {
                    tracing::error!("what became of job {id} is not written: {refused}");
                    return;
                }
                Err(error) => {
                    tracing::error!("what became of job {id} cannot be written yet: {}", chain(&error));
                }
            }
            tokio::select! {
                () = sleep(patience.wait()) => {}
                () = self.control.cut() => return,
            }
        }
    }
}

//! What can happen to jobs. Each looks first and changes then, so that one which is refused leaves nothing behind in a
//! batch that goes on.

use super::JobId;
use super::job::{
    Again, Cancel, Ending, Job, Lease, Millis, NewJob, Outcome, Progress, Refused, State, Submitted,
};
use super::record::Record;
use super::tables::{Made, Tables};

/// The most jobs forgotten at once: a batch is one transaction.
const MOST_FORGOTTEN: usize = 10_000;

/// A change of a job that may be refused.
pub(super) type Changed = Result<Job, Refused>;

/// When, and until when its record is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    pub now: Millis,
    pub expires: Millis,
}

/// A submission's idempotency key and the fingerprint of what was submitted.
pub(super) type Key = (String, [u8; 32]);

impl Tables<'_> {
    pub fn submit(
        &mut self,
        new: &NewJob,
        input: Option<&[u8]>,
        key: Option<&Key>,
        most_queued: u64,
    ) -> Made<Submitted> {
        let key = key.filter(|(key, _)| !key.is_empty());
        if let Some((key, fingerprint)) = key
            && let Some((id, before)) = self.keyed(&new.queue, key)?
            && let Some(record) = self.record(id)?
        {
            let is_same = before == *fingerprint;
            return Ok(if is_same { Submitted::Before(record.job) } else { Submitted::Differs });
        }
        if self.counts.of(&new.queue).queued >= most_queued {
            return Ok(Submitted::Full);
        }
        let job = Job::accepted(new.clone());
        let record = Record { job, key: key.map(|(key, _)| key.clone()), expires: None };
        self.put(None, &record)?;
        if let Some(input) = input {
            self.insert_input(new.id, input)?;
        }
        if let Some((key, fingerprint)) = key {
            self.insert_key(&new.queue, key, new.id, fingerprint)?;
        }
        Ok(Submitted::Accepted(record.job))
    }

    pub fn lease(&mut self, queue: &str, now: Millis, lease: Option<&Lease>) -> Made<Option<Job>> {
        while let Some((due, id)) = self.first_due(queue, now)? {
            let Some(old) = self.record(id)? else {
                self.leave_out(queue, Some(due), id)?;
                continue;
            };
            let mut new = old.clone();
            new.job.state = State::Running;
            new.job.attempts = new.job.attempts.saturating_add(1);
            new.job.started = Some(now);
            new.job.progress = None;
            new.job.lease = lease.cloned();
            self.put(Some(&old), &new)?;
            return Ok(Some(new.job));
        }
        Ok(None)
    }

    pub fn renew(&mut self, id: JobId, token: &str, until: Millis) -> Made<Changed> {
        self.change_held(id, Some(token), |record| {
            if let Some(lease) = &mut record.job.lease {
                lease.until = until;
            }
        })
    }

    pub fn progress(&mut self, id: JobId, token: Option<&str>, progress: &Progress) -> Made<Changed> {
        self.change_held(id, token, |record| record.job.progress = Some(progress.clone()))
    }

    pub fn finish(
        &mut self,
        id: JobId,
        token: Option<&str>,
        ending: Ending,
        outcome: &Outcome,
        over: Over,
    ) -> Made<Changed> {
        self.change_held(id, token, |record| {
            record.job.outcome = Some(outcome.clone());
            end(record, ending, over);
        })
    }

    pub fn retry_at(
        &mut self,
        id: JobId,
        token: Option<&str>,
        due: Millis,
        outcome: Option<&Outcome>,
        again: Again,
    ) -> Made<Changed> {
        self.change_held(id, token, |record| {
            if let Some(outcome) = outcome {
                record.job.outcome = Some(outcome.clone());
            }
            put_back(&mut record.job, due, again);
        })
    }

    pub fn cancel(&mut self, id: JobId, over: Over) -> Made<Result<Cancel, Refused>> {
        let Some(old) = self.record(id)? else { return Ok(Err(Refused::Unknown)) };
        if old.job.state.is_over() {
            return Ok(Err(Refused::Over));
        }
        if old.job.state == State::Running && old.job.lease.is_none() {
            return Ok(Ok(Cancel::Running(old.job)));
        }
        let mut new = old.clone();
        end(&mut new, Ending::Cancelled, over);
        self.put(Some(&old), &new)?;
        Ok(Ok(Cancel::Cancelled(new.job)))
    }

    pub fn purge(&mut self, now: Millis, limit: usize) -> Made<Vec<JobId>> {
        self.forget_expired(now, limit.min(MOST_FORGOTTEN))
    }

    /// A lease that nobody got: as if it had not been.
    pub fn release(&mut self, id: JobId, token: Option<&str>) -> Made<()> {
        // Refused, somebody has done something else with it already.
        let _ = self.change_held(id, token, |record| {
            let due = record.job.due;
            put_back(&mut record.job, due, Again::Released);
        })?;
        Ok(())
    }

    /// A submission that nobody was told of: as if it had not been.
    pub fn withdraw(&mut self, id: JobId) -> Made<()> {
        match self.record(id)? {
            Some(record) => self.forget(&record),
            None => Ok(()),
        }
    }

    /// What ran in a process that is gone waits again.
    pub fn interrupted(&mut self, queue: &str, id: JobId, now: Millis) -> Made<()> {
        let Some(old) = self.record(id)? else { return self.leave_out(queue, None, id) };
        let mut new = old.clone();
        put_back(&mut new.job, now, Again::Interrupted);
        self.put(Some(&old), &new)
    }

    /// Changes a job that runs, if it is the one with this token who asks. Whether its time is over does not matter as
    /// long as nobody else has taken it.
    fn change_held(
        &mut self,
        id: JobId,
        token: Option<&str>,
        change: impl FnOnce(&mut Record),
    ) -> Made<Changed> {
        let Some(old) = self.record(id)? else { return Ok(Err(Refused::Unknown)) };
        let holds = old.job.lease.as_ref().map(|lease| lease.token.as_str()) == token;
        match old.job.state {
            State::Running if holds => {}
            State::Running | State::Queued => return Ok(Err(Refused::NotLeased)),
            State::Done | State::Failed | State::Cancelled => return Ok(Err(Refused::Over)),
        }
        let mut new = old.clone();
        change(&mut new);
        self.put(Some(&old), &new)?;
        Ok(Ok(new.job))
    }
}

fn end(record: &mut Record, ending: Ending, over: Over) {
    record.job.state = ending.into();
    record.job.finished = Some(over.now);
    record.job.lease = None;
    record.expires = Some(over.expires);
}

fn put_back(job: &mut Job, due: Millis, again: Again) {
    job.state = State::Queued;
    job.due = due;
    job.lease = None;
    match again {
        Again::Failed => {}
        Again::Interrupted => job.interruptions = job.interruptions.saturating_add(1),
        Again::Released => job.attempts = job.attempts.saturating_sub(1),
    }
}

//! What can be asked, of the file as it was last committed.

use redb::{Database, ReadOnlyTable, ReadableDatabase};

use super::JobId;
use super::counts::Counts;
use super::job::{Job, Millis, QueueSummary};
use super::tables::{Bytes, DUE, INPUTS, Made, OF_QUEUE, QueueDueId, QueueId, RECORDS, record_in};

/// The longest list.
const MOST_LISTED: usize = 1000;

/// The file as it was last committed.
pub(super) struct Snapshot<'a> {
    records: ReadOnlyTable<u128, Bytes>,
    inputs: ReadOnlyTable<u128, Bytes>,
    of_queue: ReadOnlyTable<QueueId, ()>,
    due: ReadOnlyTable<QueueDueId, ()>,
    counts: &'a Counts,
}

impl<'a> Snapshot<'a> {
    pub fn take(database: &Database, counts: &'a Counts) -> Made<Self> {
        let transaction = database.begin_read()?;
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            inputs: transaction.open_table(INPUTS)?,
            of_queue: transaction.open_table(OF_QUEUE)?,
            due: transaction.open_table(DUE)?,
            counts,
        })
    }

    pub fn job(&self, id: JobId) -> Made<Option<Job>> {
        Ok(record_in(&self.records, id)?.map(|record| record.job))
    }

    pub fn input(&self, id: JobId) -> Made<Option<bytes::Bytes>> {
        let input = self.inputs.get(id.number())?;
        Ok(input.map(|input| bytes::Bytes::copy_from_slice(input.value())))
    }

    /// The newest first, those before `before` only.
    pub fn list(&self, queue: &str, before: Option<JobId>, limit: usize) -> Made<Vec<Job>> {
        let end = before.map_or(u128::MAX, JobId::number);
        let limit = limit.min(MOST_LISTED);
        let mut rows = self.of_queue.range((queue, 0)..(queue, end))?.rev();
        let mut jobs = Vec::new();
        // What cannot be read does not count, or a list with too few of them would look like the last.
        while jobs.len() < limit
            && let Some(row) = rows.next()
        {
            let (_, id) = row?.0.value();
            jobs.extend(self.job(JobId::of_number(id))?.map(Job::in_brief));
        }
        Ok(jobs)
    }

    pub fn next_due(&self, queue: &str) -> Made<Option<Millis>> {
        let mut rows = self.due.range((queue, 0, 0)..=(queue, Millis::MAX, u128::MAX))?;
        Ok(rows.next().transpose()?.map(|row| row.0.value().1))
    }

    pub fn summary(&self) -> Made<Vec<QueueSummary>> {
        self.counts
            .all()
            .map(|(queue, count)| {
                Ok(QueueSummary {
                    queue: queue.to_owned(),
                    queued: count.queued,
                    running: count.running,
                    next_due: self.next_due(queue)?,
                })
            })
            .collect()
    }
}

//! The tables of the file, and what of a record stands in which.
//!
//! | table | key | value | has |
//! |---|---|---|---|
//! | `records` | id | JSON | every job |
//! | `inputs` | id | bytes | what a job reads, unless it has a file |
//! | `of_queue` | queue, id | | every job |
//! | `unfinished` | queue, id | how it stands | those that are not over |
//! | `due` | queue, time, id | | those that can be leased from then on: they wait, or their lease runs out |
//! | `expiring` | time, id | queue, key | those that are over: when to forget them, and where else they stand |
//! | `keys` | queue, key | id, fingerprint | idempotency keys |
//! | `meta` | name | number | the file's version, and the number of the last batch |
//!
//! All but the first two and `meta` follow from the records. Opening reads `unfinished`, so that its time does not grow
//! with what is over.

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::JobId;
use super::counts::Counts;
use super::job::{Job, Millis, State};
use super::record::Record;

/// What comes of work on the tables. An error is the file's, never a job's.
pub(super) type Made<T> = Result<T, redb::Error>;

/// Key and value of the tables, as redb has them.
type Name = &'static str;
pub(super) type Bytes = &'static [u8];
pub(super) type QueueId = (Name, u128);
pub(super) type QueueDueId = (Name, Millis, u128);
type ExpiresId = (Millis, u128);
type QueueKey = (Name, Name);
type IdFingerprint = (u128, [u8; 32]);

pub(super) const RECORDS: TableDefinition<'static, u128, Bytes> = TableDefinition::new("records");
pub(super) const INPUTS: TableDefinition<'static, u128, Bytes> = TableDefinition::new("inputs");
pub(super) const OF_QUEUE: TableDefinition<'static, QueueId, ()> = TableDefinition::new("of_queue");
pub(super) const UNFINISHED: TableDefinition<'static, QueueId, u8> = TableDefinition::new("unfinished");
pub(super) const DUE: TableDefinition<'static, QueueDueId, ()> = TableDefinition::new("due");
const EXPIRING: TableDefinition<'static, ExpiresId, QueueKey> = TableDefinition::new("expiring");
const KEYS: TableDefinition<'static, QueueKey, IdFingerprint> = TableDefinition::new("keys");
pub(super) const META: TableDefinition<'static, Name, u64> = TableDefinition::new("meta");

/// The names in `meta`.
pub(super) const VERSION_NAME: &str = "version";
pub(super) const BATCH_NAME: &str = "batch";

/// Values in `unfinished`.
const QUEUED: u8 = 0;
pub(super) const RUNS_HERE: u8 = 1;
const LEASED: u8 = 2;

/// All tables, open for one batch, and the counts as they will be when it is committed.
pub(super) struct Tables<'t> {
    records: Table<'t, u128, Bytes>,
    pub(super) inputs: Table<'t, u128, Bytes>,
    of_queue: Table<'t, QueueId, ()>,
    unfinished: Table<'t, QueueId, u8>,
    pub(super) due: Table<'t, QueueDueId, ()>,
    expiring: Table<'t, ExpiresId, QueueKey>,
    keys: Table<'t, QueueKey, IdFingerprint>,
    pub(super) meta: Table<'t, Name, u64>,
    pub(super) counts: Counts,
    /// Whether there is anything to commit.
    pub(super) is_changed: bool,
}

impl<'t> Tables<'t> {
    /// Opens them, making those that are not there.
    pub fn open(transaction: &'t WriteTransaction, counts: Counts) -> Made<Self> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            inputs: transaction.open_table(INPUTS)?,
            of_queue: transaction.open_table(OF_QUEUE)?,
            unfinished: transaction.open_table(UNFINISHED)?,
            due: transaction.open_table(DUE)?,
            expiring: transaction.open_table(EXPIRING)?,
            keys: transaction.open_table(KEYS)?,
            meta: transaction.open_table(META)?,
            counts,
            is_changed: false,
        })
    }

    /// The record of a job; `None` too when it cannot be read, which is logged.
    pub fn record(&self, id: JobId) -> Made<Option<Record>> {
        record_in(&self.records, id)
    }

    /// A job's input, where there is none yet.
    pub fn insert_input(&mut self, id: JobId, input: &[u8]) -> Made<()> {
        self.inputs.insert(id.number(), input)?;
        Ok(())
    }

    /// The job that came under this key, and the fingerprint of what came.
    pub fn keyed(&self, queue: &str, key: &str) -> Made<Option<(JobId, [u8; 32])>> {
        Ok(self.keys.get((queue, key))?.map(|found| {
            let (id, fingerprint) = found.value();
            (JobId::of_number(id), fingerprint)
        }))
    }

    /// Remembers the key of a job.
    pub fn insert_key(&mut self, queue: &str, key: &str, id: JobId, fingerprint: &[u8; 32]) -> Made<()> {
        self.keys.insert((queue, key), (id.number(), *fingerprint))?;
        Ok(())
    }

    /// Puts a record in the place of `old`, and all that follows from it.
    pub fn put(&mut self, old: Option<&Record>, new: &Record) -> Made<()> {
        let (queue, id) = (new.job.queue.as_str(), new.job.id.number());
        let (before, after) = (old.map(Rows::of).unwrap_or_default(), Rows::of(new));
        self.records.insert(id, new.render().as_slice())?;
        if old.is_none() {
            self.of_queue.insert((queue, id), ())?;
        }
        self.take_rows(queue, id, &before, &after)?;
        if before.due != after.due
            && let Some(due) = after.due
        {
            self.due.insert((queue, due, id), ())?;
        }
        if before.unfinished != after.unfinished
            && let Some(how) = after.unfinished
        {
            self.unfinished.insert((queue, id), how)?;
        }
        if before.expires != after.expires
            && let Some(expires) = after.expires
        {
            self.expiring.insert((expires, id), (queue, new.key.as_deref().unwrap_or_default()))?;
        }
        self.counts.change(queue, old.map(|old| old.job.state), Some(new.job.state));
        self.is_changed = true;
        Ok(())
    }

    /// Takes away the rows of `before` that `after` does not have.
    fn take_rows(&mut self, queue: &str, id: u128, before: &Rows, after: &Rows) -> Made<()> {
        if before.due != after.due
            && let Some(due) = before.due
        {
            self.due.remove((queue, due, id))?;
        }
        if before.unfinished.is_some() && after.unfinished.is_none() {
            self.unfinished.remove((queue, id))?;
        }
        if before.expires != after.expires
            && let Some(expires) = before.expires
        {
            self.expiring.remove((expires, id))?;
        }
        Ok(())
    }

    /// Forgets a job and all that is kept of it.
    pub fn forget(&mut self, record: &Record) -> Made<()> {
        let (queue, id) = (record.job.queue.as_str(), record.job.id.number());
        self.take_rows(queue, id, &Rows::of(record), &Rows::default())?;
        self.counts.change(queue, Some(record.job.state), None);
        self.forget_rest(queue, record.key.as_deref().unwrap_or_default(), id)
    }

    fn forget_rest(&mut self, queue: &str, key: &str, id: u128) -> Made<()> {
        self.records.remove(id)?;
        self.inputs.remove(id)?;
        self.of_queue.remove((queue, id))?;
        if !key.is_empty() && self.keyed(queue, key)?.is_some_and(|(keyed, _)| keyed.number() == id) {
            self.keys.remove((queue, key))?;
        }
        self.is_changed = true;
        Ok(())
    }

    /// Forgets those whose time is over, the longest over first. It needs no record, so one that cannot be read goes too.
    pub fn forget_expired(&mut self, now: Millis, limit: usize) -> Made<Vec<JobId>> {
        let mut expired = Vec::new();
        for row in self.expiring.range(..=(now, u128::MAX))?.take(limit) {
            let (at, place) = row?;
            let (queue, key) = place.value();
            expired.push((at.value(), queue.to_owned(), key.to_owned()));
        }
        for ((expires, id), queue, key) in &expired {
            self.expiring.remove((*expires, *id))?;
            self.forget_rest(queue, key, *id)?;
        }
        Ok(expired.into_iter().map(|((_, id), ..)| JobId::of_number(id)).collect())
    }

    /// The first row of what can be leased in this queue by `now`.
    pub fn first_due(&self, queue: &str, now: Millis) -> Made<Option<(Millis, JobId)>> {
        let row = self.due.range((queue, 0, 0)..=(queue, now, u128::MAX))?.next().transpose()?;
        Ok(row.map(|(row, _)| {
            let (_, due, id) = row.value();
            (due, JobId::of_number(id))
        }))
    }

    /// Takes a job whose record cannot be read out of its queue, or it would stand at its head for ever.
    pub fn leave_out(&mut self, queue: &str, due: Option<Millis>, id: JobId) -> Made<()> {
        if let Some(due) = due {
            self.due.remove((queue, due, id.number()))?;
        }
        let how = self.unfinished.remove((queue, id.number()))?.map(|how| how.value());
        if let Some(how) = how {
            self.counts.change(queue, Some(state_of(how)), None);
        }
        self.is_changed = true;
        Ok(())
    }
}

/// Where a record stands beside `records` and `of_queue`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rows {
    due: Option<Millis>,
    unfinished: Option<u8>,
    expires: Option<Millis>,
}

impl Rows {
    fn of(record: &Record) -> Self {
        let Job { state, due, lease, .. } = &record.job;
        match (state, lease) {
            (State::Queued, _) => Self { due: Some(*due), unfinished: Some(QUEUED), expires: None },
            (State::Running, None) => Self { due: None, unfinished: Some(RUNS_HERE), expires: None },
            (State::Running, Some(lease)) => {
                Self { due: Some(lease.until), unfinished: Some(LEASED), expires: None }
            }
            (State::Done | State::Failed | State::Cancelled, _) => {
                Self { due: None, unfinished: None, expires: record.expires }
            }
        }
    }
}

/// The state that a value in `unfinished` stands for.
pub(super) fn state_of(how: u8) -> State {
    if how == QUEUED { State::Queued } else { State::Running }
}

/// The record of a job; `None` too when it cannot be read, which is logged.
pub(super) fn record_in(records: &impl ReadableTable<u128, Bytes>, id: JobId) -> Made<Option<Record>> {
    let Some(bytes) = records.get(id.number())? else { return Ok(None) };
    match Record::parse(id, bytes.value()) {
        Ok(record) => Ok(Some(record)),
        Err(error) => {
            tracing::error!(job = %id, %error, "the record of job {id} cannot be read and is left out: {error}");
            Ok(None)
        }
    }
}

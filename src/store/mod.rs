//! Durable state: the jobs, in one file of an embedded database (redb).
//!
//! [`JobStore`] is all that others see. Its calls go to one thread that has the file: it takes all that wait, makes them
//! in one transaction, commits, and answers, so that a hundred submissions at once cost two fsyncs, not two hundred.
//!
//! ```text
//! JobStore  ->  line  ->  thread             ->  keeper             ->  redb
//! jobs.rs       call.rs   batches, repeats       opens, settles         tables.rs, changes.rs, looks.rs
//! ```
//!
//! # What holds
//!
//! - What was answered with success is on disk, whatever is killed afterwards. After `kill -9` the file opens as quickly
//!   as after a clean end (redb's quick repair), and what ran in the process that is gone waits again.
//! - A full disk refuses submissions with [`StoreError::NoSpace`] and loses nothing. Questions are answered, and jobs can
//!   be leased, put back and finished, out of a reserve of 1 MiB (`jobs.reserve`) that is given up then, unless others
//!   take its room first. All works again as soon as there is room, and nothing is accepted before the reserve is whole.
//! - After any other failure of the disk the file is closed and opened again; until that succeeds, every call is
//!   answered with the error.
//! - A file that is damaged is checked and repaired; if it cannot be, it gets another name (`jobs.redb.damaged-` and a
//!   time) with an error in the log, and a fresh one is started. The files of its jobs stay as long as it does. Locks, permissions and failing disks are no damage.
//! - A record that cannot be read is logged and left out, and so is its job; the others go on.

mod call;
mod changes;
mod counts;
mod error;
mod file;
mod id;
mod job;
mod jobs;
mod keeper;
mod leasing;
mod looks;
mod record;
mod reserve;
mod tables;
mod thread;

pub use self::error::StoreError;
pub use self::file::aside;
pub(crate) use self::id::random;
pub use self::id::{JobId, NoId};
pub use self::job::{
    Again, Cancel, Ending, Input, Job, Lease, Millis, NewJob, Outcome, Progress, QueueSummary, Refused,
    State, Submitted, after, now,
};
pub use self::jobs::JobStore;

#[cfg(test)]
mod tests;

//! The file while it is open, and what is done when it fails: closed and opened again, checked, or set aside.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redb::Database;

use super::call::{Change, Look, Undo};
use super::counts::Counts;
use super::error::{Fault, text_of_panic};
use super::file::{self, Check, Loaded, Opener};
use super::job::now;
use super::looks::Snapshot;
use super::reserve::Reserve;
use super::tables::{BATCH_NAME, Made, Tables};

/// So long, in all, another process's lock is waited for. A program that a process was just starting when it was killed has
/// the lock, too, until it is begun.
const LOCKED: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);

/// What outlives the thread.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Whether jobs that ran when the last process ended have been put back.
    pub is_settled: AtomicBool,
    /// How many batches were committed.
    pub commits: AtomicU64,
}

/// Who has the file.
pub(super) struct Keeper {
    path: PathBuf,
    opener: Opener,
    pub reserve: Reserve,
    facts: Arc<Facts>,
    open: Option<Open>,
    /// How the next opening looks at it.
    check: Check,
    in_doubt: Option<InDoubt>,
    /// How long a lock may still be waited for.
    patience: Duration,
}

/// The open file.
struct Open {
    database: Database,
    counts: Counts,
    batch: u64,
}

/// A batch that was answered with an error; the file will say whether it is on disk for all that.
struct InDoubt {
    batch: u64,
    undo: Vec<Undo>,
}

/// Where a change failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// Before anything was done.
    Open(Fault),
    /// The file has been closed since.
    Commit(Fault),
}

impl Keeper {
    pub fn new(path: PathBuf, opener: Opener, facts: Arc<Facts>) -> Self {
        let reserve = Reserve::new(path.parent().unwrap_or(&path));
        Self {
            path,
            opener,
            reserve,
            facts,
            open: None,
            check: Check::Quick,
            in_doubt: None,
            patience: LOCKED,
        }
    }

    /// Opens the file, unless it is open; whether the batch that failed last is on disk after all.
    pub fn open(&mut self) -> Result<bool, Fault> {
        if self.open.is_some() {
            return Ok(false);
        }
        let (mut is_fresh, mut was_rescued) = (false, false);
        loop {
            match self.try_open() {
                Ok(was_committed) => {
                    self.check = Check::Quick;
                    return Ok(was_committed);
                }
                Err(Fault::Damaged(reason)) if self.check == Check::Quick => {
                    tracing::warn!(file = %self.path.display(), reason, "{} looks damaged and is checked", self.path.display());
                    self.check = Check::Whole;
                }
                Err(Fault::Damaged(reason)) if !std::mem::replace(&mut is_fresh, true) => {
                    file::set_aside(&self.path, &reason).map_err(Fault::Io)?;
                    self.check = Check::Quick;
                }
                Err(fault)
                    if fault.is_full()
                        && !std::mem::replace(&mut was_rescued, true)
                        && self.reserve.release() => {}
                Err(Fault::InUse) if !self.patience.is_zero() => {
                    self.patience = self.patience.saturating_sub(LOOK);
                    std::thread::sleep(LOOK);
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    fn try_open(&mut self) -> Result<bool, Fault> {
        let database = file::open(&self.path, &self.opener, self.check)?;
        let opened = catch_unwind(AssertUnwindSafe(|| self.settle(database)));
        let (open, was_committed) = opened.unwrap_or_else(|panic| {
            let text = text_of_panic(&*panic);
            // In a file whose every page is in order, it is our mistake.
            Err(if self.check == Check::Whole { Fault::Internal(text) } else { Fault::Damaged(text) })
        })?;
        self.open = Some(open);
        self.in_doubt = None;
        self.facts.is_settled.store(true, Ordering::Release);
        Ok(was_committed)
    }

    /// Puts back what ran in a process that is gone, and takes back what nobody was told of.
    fn settle(&self, database: Database) -> Result<(Open, bool), Fault> {
        let Loaded { mut counts, batch, runs_here } = file::load(&database)?;
        let in_doubt = self.in_doubt.as_ref().filter(|in_doubt| in_doubt.batch == batch);
        let undo = in_doubt.map_or(&[] as &[Undo], |in_doubt| &in_doubt.undo);
        let is_settled = self.facts.is_settled.load(Ordering::Acquire);
        let interrupted = if is_settled { &[] } else { runs_here.as_slice() };
        if !undo.is_empty() || !interrupted.is_empty() {
            let transaction = file::begin_write(&database)?;
            let mut tables = Tables::open(&transaction, counts)?;
            undo.iter().try_for_each(|undo| undo.make(&mut tables))?;
            let now = now();
            interrupted.iter().try_for_each(|(queue, id)| tables.interrupted(queue, *id, now))?;
            counts = std::mem::take(&mut tables.counts);
            drop(tables);
            transaction.commit().map_err(redb::Error::from)?;
        }
        let was_committed = in_doubt.is_some();
        Ok((Open { database, counts, batch }, was_committed))
    }

    /// Makes all of these, on disk when this returns; or none of them, and the file is closed.
    pub fn commit(&mut self, changes: &mut [Box<dyn Change>]) -> Result<(), Failed> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let fault = match catch_unwind(AssertUnwindSafe(|| open.commit(changes))) {
            Ok(Ok(is_changed)) => {
                self.facts.commits.fetch_add(u64::from(is_changed), Ordering::Relaxed);
                return Ok(());
            }
            Ok(Err(error)) => error.into(),
            Err(panic) => Fault::Internal(text_of_panic(&*panic)),
        };
        let undo = changes.iter().filter_map(|change| change.undo()).collect();
        self.in_doubt = Some(InDoubt { batch: open.batch + 1, undo });
        self.close();
        Err(Failed::Commit(fault))
    }

    /// Asks; after a failure the file is closed.
    pub fn look(&mut self, look: &mut dyn Look) -> Result<(), Fault> {
        self.open()?;
        let Some(open) = &self.open else { return Ok(()) };
        let looked = catch_unwind(AssertUnwindSafe(|| {
            look.look(&Snapshot::take(&open.database, &open.counts)?).map_err(Fault::from)
        }));
        let looked = looked.unwrap_or_else(|panic| Err(Fault::Internal(text_of_panic(&*panic))));
        if looked.is_err() {
            self.close();
        }
        looked
    }

    /// The next opening checks every page, if this failure may come from damage.
    pub fn suspect(&mut self, fault: &Fault) {
        if matches!(fault, Fault::Damaged(_) | Fault::Internal(_)) {
            self.check = Check::Whole;
        }
    }

    /// Closes the file. All that was answered is on disk already, so that nothing is lost if that fails.
    pub fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        match catch_unwind(AssertUnwindSafe(|| open.database.close())) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "{} was not closed cleanly: {error}", self.path.display());
            }
            Err(_) => tracing::debug!("{} was not closed cleanly", self.path.display()),
        }
    }
}

impl Open {
    /// Whether there was anything to commit.
    fn commit(&mut self, changes: &mut [Box<dyn Change>]) -> Made<bool> {
        let transaction = file::begin_write(&self.database)?;
        let mut tables = Tables::open(&transaction, self.counts.clone())?;
        changes.iter_mut().try_for_each(|change| change.make(&mut tables))?;
        if !tables.is_changed {
            drop(tables);
            transaction.abort()?;
            return Ok(false);
        }
        let batch = self.batch + 1;
        tables.meta.insert(BATCH_NAME, batch)?;
        let counts = std::mem::take(&mut tables.counts);
        drop(tables);
        transaction.commit()?;
        (self.counts, self.batch) = (counts, batch);
        Ok(true)
    }
}

//! The file: how it is opened, what is read of it then, and what is done with one that is damaged.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, DatabaseError, ReadableDatabase, TableError, WriteTransaction};

use super::JobId;
use super::counts::Counts;
use super::error::{Fault, text_of_panic};
use super::job::now;
use super::tables::{BATCH_NAME, META, Made, RUNS_HERE, Tables, UNFINISHED, VERSION_NAME, state_of};

/// The version this program writes, and the only one it reads.
pub(super) const VERSION: u64 = 1;

/// The name of the file.
pub(super) const FILE: &str = "jobs.redb";

/// What follows that in the name of one that is damaged; then comes the time.
const DAMAGED: &str = ".damaged-";

/// What redb may keep in memory, of what it read and of what it is about to write.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// The length of a new file, rounded up; what is longer has been written to.
const NEW_FILE_BYTES: usize = 128 * 1024;

/// redb's first page: the magic number is written last when a file is made, and data never into it.
const FIRST_PAGE_BYTES: usize = 4096;
const MAGIC_BYTES: usize = 9;

/// Makes a database of an open file; another one in tests, where disks fail.
pub(super) type Opener = Arc<dyn Fn(&Builder, File) -> Result<Database, DatabaseError> + Send + Sync>;

/// A file on a disk.
pub(super) fn plain() -> Opener {
    Arc::new(|builder, file| builder.create_with_backend(redb::backends::FileBackend::new(file)?))
}

/// How much of a file is looked at when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// What is needed.
    Quick,
    /// Every page, repairing what can be repaired: after something looked damaged.
    Whole,
}

/// Opens the file, made if it is not there. Panics of redb, which it has for damage, are faults.
pub(super) fn open(path: &Path, opener: &Opener, check: Check) -> Result<Database, Fault> {
    let directory = path.parent().unwrap_or(Path::new("."));
    if !directory.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(Fault::Io)?;
    }
    let is_new = !path.exists();
    // Commands, environments and inputs may have secrets in them.
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(Fault::Io)?;
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(check == Check::Whole);
    let database = match catch_unwind(AssertUnwindSafe(|| opener(&builder, file))) {
        Ok(database) => database.map_err(|error| Fault::from(redb::Error::from(error)))?,
        // The file is all that it was given.
        Err(panic) => return Err(Fault::Damaged(text_of_panic(&*panic))),
    };
    if is_new {
        sync(directory).map_err(Fault::Io)?;
    }
    Ok(database)
}

/// What is known of an open file without asking it.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub counts: Counts,
    /// The number of the last batch.
    pub batch: u64,
    /// What runs in a process, this one or one that is gone.
    pub runs_here: Vec<(String, JobId)>,
}

/// Reads what has to be known, from a new file too.
pub(super) fn load(database: &Database) -> Result<Loaded, Fault> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => return begin(database),
        Err(error) => return Err(redb::Error::from(error).into()),
    };
    let number = |name| -> Made<Option<u64>> { Ok(meta.get(name)?.map(|number| number.value())) };
    match number(VERSION_NAME)? {
        Some(VERSION) => {}
        Some(newer) => return Err(Fault::Newer(newer)),
        None => return begin(database),
    }
    let mut loaded = Loaded { batch: number(BATCH_NAME)?.unwrap_or_default(), ..Loaded::default() };
    let unfinished = transaction.open_table(UNFINISHED).map_err(redb::Error::from)?;
    for row in unfinished.range::<(&str, u128)>(..).map_err(redb::Error::from)? {
        let (place, how) = row.map_err(redb::Error::from)?;
        let ((queue, id), how) = (place.value(), how.value());
        loaded.counts.change(queue, None, Some(state_of(how)));
        if how == RUNS_HERE {
            loaded.runs_here.push((queue.to_owned(), JobId::of_number(id)));
        }
    }
    Ok(loaded)
}

/// Makes the tables of a new file.
fn begin(database: &Database) -> Result<Loaded, Fault> {
    let transaction = begin_write(database)?;
    let mut tables = Tables::open(&transaction, Counts::default())?;
    tables.meta.insert(VERSION_NAME, VERSION).map_err(redb::Error::from)?;
    drop(tables);
    transaction.commit().map_err(redb::Error::from)?;
    Ok(Loaded::default())
}

/// A transaction that is on disk when it is committed, and whose file is opened quickly after a crash.
pub(super) fn begin_write(database: &Database) -> Made<WriteTransaction> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Gives a damaged file another name, so that a fresh one can be started.
pub(super) fn set_aside(path: &Path, reason: &str) -> io::Result<()> {
    if was_never_begun(path)? {
        // A process was killed while it made the file.
        return fs::remove_file(path);
    }
    let aside = free_name(path);
    fs::rename(path, &aside)?;
    sync(path.parent().unwrap_or(Path::new(".")))?;
    tracing::error!(
        file = %path.display(), aside = %aside.display(), reason,
        "{} is damaged ({reason}): it is now {}, and a fresh one is started; the jobs in it are neither run nor shown",
        path.display(), aside.display()
    );
    Ok(())
}

/// A damaged file in this directory that has got another name, if there is one.
pub fn aside(directory: &Path) -> Option<PathBuf> {
    let is_aside = |name: &OsStr| name.as_bytes().starts_with(format!("{FILE}{DAMAGED}").as_bytes());
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).find(|path| path.file_name().is_some_and(is_aside))
}

fn free_name(path: &Path) -> PathBuf {
    let named = |seconds: u64| path.with_file_name(format!("{FILE}{DAMAGED}{seconds}"));
    let first = now() / 1000;
    (first..).map(named).find(|name| !name.exists()).unwrap_or_else(|| named(first))
}

/// Whether making the file did not come to its end: no magic number, and nothing behind the first page.
fn was_never_begun(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let length = file.metadata()?.len().try_into().unwrap_or(usize::MAX);
    if length > NEW_FILE_BYTES {
        return Ok(false);
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    let is_empty = |part: &[u8]| part.iter().all(|byte| *byte == 0);
    Ok(is_empty(&bytes[..length.min(MAGIC_BYTES)]) && is_empty(&bytes[length.min(FIRST_PAGE_BYTES)..]))
}

/// A new name survives a power failure only then.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

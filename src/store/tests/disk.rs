//! A disk that fills up and fails.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use rustix::io::Errno;

use super::*;

const BLOCK: u64 = 4096;

/// What happens to files on it.
#[derive(Debug)]
struct Disk {
    /// Blocks that are not taken yet.
    room: AtomicI64,
    taken: Mutex<HashSet<u64>>,
    /// So many syncs go well before one fails; negative for ever.
    syncs: AtomicI64,
    /// So many writes go well before one panics; negative for ever.
    writes: AtomicI64,
    panics_again: AtomicBool,
    is_dead: AtomicBool,
}

impl Disk {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            room: AtomicI64::new(i64::MAX),
            taken: Mutex::default(),
            syncs: AtomicI64::new(-1),
            writes: AtomicI64::new(-1),
            panics_again: AtomicBool::new(false),
            is_dead: AtomicBool::new(false),
        })
    }

    fn store(self: &Arc<Self>, directory: &Directory) -> JobStore {
        let disk = self.clone();
        let opener = move |builder: &redb::Builder, file: File| {
            builder.create_with_backend(OnDisk { file: FileBackend::new(file)?, disk: disk.clone() })
        };
        JobStore::with(directory.0.clone(), Arc::new(opener))
    }

    fn set_room(&self, blocks: i64) {
        self.room.store(blocks, Ordering::SeqCst);
    }

    fn live(&self) -> io::Result<()> {
        if self.is_dead.load(Ordering::SeqCst) { Err(Errno::IO.into()) } else { Ok(()) }
    }
}

/// Whether it is this one's turn.
fn is_turn(counter: &AtomicI64) -> bool {
    let before = counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some((left - 1).max(-1)));
    before == Ok(0)
}

#[derive(Debug)]
struct OnDisk {
    file: FileBackend,
    disk: Arc<Disk>,
}

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.live()?;
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.live()?;
        let mut taken = self.disk.taken.lock().expect("no panic");
        let before = taken.len();
        taken.retain(|block| *block < len.div_ceil(BLOCK));
        self.disk.room.fetch_add((before - taken.len()) as i64, Ordering::SeqCst);
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.live()?;
        self.file.sync_data()?;
        if is_turn(&self.disk.syncs) { Err(Errno::IO.into()) } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.live()?;
        if is_turn(&self.disk.writes) {
            self.disk
                .writes
                .store(if self.disk.panics_again.load(Ordering::SeqCst) { 0 } else { -1 }, Ordering::SeqCst);
            panic!("as if redb had found what cannot be");
        }
        let blocks = offset / BLOCK..(offset + data.len() as u64).div_ceil(BLOCK);
        let mut taken = self.disk.taken.lock().expect("no panic");
        for block in blocks {
            if !taken.contains(&block) {
                if self.disk.room.load(Ordering::SeqCst) <= 0 {
                    return Err(Errno::NOSPC.into());
                }
                self.disk.room.fetch_sub(1, Ordering::SeqCst);
                taken.insert(block);
            }
        }
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

async fn fill(store: &JobStore, accepted: &mut Vec<JobId>) -> StoreError {
    loop {
        let new = NewJob { client: "x".repeat(5000), ..a_job("q", 1) };
        match store.submit(new, None, None, u64::MAX).await {
            Ok(Submitted::Accepted(job)) => accepted.insert(0, job.id),
            Ok(other) => panic!("{other:?}"),
            Err(error) => return error,
        }
    }
}

#[test]
fn a_full_disk_loses_nothing_and_works_again_when_there_is_room() {
    let directory = Directory::new();
    let disk = Disk::new();
    let store = disk.store(&directory);
    run(async {
        let mut accepted = Vec::new();
        for room in [60, 40, 200] {
            disk.set_room(room);
            let error = fill(&store, &mut accepted).await;
            assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
            assert!(error.to_string().contains("no room on the disk"), "{error}");
            assert_eq!(store.ids("q").await, accepted, "reading goes on, and nothing is lost");
            let killed = directory.as_after_kill();
            assert_eq!(killed.open().ids("q").await, accepted, "nor by a kill");
        }
        assert!(accepted.len() > 10, "{}", accepted.len());
        disk.set_room(i64::MAX);
        accepted.insert(0, store.accept("q", 1).await);
        assert_eq!(store.ids("q").await, accepted);
    });
    assert_eq!(directory.aside(), None);
}

#[test]
fn a_commit_that_fails_anywhere_leaves_nothing_behind() {
    let directory = Directory::new();
    let disk = Disk::new();
    let store = disk.store(&directory);
    run(async {
        let old = store.accept("q", 1).await;
        let mut failures = 0;
        for syncs in 0..6 {
            disk.syncs.store(syncs, Ordering::SeqCst);
            let new = a_job("q", 2);
            let id = new.id;
            match store.submit(new, None, None, 9).await {
                Err(error) => {
                    assert!(matches!(error, StoreError::Io { .. }), "{error}");
                    assert_eq!(store.state(id).await, None, "after {syncs} syncs");
                    failures += 1;
                }
                Ok(submitted) => assert!(matches!(submitted, Submitted::Accepted(_))),
            }
            disk.syncs.store(syncs, Ordering::SeqCst);
            match store.lease("q", 1, None).await {
                Err(_) => failures += 1,
                Ok(leased) => {
                    assert_eq!(leased.map(|job| job.id), Some(old), "after {syncs} syncs");
                    disk.syncs.store(-1, Ordering::SeqCst);
                    store.retry_at(old, None, 1, None, Again::Released).await.unwrap().expect("it runs");
                }
            }
            disk.syncs.store(-1, Ordering::SeqCst);
            let job = store.job(old).await;
            assert_eq!((job.state, job.attempts), (State::Queued, 0), "after {syncs} syncs");
        }
        assert!(failures >= 4, "a commit has two syncs, and each of them failed: {failures}");
    });
}

#[test]
fn a_disk_that_is_away_for_a_while() {
    let directory = Directory::new();
    let disk = Disk::new();
    let store = disk.store(&directory);
    run(async {
        let id = store.accept("q", 1).await;
        disk.is_dead.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            let error = store.submit(a_job("q", 1), None, None, 9).await.expect_err("it is away");
            assert!(matches!(error, StoreError::Io { .. }), "{error}");
        }
        store.get(id).await.expect_err("it is away");
        store.close().await;
        disk.is_dead.store(false, Ordering::SeqCst);
        assert_eq!(store.ids("q").await, [id]);
        store.accept("q", 1).await;
    });
    assert_eq!(directory.aside(), None);
}

#[test]
fn a_panic_is_looked_into_and_costs_nobody_a_file() {
    let directory = Directory::new();
    let disk = Disk::new();
    let store = disk.store(&directory);
    run(async {
        let mut ids = vec![store.accept("q", 1).await];
        disk.writes.store(1, Ordering::SeqCst);
        ids.insert(0, store.accept("q", 1).await); // at the second attempt
        assert_eq!(store.ids("q").await, ids);

        // And one that comes each time is an error.
        disk.panics_again.store(true, Ordering::SeqCst);
        disk.writes.store(0, Ordering::SeqCst);
        store.submit(a_job("q", 1), None, None, 9).await.expect_err("it panics each time");
        disk.panics_again.store(false, Ordering::SeqCst);
        disk.writes.store(-1, Ordering::SeqCst);
    });
}

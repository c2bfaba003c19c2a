//! Files that are damaged, and files that are not but cannot be used.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;

use super::*;

/// A directory with a file in it, closed, and the jobs in that.
fn with_jobs(jobs: usize) -> (Directory, Vec<JobId>) {
    let directory = Directory::new();
    let store = directory.open();
    let ids = run(async {
        let mut ids = Vec::new();
        for _ in 0..jobs {
            ids.push(store.accept("q", 1).await);
        }
        store.close().await;
        ids
    });
    (directory, ids)
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).expect("it is there");
    file.write_all_at(bytes, at).expect("it can be written");
}

/// The jobs of what is there now; it works, and goes on to.
fn works(directory: &Directory) -> Vec<JobId> {
    let store = directory.open();
    run(async {
        let before = store.ids("q").await;
        let id = store.accept("q", 1).await;
        assert_eq!(store.state(id).await, Some(State::Queued));
        store.close().await;
        before
    })
}

#[test]
fn a_damaged_file_is_set_aside_as_it_is() {
    type Damage = fn(&Path);
    let damages: [Damage; 5] = [
        |path| overwrite(path, 0, &[0; 4096]),
        |path| fs::write(path, "these are no jobs\n").expect("it can be written"),
        |path| fs::write(path, [0x5a; 100_000]).expect("it can be written"),
        |path| {
            OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(5000)).expect("it is cut")
        },
        |path| overwrite(path, 64, &[0xff; 256]),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let (directory, _) = with_jobs(20);
        damage(&directory.file());
        let damaged = fs::read(directory.file()).expect("it is there");
        assert_eq!(works(&directory), [], "damage {number}");
        let aside = directory.aside().expect("it is set aside");
        assert!(fs::read(aside).expect("it is there") == damaged, "damage {number}: not a byte was changed");
    }
}

#[test]
fn two_damaged_files_get_two_names() {
    let (directory, _) = with_jobs(1);
    for damaged in 1..=3 {
        overwrite(&directory.file(), 0, b"damaged");
        works(&directory);
        let names = directory.files();
        assert_eq!(names.iter().filter(|name| name.contains("damaged")).count(), damaged, "{names:?}");
    }
}

#[test]
fn a_file_that_was_never_begun_is_not_damage() {
    for zeros in [0, 1, 100, 73_728] {
        let directory = Directory::new();
        fs::write(directory.file(), vec![0; zeros]).expect("it can be written");
        assert_eq!((works(&directory), directory.aside()), (vec![], None), "{zeros}");
    }
}

#[test]
fn a_newer_file_is_left_alone() {
    let (directory, ids) = with_jobs(1);
    let write_version = |version: u64| {
        let database = redb::Database::open(directory.file()).expect("it opens");
        let transaction = database.begin_write().expect("it can be written");
        let mut table = transaction.open_table(super::super::tables::META).expect("it is there");
        table.insert("version", version).expect("it can be written");
        drop(table);
        transaction.commit().expect("it can be written");
    };
    write_version(2);
    let store = directory.open();
    let error = run(store.get(ids[0])).expect_err("it is newer");
    assert!(matches!(error, StoreError::Newer { version: 2, .. }), "{error}");
    assert!(error.to_string().contains("jobs.redb is of version 2"), "{error}");
    run(store.close());
    write_version(1);
    assert_eq!((works(&directory), directory.aside()), (ids, None));
}

#[test]
fn what_cannot_be_opened_is_not_damage() {
    let directory = Directory::new();
    fs::create_dir(directory.file()).expect("it can be made");
    let store = directory.open();
    let error = run(store.next_due("q")).expect_err("that is a directory");
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    fs::remove_dir(directory.file()).expect("it is empty");
    // Each call tries again.
    run(store.accept("q", 1));
    assert_eq!(directory.aside(), None);
}

#[test]
fn a_record_that_cannot_be_read_is_left_out() {
    let (directory, ids) = with_jobs(3);
    {
        let database = redb::Database::open(directory.file()).expect("it opens");
        let transaction = database.begin_write().expect("it can be written");
        let mut records = transaction.open_table(super::super::tables::RECORDS).expect("it is there");
        records.insert(ids[0].number(), b"garbage".as_slice()).expect("it can be written");
        drop(records);
        transaction.commit().expect("it can be written");
    }
    let store = directory.open();
    run(async {
        assert_eq!(store.ids("q").await, [ids[2], ids[1]]);
        assert_eq!((store.get(ids[0]).await.unwrap(), store.summary().await.unwrap()[0].queued), (None, 3));
        for id in &ids[1..] {
            assert_eq!(store.lease("q", 9, None).await.unwrap().map(|job| job.id), Some(*id));
        }
        assert_eq!(store.cancel(ids[0], 1, 1).await.unwrap(), Err(Refused::Unknown));
        let summary = store.summary().await.unwrap();
        assert_eq!((summary[0].queued, summary[0].running), (0, 2), "it does not wait for ever");
    });
    assert_eq!(directory.aside(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_is_in_the_file_it_works_afterwards(
        places in proptest::collection::vec((any::<u64>(), proptest::collection::vec(any::<u8>(), 1..600)), 0..12),
        cut in proptest::option::of(any::<u64>()),
        is_after_kill in any::<bool>(),
    ) {
        let (directory, ids) = with_jobs(12);
        let directory = if is_after_kill {
            let store = directory.open();
            run(store.get(ids[0])).expect("it works");
            directory.as_after_kill()
        } else {
            directory
        };
        let length = fs::metadata(directory.file()).expect("it is there").len();
        for (at, bytes) in &places {
            overwrite(&directory.file(), at % length, bytes);
        }
        if let Some(cut) = cut {
            let file = OpenOptions::new().write(true).open(directory.file()).expect("it is there");
            file.set_len(cut % length).expect("it can be cut");
        }
        let left = works(&directory);
        if places.is_empty() && cut.is_none() {
            prop_assert_eq!(left.len(), ids.len());
        }
        prop_assert!(left.iter().all(|id| ids.contains(id)), "no job comes from nowhere");
    }
}

//! Callers at once, callers that leave, and other processes.

use std::pin::pin;
use std::task::{Context, Waker};

use super::*;

#[test]
fn many_submissions_share_a_commit() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let submissions: Vec<_> = (0..100)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.accept("q", 1).await })
            })
            .collect();
        let mut ids = Vec::new();
        for submission in submissions {
            ids.push(submission.await.expect("no panic"));
        }
        ids.sort_by(|one, other| other.cmp(one));
        assert_eq!(store.ids("q").await, ids);
    });
    assert!(store.commits() <= 20, "{} commits for 100", store.commits());
}

#[test]
fn what_changes_nothing_is_not_committed() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let id = store.accept("q", 50).await;
        let commits = store.commits();
        assert_eq!(store.lease("q", 1, None).await.unwrap(), None);
        assert_eq!(store.renew(id, "t", 1).await.unwrap(), Err(Refused::NotLeased));
        assert_eq!(store.purge(99, 9).await.unwrap(), []);
        assert_eq!(store.submit(a_job("q", 1), None, None, 1).await.unwrap(), Submitted::Full);
        assert_eq!(store.commits(), commits);
    });
}

#[test]
fn one_that_is_refused_does_not_take_others_with_it() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let id = store.accept("q", 1).await;
        let (full, refused, accepted, leased) = tokio::join!(
            store.submit(a_job("q", 1), None, None, 1),
            store.renew(id, "t", 1),
            store.submit(a_job("other", 1), None, None, 1),
            store.lease("q", 1, None),
        );
        assert_eq!((full.unwrap(), refused.unwrap()), (Submitted::Full, Err(Refused::NotLeased)));
        assert!(matches!(accepted.unwrap(), Submitted::Accepted(_)));
        assert_eq!(leased.unwrap().map(|job| job.id), Some(id));
    });
}

/// Sends a call, and no more.
fn send<T>(call: std::pin::Pin<&mut impl Future<Output = T>>) {
    assert!(call.poll(&mut Context::from_waker(Waker::noop())).is_pending(), "the thread answers later");
}

#[test]
fn what_was_sent_happens_though_the_caller_leaves() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        store.accept("q", 1).await;
        let new = a_job("q", 1);
        let id = new.id;
        send(pin!(store.submit(new, None, None, 9)));
        assert_eq!(store.state(id).await, Some(State::Queued));
    });
}

#[test]
fn a_job_for_a_worker_that_left_waits_again() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let id = store.accept("q", 1).await;
        for lease in [None, Some(a_lease("t", 99))] {
            send(pin!(store.lease("q", 1, lease.clone())));
            store.job(id).await; // now the thread has seen that nobody is there
            assert_eq!(store.state(id).await, Some(State::Queued));

            {
                let mut call = pin!(store.lease("q", 1, lease.clone()));
                send(call.as_mut());
                let job = store.job(id).await; // now it has been answered
                assert_eq!((job.state, job.lease), (State::Running, lease));
            }
            let job = store.job(id).await;
            assert_eq!((job.state, job.attempts, job.due), (State::Queued, 0, 1));
        }
        assert!(store.lease("q", 1, None).await.unwrap().is_some());
    });
}

/// A program that a process was just starting when it was killed has its descriptors, and so its lock, for a moment longer.
#[test]
fn what_a_killed_process_leaves_of_its_lock_is_waited_for() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        store.accept("q", 1).await;
        store.close().await;
    });
    let file = std::fs::File::options().read(true).write(true).open(directory.file()).expect("a file");
    file.try_lock().expect("nobody has it");
    let next = directory.open();
    let ends = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200)); // what is waited for
        drop(file);
    });
    run(async { assert_eq!(next.summary().await.expect("it comes free").len(), 1) });
    ends.join().expect("no panic");
}

#[test]
fn one_process_at_a_time() {
    let directory = Directory::new();
    let (first, second) = (directory.open(), directory.open());
    run(async {
        let id = first.accept("q", 1).await;
        let error = second.get(id).await.expect_err("it is in use");
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        assert!(error.to_string().contains("jobs.redb is open in another process"), "{error}");
        first.close().await;
        assert_eq!(second.state(id).await, Some(State::Queued));
        assert!(matches!(first.get(id).await, Err(StoreError::InUse { .. })));
        assert_eq!(directory.aside(), None);
    });
}

#[test]
fn the_file_is_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    let below = Directory(directory.0.join("a/b"));
    let store = below.open();
    run(store.accept("q", 1));
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&below.file()), mode(&below.0)), (0o600, 0o700));
}

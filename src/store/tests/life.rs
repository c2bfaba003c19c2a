//! What can happen to a job, one after the other.

use bytes::Bytes;

use super::*;

const NOW: Millis = 100;
const EXPIRES: Millis = 1000;

#[test]
fn nothing_is_there_before_the_first_call() {
    let directory = Directory::new();
    let store = directory.open();
    run(store.close());
    assert_eq!((directory.files(), store.commits()), (vec![], 0));
    run(async {
        assert_eq!(store.summary().await.expect("it works"), []);
        store.accept("q", 1).await;
    });
    assert_eq!(directory.files(), ["jobs.redb", "jobs.reserve"]);
}

#[test]
fn a_job_from_its_submission_to_its_end() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let new = NewJob { input: Input { size: 5, ..Input::default() }, ..a_job("q", NOW) };
        let input = Bytes::from_static(b"hello");
        let Submitted::Accepted(job) = store.submit(new, Some(input.clone()), None, 1).await.unwrap() else {
            panic!("it is accepted");
        };
        assert_eq!((job.state, job.attempts), (State::Queued, 0));
        assert_eq!(store.job(job.id).await, job);
        assert_eq!(store.lease("q", NOW - 1, None).await.unwrap(), None, "it is not due");
        assert_eq!(store.lease("other", NOW, None).await.unwrap(), None);

        let runs = store.lease("q", NOW, None).await.unwrap().expect("it is due");
        assert_eq!((runs.state, runs.attempts, runs.started), (State::Running, 1, Some(NOW)));
        assert_eq!(store.lease("q", Millis::MAX, None).await.unwrap(), None, "nobody else gets it");
        assert_eq!(store.next_due("q").await.unwrap(), None);

        let progress = Progress { done: 40, total: 100, text: "reading".to_owned() };
        store.progress(job.id, None, progress.clone()).await.unwrap().expect("it runs");
        assert_eq!(store.job(job.id).await.progress, Some(progress));

        let outcome = Outcome { exit_code: Some(0), ..Outcome::default() };
        let ended =
            store.finish(job.id, None, Ending::Done, outcome.clone(), NOW + 1, EXPIRES).await.unwrap();
        let ended = ended.expect("it runs");
        assert_eq!((ended.state, ended.finished), (State::Done, Some(NOW + 1)));
        assert_eq!((store.job(job.id).await, ended.outcome.clone()), (ended, Some(outcome.clone())));
        assert_eq!(store.summary().await.unwrap(), []);
        assert_eq!(store.input(job.id).await.unwrap(), Some(input));

        let again = store.finish(job.id, None, Ending::Failed, outcome, NOW, EXPIRES).await.unwrap();
        assert_eq!(again, Err(Refused::Over));
    });
}

#[test]
fn who_was_due_first_goes_first_then_who_came_first() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let mut ids = Vec::new();
        for due in [30, 10, 10, 20] {
            ids.push(store.accept("q", due).await);
        }
        assert_eq!(store.next_due("q").await.unwrap(), Some(10));
        for at in [1, 2, 3, 0] {
            assert_eq!(store.lease("q", NOW, None).await.unwrap().map(|job| job.id), Some(ids[at]));
        }
    });
}

#[test]
fn a_full_queue_takes_nothing_but_others_and_retries_do() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        store.accept("q", 1).await;
        assert_eq!(store.submit(a_job("q", 1), None, None, 1).await.unwrap(), Submitted::Full);
        assert_eq!(store.ids("q").await.len(), 1, "nothing was added");
        store.accept("other", 1).await;
        let id = store.lease("q", 1, None).await.unwrap().expect("it is due").id;
        assert!(matches!(store.submit(a_job("q", 1), None, None, 1).await.unwrap(), Submitted::Accepted(_)));
        let back = store.retry_at(id, None, 7, None, Again::Failed).await.unwrap().expect("it runs");
        assert_eq!((back.state, back.due, back.attempts), (State::Queued, 7, 1));
        assert_eq!(store.summary().await.unwrap().len(), 2);
        assert_eq!(store.summary().await.unwrap()[1].queued, 2);
    });
}

#[test]
fn an_idempotency_key_is_one_job() {
    let directory = Directory::new();
    let store = directory.open();
    let key = |name: &str, print: u8| Some((name.to_owned(), [print; 32]));
    run(async {
        let Submitted::Accepted(first) = store.submit(a_job("q", 1), None, key("k", 1), 1).await.unwrap()
        else {
            panic!("it is accepted");
        };
        let again = store.submit(a_job("q", 1), None, key("k", 1), 1).await.unwrap();
        assert_eq!(again, Submitted::Before(first.clone()), "also when the queue is full");
        assert_eq!(store.submit(a_job("q", 1), None, key("k", 2), 9).await.unwrap(), Submitted::Differs);
        for (queue, key) in
            [("q", key("other", 1)), ("other", key("k", 1)), ("q", key("", 1)), ("q", key("", 1))]
        {
            let submitted = store.submit(a_job(queue, 1), None, key, 9).await.unwrap();
            assert!(matches!(submitted, Submitted::Accepted(_)), "{submitted:?}");
        }
        // It goes on as long as its job is kept, and no longer.
        store.cancel(first.id, NOW, EXPIRES).await.unwrap().expect("it waits");
        assert!(matches!(
            store.submit(a_job("q", 1), None, key("k", 1), 9).await.unwrap(),
            Submitted::Before(_)
        ));
        assert_eq!(store.purge(EXPIRES, 10).await.unwrap(), [first.id]);
        assert!(matches!(
            store.submit(a_job("q", 1), None, key("k", 1), 9).await.unwrap(),
            Submitted::Accepted(_)
        ));
    });
}

#[test]
fn a_lease_that_runs_out_goes_to_the_next() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let id = store.accept("q", 1).await;
        store.lease("q", 1, Some(a_lease("one", 50))).await.unwrap().expect("it is due");
        assert_eq!(store.next_due("q").await.unwrap(), Some(50));
        for token in [None, Some("other")] {
            let refused = store.progress(id, token, Progress::default()).await.unwrap();
            assert_eq!(refused, Err(Refused::NotLeased));
        }
        store.renew(id, "one", 60).await.unwrap().expect("it has it");
        assert_eq!(store.lease("q", 59, None).await.unwrap(), None);
        // Over, but nobody else has it yet.
        store.progress(id, Some("one"), Progress::default()).await.unwrap().expect("it has it");
        store.renew(id, "one", 70).await.unwrap().expect("it has it");

        let taken = store.lease("q", 70, Some(a_lease("two", 90))).await.unwrap().expect("it ran out");
        assert_eq!((taken.id, taken.attempts, taken.progress), (id, 2, None));
        assert_eq!(store.renew(id, "one", 99).await.unwrap(), Err(Refused::NotLeased));
        let end = |token| store.finish(id, token, Ending::Done, Outcome::default(), NOW, EXPIRES);
        assert_eq!(end(Some("one")).await.unwrap(), Err(Refused::NotLeased));
        assert_eq!(end(None).await.unwrap(), Err(Refused::NotLeased));
        end(Some("two")).await.unwrap().expect("it has it");
        assert_eq!(end(Some("two")).await.unwrap(), Err(Refused::Over));
        assert_eq!(store.renew(JobId::new(), "one", 1).await.unwrap(), Err(Refused::Unknown));
    });
}

#[test]
fn going_back_counts_attempts_and_interruptions() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let id = store.accept("q", 1).await;
        let failed = Outcome { exit_code: Some(3), ..Outcome::default() };
        let expected = [(Again::Failed, 1, 0), (Again::Interrupted, 2, 1), (Again::Released, 2, 1)];
        for (again, attempts, interruptions) in expected {
            store.lease("q", 1, None).await.unwrap().expect("it is due");
            let outcome = (again == Again::Failed).then(|| failed.clone());
            let job = store.retry_at(id, None, 1, outcome, again).await.unwrap().expect("it runs");
            assert_eq!((job.attempts, job.interruptions), (attempts, interruptions), "{again:?}");
            assert_eq!(job.outcome.as_ref(), Some(&failed), "the last one stays");
        }
        let waits = store.retry_at(id, None, 1, None, Again::Failed).await.unwrap();
        assert_eq!(waits, Err(Refused::NotLeased));
    });
}

#[test]
fn cancelling() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let id = store.accept("q", 1).await;
        let Ok(Cancel::Cancelled(job)) = store.cancel(id, NOW, EXPIRES).await.unwrap() else {
            panic!("it waits");
        };
        assert_eq!((job.state, job.finished), (State::Cancelled, Some(NOW)));
        assert_eq!(store.cancel(id, NOW, EXPIRES).await.unwrap(), Err(Refused::Over));
        assert_eq!(store.cancel(JobId::new(), NOW, EXPIRES).await.unwrap(), Err(Refused::Unknown));

        let id = store.accept("q", 1).await;
        store.lease("q", 1, None).await.unwrap().expect("it is due");
        assert!(matches!(store.cancel(id, NOW, EXPIRES).await.unwrap(), Ok(Cancel::Running(_))));
        assert_eq!(store.state(id).await, Some(State::Running), "the caller ends it");
        store.finish(id, None, Ending::Cancelled, Outcome::default(), NOW, EXPIRES).await.unwrap().unwrap();

        let id = store.accept("q", 1).await;
        store.lease("q", 1, Some(a_lease("t", 50))).await.unwrap().expect("it is due");
        assert!(matches!(store.cancel(id, NOW, EXPIRES).await.unwrap(), Ok(Cancel::Cancelled(_))));
        assert_eq!(store.renew(id, "t", 99).await.unwrap(), Err(Refused::Over));
        assert_eq!(store.summary().await.unwrap(), []);
    });
}

#[test]
fn what_is_over_is_forgotten_in_its_order_and_in_portions() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let mut ids = Vec::new();
        for expires in [30, 10, 20, 99] {
            let input = Some(Bytes::from_static(b"x"));
            let Submitted::Accepted(job) = store.submit(a_job("q", 1), input, None, 9).await.unwrap() else {
                panic!("it is accepted");
            };
            store.cancel(job.id, NOW, expires).await.unwrap().expect("it waits");
            ids.push(job.id);
        }
        assert_eq!(store.purge(9, 10).await.unwrap(), []);
        assert_eq!(store.purge(30, 2).await.unwrap(), [ids[1], ids[2]]);
        assert_eq!(store.purge(30, 2).await.unwrap(), [ids[0]]);
        assert_eq!((store.state(ids[0]).await, store.input(ids[0]).await.unwrap()), (None, None));
        assert_eq!(store.ids("q").await, [ids[3]]);
    });
}

#[test]
fn lists_are_newest_first_and_go_on() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.insert(0, store.accept("q", 1).await);
            store.accept("other", 1).await;
        }
        let page = async |before| {
            let jobs = store.list("q", before, 2).await.expect("it works");
            jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
        };
        assert_eq!(page(None).await, ids[..2]);
        assert_eq!(page(Some(ids[1])).await, ids[2..4]);
        assert_eq!(page(Some(ids[3])).await, ids[4..]);
        assert_eq!(page(Some(ids[4])).await, []);
    });
}

#[test]
fn after_a_restart_what_ran_waits_again_but_not_after_a_close() {
    let directory = Directory::new();
    let store = directory.open();
    run(async {
        let (here, leased) = (store.accept("q", 1).await, store.accept("q", 2).await);
        store.lease("q", 1, None).await.unwrap().expect("it is due");
        store.lease("q", 2, Some(a_lease("t", Millis::MAX))).await.unwrap().expect("it is due");
        let killed = directory.as_after_kill();
        store.close().await;
        assert_eq!(store.state(here).await, Some(State::Running), "the same process");
        store.close().await;

        for directory in [&directory, &killed] {
            let before = now();
            let next = directory.open();
            let job = next.job(here).await;
            assert_eq!((job.state, job.attempts, job.interruptions), (State::Queued, 1, 1));
            assert!((before..=now()).contains(&job.due), "{}", job.due);
            assert_eq!(next.job(leased).await.lease, Some(a_lease("t", Millis::MAX)));
            let summary = next.summary().await.unwrap();
            assert_eq!((summary[0].queued, summary[0].running, summary[0].next_due), (1, 1, Some(job.due)));
            next.close().await;
        }
    });
}

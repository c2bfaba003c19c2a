//! The store beside a model that keeps jobs in a list and looks through all of them each time.

use bytes::Bytes;
use proptest::option;
use proptest::prelude::*;
use redb::{ReadableDatabase, ReadableTable};

use super::*;
use crate::store::record::Record;
use crate::store::tables::{DUE, INPUTS, OF_QUEUE, RECORDS, UNFINISHED};

const QUEUES: [&str; 2] = ["a", "b"];

/// Which token is shown.
#[derive(Clone, Copy, Debug)]
enum Shown {
    Right,
    None,
    Wrong,
}

#[derive(Clone, Debug)]
enum Step {
    Submit { queue: usize, due: Millis, key: Option<u8>, print: u8, most: u64, input: bool },
    Lease { queue: usize, now: Millis, until: Option<Millis> },
    Renew { at: usize, shown: Shown, until: Millis },
    Progress { at: usize, shown: Shown, done: u64 },
    Finish { at: usize, shown: Shown, ending: Ending, now: Millis, expires: Millis },
    Retry { at: usize, shown: Shown, due: Millis, again: Again, code: Option<i32> },
    Cancel { at: usize, now: Millis, expires: Millis },
    Purge { now: Millis, limit: usize },
    Close,
    Restart,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let (queue, at, time) = (0..2_usize, any::<usize>(), 0..40_u64);
    let shown = || prop_oneof![4 => Just(Shown::Right), 1 => Just(Shown::None), 1 => Just(Shown::Wrong)];
    let ending = prop_oneof![Just(Ending::Done), Just(Ending::Failed), Just(Ending::Cancelled)];
    let again = prop_oneof![Just(Again::Failed), Just(Again::Interrupted), Just(Again::Released)];
    let late = prop_oneof![8 => 0..40_u64, 1 => Just(Millis::MAX)];
    prop_oneof![
        6 => (queue.clone(), time.clone(), option::of(0..3_u8), 0..2_u8, 1..6_u64, any::<bool>())
            .prop_map(|(queue, due, key, print, most, input)|
                Step::Submit { queue, due, key, print, most, input }),
        6 => (queue, late, option::of(time.clone()))
            .prop_map(|(queue, now, until)| Step::Lease { queue, now, until }),
        2 => (at, shown(), time.clone())
            .prop_map(|(at, shown, until)| Step::Renew { at, shown, until }),
        1 => (at, shown(), any::<u64>())
            .prop_map(|(at, shown, done)| Step::Progress { at, shown, done }),
        3 => (at, shown(), ending, time.clone(), time.clone())
            .prop_map(|(at, shown, ending, now, expires)| Step::Finish { at, shown, ending, now, expires }),
        3 => (at, shown(), time.clone(), again, any::<Option<i32>>())
            .prop_map(|(at, shown, due, again, code)| Step::Retry { at, shown, due, again, code }),
        2 => (at, time.clone(), time.clone())
            .prop_map(|(at, now, expires)| Step::Cancel { at, now, expires }),
        1 => (time, 0..4_usize).prop_map(|(now, limit)| Step::Purge { now, limit }),
        1 => Just(Step::Close),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
    ]
}

/// One job of the model.
#[derive(Clone, Debug)]
struct Kept {
    job: Job,
    key: Option<(u8, u8)>,
    input: Option<Bytes>,
    expires: Millis,
}

#[derive(Default)]
struct Model {
    /// By their time of coming.
    jobs: Vec<Kept>,
    tokens: usize,
}

impl Model {
    fn queued(&self, queue: &str) -> usize {
        let waits = |kept: &&Kept| kept.job.queue == queue && kept.job.state == State::Queued;
        self.jobs.iter().filter(waits).count()
    }

    fn next(&mut self, queue: &str, now: Millis) -> Option<&mut Job> {
        let jobs = self.jobs.iter_mut().map(|kept| &mut kept.job).filter(|job| job.queue == queue);
        let due = jobs.filter_map(|job| Some((leasable(job)?, job)));
        let first = due.filter(|(due, _)| *due <= now).min_by_key(|(due, job)| (*due, job.id));
        first.map(|(_, job)| job)
    }

    fn next_due(&self, queue: &str) -> Option<Millis> {
        self.jobs.iter().filter(|kept| kept.job.queue == queue).filter_map(|kept| leasable(&kept.job)).min()
    }

    /// The job that is meant, and the token that is shown for it.
    fn meant(&self, at: usize, shown: Shown) -> (JobId, Option<String>) {
        let Some(kept) = self.jobs.get(at % (self.jobs.len() + 1)) else { return (JobId::new(), None) };
        let token = match shown {
            Shown::Right => kept.job.lease.as_ref().map(|lease| lease.token.clone()),
            Shown::None => None,
            Shown::Wrong => Some("wrong".to_owned()),
        };
        (kept.job.id, token)
    }

    fn held(&mut self, id: JobId, token: Option<&str>) -> Result<&mut Kept, Refused> {
        let kept = self.jobs.iter_mut().find(|kept| kept.job.id == id).ok_or(Refused::Unknown)?;
        let has = kept.job.lease.as_ref().map(|lease| lease.token.as_str());
        match kept.job.state {
            State::Running if has == token => Ok(kept),
            State::Running | State::Queued => Err(Refused::NotLeased),
            _ => Err(Refused::Over),
        }
    }

    fn change(
        &mut self,
        id: JobId,
        token: Option<&str>,
        change: impl FnOnce(&mut Kept),
    ) -> Result<Job, Refused> {
        let kept = self.held(id, token)?;
        change(kept);
        Ok(kept.job.clone())
    }
}

fn leasable(job: &Job) -> Option<Millis> {
    match job.state {
        State::Queued => Some(job.due),
        State::Running => job.lease.as_ref().map(|lease| lease.until),
        _ => None,
    }
}

fn end(kept: &mut Kept, ending: Ending, now: Millis, expires: Millis) {
    kept.job.state = ending.into();
    kept.job.finished = Some(now);
    kept.job.lease = None;
    kept.expires = expires;
}

/// Store and model, side by side.
struct Pair {
    directory: Directory,
    store: JobStore,
    model: Model,
}

impl Pair {
    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Submit { queue, due, key, print, most, input } => {
                self.submit(QUEUES[queue], due, key.map(|key| (key, print)), most, input).await;
            }
            Step::Lease { queue, now, until } => self.lease(QUEUES[queue], now, until).await,
            Step::Cancel { at, now, expires } => self.cancel(at, now, expires).await,
            Step::Purge { now, limit } => {
                let purged = self.store.purge(now, limit).await.unwrap();
                let mut over: Vec<_> = self.model.jobs.iter().collect();
                over.retain(|kept| kept.job.state.is_over() && kept.expires <= now);
                over.sort_by_key(|kept| (kept.expires, kept.job.id));
                let over: Vec<_> = over.iter().map(|kept| kept.job.id).take(limit).collect();
                self.model.jobs.retain(|kept| !over.contains(&kept.job.id));
                assert_eq!(purged, over);
            }
            Step::Close => self.store.close().await,
            Step::Restart => {
                self.store.close().await;
                self.store = self.directory.open();
                self.interrupt().await;
            }
            Step::Kill => {
                self.summary().await; // a file is there
                let after = self.directory.as_after_kill();
                self.store = after.open();
                self.directory = after;
                self.interrupt().await;
            }
            ref held => self.held(held).await,
        }
    }

    async fn submit(&mut self, queue: &str, due: Millis, key: Option<(u8, u8)>, most: u64, input: bool) {
        let new = a_job(queue, due);
        let input = input.then(|| Bytes::from(vec![7; 300]));
        let before = self.model.jobs.iter().find(|kept| {
            kept.job.queue == queue
                && key.is_some()
                && kept.key.map(|(key, _)| key) == key.map(|(key, _)| key)
        });
        let expected = match before {
            Some(before) if before.key == key => Submitted::Before(before.job.clone()),
            Some(_) => Submitted::Differs,
            None if self.model.queued(queue) as u64 >= most => Submitted::Full,
            None => {
                let job = Job::accepted(new.clone());
                self.model.jobs.push(Kept { job: job.clone(), key, input: input.clone(), expires: 0 });
                Submitted::Accepted(job)
            }
        };
        let key = key.map(|(key, print)| (format!("key {key}"), [print; 32]));
        assert_eq!(self.store.submit(new, input, key, most).await.unwrap(), expected);
    }

    async fn lease(&mut self, queue: &str, now: Millis, until: Option<Millis>) {
        self.model.tokens += 1;
        let lease = until.map(|until| a_lease(&format!("t{}", self.model.tokens), until));
        let expected = self.model.next(queue, now).map(|job| {
            job.state = State::Running;
            job.attempts += 1;
            job.started = Some(now);
            job.progress = None;
            job.lease = lease.clone();
            job.clone()
        });
        assert_eq!(self.store.lease(queue, now, lease).await.unwrap(), expected);
    }

    async fn cancel(&mut self, at: usize, now: Millis, expires: Millis) {
        let (id, _) = self.model.meant(at, Shown::None);
        let kept = self.model.jobs.iter_mut().find(|kept| kept.job.id == id);
        let expected = match kept {
            None => Err(Refused::Unknown),
            Some(kept) if kept.job.state.is_over() => Err(Refused::Over),
            Some(kept) if kept.job.state == State::Running && kept.job.lease.is_none() => {
                Ok(Cancel::Running(kept.job.clone()))
            }
            Some(kept) => {
                end(kept, Ending::Cancelled, now, expires);
                Ok(Cancel::Cancelled(kept.job.clone()))
            }
        };
        assert_eq!(self.store.cancel(id, now, expires).await.unwrap(), expected);
    }

    /// A step of who has the job, or says so.
    async fn held(&mut self, step: &Step) {
        let (Step::Renew { at, shown, .. }
        | Step::Progress { at, shown, .. }
        | Step::Finish { at, shown, .. }
        | Step::Retry { at, shown, .. }) = *step
        else {
            return;
        };
        let (id, token) = self.model.meant(at, shown);
        let token = token.as_deref();
        let (store, model) = (&self.store, &mut self.model);
        let (made, expected) = match *step {
            Step::Renew { until, .. } => {
                let token = token.unwrap_or("none");
                let expected = model.change(id, Some(token), |kept| {
                    kept.job.lease = kept.job.lease.take().map(|lease| Lease { until, ..lease });
                });
                (store.renew(id, token, until).await, expected)
            }
            Step::Progress { done, .. } => {
                let progress = Progress { done, total: 9, text: "at it".to_owned() };
                let expected = model.change(id, token, |kept| kept.job.progress = Some(progress.clone()));
                (store.progress(id, token, progress).await, expected)
            }
            Step::Finish { ending, now, expires, .. } => {
                let outcome = Outcome { exit_code: Some(1), ..Outcome::default() };
                let expected = model.change(id, token, |kept| {
                    kept.job.outcome = Some(outcome.clone());
                    end(kept, ending, now, expires);
                });
                (store.finish(id, token, ending, outcome, now, expires).await, expected)
            }
            Step::Retry { due, again, code, .. } => {
                let outcome = code.map(|code| Outcome { exit_code: Some(code), ..Outcome::default() });
                let expected = model.change(id, token, |kept| {
                    kept.job.outcome = outcome.clone().or(kept.job.outcome.take());
                    kept.job.state = State::Queued;
                    kept.job.due = due;
                    kept.job.lease = None;
                    kept.job.interruptions += u32::from(again == Again::Interrupted);
                    kept.job.attempts -= u32::from(again == Again::Released);
                });
                (store.retry_at(id, token, due, outcome, again).await, expected)
            }
            _ => return,
        };
        assert_eq!(made.unwrap(), expected, "{step:?}");
    }

    /// What a new process does with what the old one had.
    async fn interrupt(&mut self) {
        for kept in &mut self.model.jobs {
            if kept.job.state == State::Running && kept.job.lease.is_none() {
                kept.job.state = State::Queued;
                kept.job.interruptions += 1;
                kept.job.due = self.store.job(kept.job.id).await.due; // the real time
            }
        }
    }

    async fn summary(&self) -> Vec<QueueSummary> {
        self.store.summary().await.expect("it works")
    }

    /// All that can be asked gives the same answer.
    async fn compare(&self) {
        for queue in QUEUES {
            let mut expected: Vec<_> =
                self.model.jobs.iter().map(|kept| kept.job.clone().in_brief()).collect();
            expected.retain(|job| job.queue == queue);
            expected.reverse();
            assert_eq!(self.store.list(queue, None, 999).await.unwrap(), expected);
            assert_eq!(self.store.next_due(queue).await.unwrap(), self.model.next_due(queue));
        }
        for Kept { job, input, .. } in &self.model.jobs {
            assert_eq!(self.store.get(job.id).await.unwrap().as_ref(), Some(job));
            assert_eq!(self.store.input(job.id).await.unwrap(), *input);
        }
        let unfinished = QUEUES.iter().map(|queue| {
            let running = self
                .model
                .jobs
                .iter()
                .filter(|kept| kept.job.queue == *queue && kept.job.state == State::Running);
            QueueSummary {
                queue: (*queue).to_owned(),
                queued: self.model.queued(queue) as u64,
                running: running.count() as u64,
                next_due: self.model.next_due(queue),
            }
        });
        let expected: Vec<_> = unfinished.filter(|summary| summary.queued + summary.running > 0).collect();
        assert_eq!(self.summary().await, expected);
    }
}

/// No table has a row too many or too few for the records there are.
fn check_tables(path: &Path, inputs: usize) {
    let database = redb::Database::open(path).expect("it opens");
    let transaction = database.begin_read().expect("it can be read");
    let records = transaction.open_table(RECORDS).expect("it is there");
    let (mut due, mut unfinished, mut of_queue) = (0, 0, 0);
    for row in records.iter().expect("it can be read") {
        let (id, bytes) = row.expect("it can be read");
        let job = Record::parse(JobId::of_number(id.value()), bytes.value()).expect("it can be read").job;
        of_queue += 1;
        due += u64::from(leasable(&job).is_some());
        unfinished += u64::from(!job.state.is_over());
    }
    use redb::ReadableTableMetadata;
    assert_eq!(transaction.open_table(DUE).unwrap().len().unwrap(), due);
    assert_eq!(transaction.open_table(UNFINISHED).unwrap().len().unwrap(), unfinished);
    assert_eq!(transaction.open_table(OF_QUEUE).unwrap().len().unwrap(), of_queue);
    assert_eq!(transaction.open_table(INPUTS).unwrap().len().unwrap(), inputs as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_store_does_as_the_model_does(steps in proptest::collection::vec(step(), 1..60)) {
        let directory = Directory::new();
        let mut pair = Pair { store: directory.open(), directory, model: Model::default() };
        run(async {
            for (number, step) in steps.iter().enumerate() {
                pair.step(step).await;
                if number % 8 == 0 {
                    pair.compare().await;
                }
            }
            pair.compare().await;
            pair.store.close().await;
            let inputs = pair.model.jobs.iter().filter(|kept| kept.input.is_some()).count();
            check_tables(&pair.directory.file(), inputs);
        });
    }
}

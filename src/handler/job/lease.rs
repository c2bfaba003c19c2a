//! Outside workers: the next job by lease, and what they tell of it.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep_until};

use super::document::{document, location};
use super::status::json as answer;
use super::{Plan, store_failed};
use crate::guard::Waits;
use crate::handler::call::{self, Call, Instead};
use crate::handler::{Body, RequestBody};
use crate::job::{Queue, Work};
use crate::schema::duration;
use crate::server::Exchange;
use crate::store::{
    Again, Ending, Job, JobId, Lease, Millis, Outcome, Progress, Refused, StoreError, after, now, random,
};

/// No worker waits for longer, nor for as long as an answer may take: 204 is to come before a 504 does.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);
const SOONER: Duration = Duration::from_millis(50);
/// Nor has a job for longer without asking again.
const LONGEST_LEASE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The largest result, in bytes.
const LARGEST: usize = 1 << 20;

/// The largest input that stands in the lease's own answer, in bytes.
const INPUT: u64 = 64 * 1024;

/// So long a worker that has just come is held for: one that was told goodbye and asks again at once would otherwise be told
/// so again and again before dormouse is asleep.
const SETTLED: Duration = Duration::from_secs(1);

/// What a worker waits for.
enum Turn {
    /// Somebody says that there may be one, or it is time to look.
    Look,
    /// There is none, and the worker has waited long enough; or dormouse is about to leave.
    Nothing { leaves: bool },
}

impl Plan {
    /// `POST PATH/lease`.
    pub(super) async fn lease(&self, queue: &Arc<Queue>, call: &Call) -> Response<Body> {
        // A worker that asks is no use; one that gets something is.
        let policy = call.exchange.policy();
        call.exchange.keeps_awake(false);
        let Work::Outside { lease } = self.settings.work else {
            return call.page(StatusCode::NOT_FOUND, None);
        };
        let (wait, length) = match (length(call, "wait"), length(call, "for")) {
            (Ok(wait), Ok(length)) => (wait.unwrap_or_default(), length.unwrap_or(lease)),
            (Err(why), _) | (_, Err(why)) => return call.explained(StatusCode::BAD_REQUEST, &why),
        };
        let (settled, until) = (Instant::now() + SETTLED, Instant::now() + wait.min(self.longest_wait));
        let mut has_waited = false;
        loop {
            let mut told = std::pin::pin!(queue.changed.notified());
            told.as_mut().enable();
            match self.next(queue, call, length.min(LONGEST_LEASE)).await {
                Ok(Some(job)) if has_waited && call.exchange.is_gone() => {
                    self.give_back(queue, &job).await;
                    return nothing(false);
                }
                Ok(Some(job)) => {
                    call.exchange.keeps_awake(policy);
                    queue.jobs.told(job.id);
                    return self.leased(queue, call, &job).await;
                }
                Ok(None) => {}
                Err(error) => return store_failed(call, &error),
            }
            let next = match queue.jobs.store.next_due(&queue.name).await {
                Ok(next) => next,
                Err(error) => return store_failed(call, &error),
            };
            let event = event(&call.exchange, told, next, until);
            if let Turn::Nothing { leaves } = wait_for(&call.exchange, event, settled).await {
                return nothing(leaves);
            }
            has_waited = true;
        }
    }

    /// The worker has left in the very moment when a job came: the next one has it at once, not when its lease is over.
    async fn give_back(&self, queue: &Queue, job: &Job) {
        let token = job.lease.as_ref().map(|lease| lease.token.as_str());
        let given_back = queue.jobs.store.retry_at(job.id, token, job.due, None, Again::Released).await;
        if let Err(error) = given_back {
            tracing::warn!("job {} waits until its lease is over: {}", job.id, crate::log::chain(&error));
        }
        queue.changed.notify_waiters();
    }

    async fn next(&self, queue: &Queue, call: &Call, length: Duration) -> Result<Option<Job>, StoreError> {
        let worker = call.query("worker").filter(|worker| worker.len() <= 256);
        let lease = Lease { token: token(), until: after(now(), length), worker };
        queue.jobs.store.lease(&queue.name, now(), Some(lease)).await
    }

    /// The answer for a worker that has got a job.
    async fn leased(&self, queue: &Queue, call: &Call, job: &Job) -> Response<Body> {
        let base = call.base();
        let mut document = document(job, &base);
        let token = job.lease.as_ref().map(|lease| lease.token.clone()).unwrap_or_default();
        document["lease"] = token.into();
        if !job.input.is_file && job.input.size <= INPUT {
            match queue.jobs.store.input(job.id).await {
                Ok(bytes) => {
                    let bytes = bytes.unwrap_or_default();
                    // What is no text is at its own address.
                    if let Ok(text) = std::str::from_utf8(&bytes) {
                        document["input"]["text"] = text.into();
                    }
                }
                Err(error) => return store_failed(call, &error),
            }
        }
        let mut response = answer(&document, StatusCode::OK);
        if let Ok(at) = HeaderValue::from_str(&location(&base, job)) {
            response.headers_mut().insert(hyper::header::CONTENT_LOCATION, at);
        }
        response
    }

    /// `POST PATH/ID/done`, `fail`, `progress`, `renew`.
    pub(super) async fn told(
        &self,
        queue: &Arc<Queue>,
        call: &Call,
        id: JobId,
        what: &str,
        body: RequestBody,
    ) -> Response<Body> {
        if let Err(page) = self.find(queue, call, id).await {
            return *page;
        }
        let Some(token) = call.query("lease") else {
            return call
                .explained(StatusCode::BAD_REQUEST, "lease= is missing: the lease that came with the job");
        };
        let text = match read(call, body).await {
            Ok(text) => text,
            Err(page) => return *page,
        };
        let changed = match what {
            "done" => {
                self.over(queue, id, &token, Ending::Done, Outcome { result: text, ..Outcome::default() })
                    .await
            }
            "fail" => self.failed_by(queue, id, &token, text).await,
            "progress" => match progress(call, text.as_deref()) {
                Some(progress) => queue.jobs.store.progress(id, Some(&token), progress).await,
                None => {
                    let why = "done= and total= are whole numbers, total above zero and done not above it";
                    return call.explained(StatusCode::BAD_REQUEST, why);
                }
            },
            _ => {
                let Work::Outside { lease } = self.settings.work else {
                    return call.page(StatusCode::NOT_FOUND, None);
                };
                match length(call, "for") {
                    Ok(length) => {
                        let length = length.unwrap_or(lease).min(LONGEST_LEASE);
                        queue.jobs.store.renew(id, &token, after(now(), length)).await
                    }
                    Err(why) => return call.explained(StatusCode::BAD_REQUEST, &why),
                }
            }
        };
        match changed {
            Ok(Ok(job)) => {
                queue.jobs.told(id);
                queue.changed.notify_waiters();
                answer(&document(&job, &call.base()), StatusCode::OK)
            }
            Ok(Err(Refused::Unknown)) => call.page(StatusCode::NOT_FOUND, None),
            Ok(Err(refused)) => call.explained(StatusCode::CONFLICT, &refused.to_string()),
            Err(error) => store_failed(call, &error),
        }
    }

    async fn over(
        &self,
        queue: &Queue,
        id: JobId,
        token: &str,
        ending: Ending,
        outcome: Outcome,
    ) -> Result<Result<Job, Refused>, StoreError> {
        let expires = after(now(), self.settings.keep);
        queue.jobs.store.finish(id, Some(token), ending, outcome, now(), expires).await
    }

    async fn failed_by(
        &self,
        queue: &Queue,
        id: JobId,
        token: &str,
        why: Option<String>,
    ) -> Result<Result<Job, Refused>, StoreError> {
        let outcome = Outcome { error: why, ..Outcome::default() };
        let attempts = queue.jobs.store.get(id).await?.map_or(0, |job| job.attempts);
        match self.settings.wait_after(attempts) {
            Some(wait) => {
                queue
                    .jobs
                    .store
                    .retry_at(id, Some(token), after(now(), wait), Some(outcome), Again::Failed)
                    .await
            }
            None => self.over(queue, id, token, Ending::Failed, outcome).await,
        }
    }
}

/// Waits for what comes first.
async fn event(
    exchange: &Exchange,
    told: Pin<&mut Notified<'_>>,
    next: Option<Millis>,
    until: Instant,
) -> Turn {
    tokio::select! {
        () = told => Turn::Look,
        () = until_due(next) => Turn::Look,
        () = sleep_until(until) => Turn::Nothing { leaves: false },
        () = exchange.draining() => Turn::Nothing { leaves: true },
        () = exchange.gone() => Turn::Nothing { leaves: false },
    }
}

/// How long a worker may wait for a job, by what its route says of answers.
pub(super) fn longest_wait(waits: Waits) -> Duration {
    let answers = [waits.request, waits.total].into_iter().flatten().map(|wait| wait.saturating_sub(SOONER));
    answers.chain([LONGEST_WAIT]).min().unwrap_or_default()
}

/// Waits for an event, and does not keep dormouse awake for it.
async fn wait_for(exchange: &Exchange, event: impl Future<Output = Turn>, settled: Instant) -> Turn {
    let mut event = pin!(event);
    tokio::select! {
        turn = &mut event => return turn,
        () = sleep_until(settled) => {}
    }
    let quiet = exchange.wait_quietly();
    match event.await {
        // A process that has committed to leave gives nothing away.
        Turn::Look if !quiet.end() => Turn::Nothing { leaves: true },
        turn => turn,
    }
}

/// There is no job. A worker that is told so because dormouse leaves would only start it again.
fn nothing(leaves: bool) -> Response<Body> {
    let mut response = call::nothing();
    if leaves {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    response
}

/// A length of time in the query.
fn length(call: &Call, name: &str) -> Result<Option<Duration>, String> {
    let Some(text) = call.query(name) else { return Ok(None) };
    duration::parse(&text).map(Some).map_err(|error| format!("{name}= is a duration such as 30s: {error}"))
}

async fn until_due(due: Option<Millis>) {
    match due {
        Some(due) => tokio::time::sleep(Duration::from_millis(due.saturating_sub(now()))).await,
        None => std::future::pending().await,
    }
}

/// Nobody can guess it.
fn token() -> String {
    random().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a worker tells, in words; `None` if it says nothing.
async fn read(call: &Call, body: RequestBody) -> Result<Option<String>, Instead> {
    let read = Limited::new(body, LARGEST).collect().await;
    let bytes = read.map_err(|_| call.page(StatusCode::PAYLOAD_TOO_LARGE, None))?.to_bytes();
    match String::from_utf8(bytes.into()) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(call.explained(StatusCode::BAD_REQUEST, "the body is no text (UTF-8)").into()),
    }
}

/// How far it has come: by the query, or as a program would say it.
fn progress(call: &Call, text: Option<&str>) -> Option<Progress> {
    if let Some(text) = text {
        return crate::job::progress::parse(format!("progress {text}").as_bytes());
    }
    let (done, total) = (call.query("done")?, call.query("total")?);
    let text = call.query("text").unwrap_or_default();
    crate::job::progress::parse(format!("progress {done}/{total} {text}").as_bytes())
}

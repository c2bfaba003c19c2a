//! One job: how it stands, what it reads and has printed, and its end before its time.

use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde_json::Value;

use super::document::document;
use super::{Plan, page, store_failed};
use crate::handler::Body;
use crate::handler::accept::Format;
use crate::handler::call::{Call, Instead};
use crate::handler::files::whole_file;
use crate::job::{Queue, Reader, progress};
use crate::process::Source;
use crate::store::{Cancel, Ending, Job, JobId, Outcome, Refused, now};

/// How much of its output is part of how a job stands: the end, in bytes.
const OUTPUT: usize = 64 * 1024;

impl Plan {
    /// The job, if it is one of this queue.
    pub(super) async fn find(&self, queue: &Queue, call: &Call, id: JobId) -> Result<Job, Instead> {
        match queue.jobs.get(id).await {
            Ok(Some(job)) if job.queue == queue.name => Ok(job),
            Ok(_) => Err(call.page(StatusCode::NOT_FOUND, None).into()),
            Err(error) => Err(store_failed(call, &error).into()),
        }
    }

    /// `GET PATH/ID`.
    pub(super) async fn status(&self, queue: &Arc<Queue>, call: &Call, id: JobId) -> Response<Body> {
        match self.find(queue, call, id).await {
            Ok(job) => self.answer_with(queue, call, &job, StatusCode::OK).await,
            Err(page) => *page,
        }
    }

    /// How a job stands, in the form its client likes: a page for browsers, else JSON.
    pub(super) async fn answer_with(
        &self,
        queue: &Queue,
        call: &Call,
        job: &Job,
        status: StatusCode,
    ) -> Response<Body> {
        let base = call.base();
        if call.format() == Format::Html {
            return page::one(job, &base, status);
        }
        let mut document = document(job, &base);
        if self.settings.is_here() {
            document["output"] = self.printed(queue, job.id).await.into();
        }
        json(&document, status)
    }

    /// The end of what it has printed, without what it says of its progress.
    async fn printed(&self, queue: &Queue, id: JobId) -> String {
        let mut reader = Reader::new(queue.jobs.output(id), 0);
        let mut text = String::new();
        while let Ok(lines) = reader.next().await {
            if lines.is_empty() {
                break;
            }
            for kept in lines {
                let is_progress =
                    kept.line.source == Source::Stdout && progress::parse(&kept.line.bytes).is_some();
                if !is_progress {
                    text.push_str(&String::from_utf8_lossy(&kept.line.bytes));
                    text.push('\n');
                }
            }
            if text.len() > 2 * OUTPUT {
                text = end_of(&text).to_owned();
            }
        }
        end_of(&text).to_owned()
    }

    /// `GET PATH/ID/output`.
    pub(super) async fn output(&self, queue: &Queue, call: &Call, id: JobId) -> Response<Body> {
        if let Err(page) = self.find(queue, call, id).await {
            return *page;
        }
        let text = self.printed(queue, id).await;
        let mut response = Response::new(Body::from(text));
        private(&mut response, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }

    /// `GET PATH/ID/input`.
    pub(super) async fn input(&self, queue: &Queue, call: &Call, id: JobId) -> Response<Body> {
        let job = match self.find(queue, call, id).await {
            Ok(job) => job,
            Err(page) => return *page,
        };
        let mut response = if job.input.is_file {
            match whole_file(&queue.jobs.input(id)) {
                Ok(body) => Response::new(body),
                Err(error) => return call.failed("job", &format!("its input cannot be read: {error}")),
            }
        } else {
            match queue.jobs.store.input(id).await {
                Ok(bytes) => Response::new(Body::from(bytes.unwrap_or_default())),
                Err(error) => return store_failed(call, &error),
            }
        };
        let media = job.input.media_type.and_then(|media| HeaderValue::from_str(&media).ok());
        private(&mut response, media.unwrap_or(HeaderValue::from_static("application/octet-stream")));
        // It is whatever somebody has sent: nothing that a browser is to show as a page of ours.
        response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        response
    }

    /// `DELETE PATH/ID`.
    pub(super) async fn cancel(&self, queue: &Arc<Queue>, call: &Call, id: JobId) -> Response<Body> {
        if let Err(page) = self.find(queue, call, id).await {
            return *page;
        }
        let now = now();
        let expires = now.saturating_add(self.settings.keep.as_millis().try_into().unwrap_or(u64::MAX));
        match queue.jobs.store.cancel(id, now, expires).await {
            Ok(Ok(Cancel::Cancelled(_))) => {
                queue.wake(&call.exchange.control()); // it may have been what kept the process awake
                queue.jobs.told(id);
            }
            Ok(Ok(Cancel::Running(_))) => {
                if !queue.jobs.end(id).await {
                    // It has ended in this very moment, or its program was not there yet.
                    let ended = queue.jobs.store.finish(
                        id,
                        None,
                        Ending::Cancelled,
                        Outcome::default(),
                        now,
                        expires,
                    );
                    if let Err(error) = ended.await {
                        return store_failed(call, &error);
                    }
                }
            }
            Ok(Err(Refused::Over)) => {
                return call.explained(StatusCode::CONFLICT, "the job is over, there is nothing to cancel");
            }
            Ok(Err(_)) => return call.page(StatusCode::NOT_FOUND, None),
            Err(error) => return store_failed(call, &error),
        }
        self.status(queue, call, id).await
    }
}

/// The end of a text, from the beginning of a line.
fn end_of(text: &str) -> &str {
    let Some(start) = text.len().checked_sub(OUTPUT) else { return text };
    match memchr::memchr(b'\n', &text.as_bytes()[start..]) {
        Some(at) => &text[start + at + 1..],
        None => "",
    }
}

/// A JSON answer.
pub(super) fn json(document: &Value, status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{document}\n")));
    *response.status_mut() = status;
    private(&mut response, HeaderValue::from_static("application/json"));
    response
}

/// Nothing to be kept by anybody, or taken for something else.
pub(super) fn private(response: &mut Response<Body>, media: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

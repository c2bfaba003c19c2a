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
use crate::handler::channel::Channel;
use crate::handler::files::whole_file;
use crate::job::{Kept, Queue, Reader, progress};
use crate::process::Source;
use crate::store::{Cancel, Job, JobId, Refused, State, StoreError, after, now};

/// How much of its output is part of how a job stands: the end, in bytes.
const OUTPUT: u64 = 64 * 1024;

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
        let mut reader = Reader::of_end(queue.jobs.output(id), OUTPUT).await;
        let (mut text, end) = (Vec::new(), reader.at + OUTPUT);
        // What is added meanwhile is not followed: it may come as fast as it is read.
        while reader.at < end
            && let Ok(lines) = reader.next().await
            && !lines.is_empty()
        {
            lines.iter().for_each(|kept| print(kept, &mut text));
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// `GET PATH/ID/output`: all that is kept of it.
    pub(super) async fn output(&self, queue: &Queue, call: &Call, id: JobId) -> Response<Body> {
        if let Err(page) = self.find(queue, call, id).await {
            return *page;
        }
        let mut reader = Reader::new(queue.jobs.output(id), 0);
        let (to, channel) = Channel::new();
        tokio::spawn(async move {
            while let Ok(lines) = reader.next().await
                && !lines.is_empty()
            {
                let mut text = Vec::new();
                lines.iter().for_each(|kept| print(kept, &mut text));
                if to.send(text.into()).await.is_err() {
                    return; // nobody reads it any more
                }
            }
        });
        let mut response = Response::new(Body::Stream(Box::pin(channel)));
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
        match self.end(queue, call, id).await {
            Ok(Ok(())) => self.status(queue, call, id).await,
            Ok(Err(Refused::Over)) => {
                call.explained(StatusCode::CONFLICT, "the job is over, there is nothing to cancel")
            }
            Ok(Err(_)) => call.page(StatusCode::NOT_FOUND, None),
            Err(error) => store_failed(call, &error),
        }
    }

    /// Ends a job, wherever it is.
    async fn end(
        &self,
        queue: &Arc<Queue>,
        call: &Call,
        id: JobId,
    ) -> Result<Result<(), Refused>, StoreError> {
        let mut was_running = false;
        loop {
            let now = now();
            match queue.jobs.store.cancel(id, now, after(now, self.settings.keep)).await? {
                Ok(Cancel::Cancelled(_)) => {
                    queue.wake(&call.exchange.control()); // it may have been what kept the process awake
                    queue.jobs.told(id);
                    return Ok(Ok(()));
                }
                // By then it is cancelled; or it has ended in this very moment, and may even wait to be tried again.
                Ok(Cancel::Running(_)) => {
                    queue.jobs.end(id).await?;
                    was_running = true;
                }
                Err(Refused::Over) if was_running && is_cancelled(queue, id).await? => return Ok(Ok(())),
                Err(refused) => return Ok(Err(refused)),
            }
        }
    }
}

async fn is_cancelled(queue: &Queue, id: JobId) -> Result<bool, StoreError> {
    Ok(queue.jobs.store.get(id).await?.is_some_and(|job| job.state == State::Cancelled))
}

/// Adds a line, unless it is one that tells of progress.
fn print(kept: &Kept, text: &mut Vec<u8>) {
    if kept.line.source == Source::Stderr || progress::parse(&kept.line.bytes).is_none() {
        text.extend_from_slice(&kept.line.bytes);
        text.push(b'\n');
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

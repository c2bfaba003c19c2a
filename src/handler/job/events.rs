//! `GET PATH/ID/events`: how a job goes, as Server-Sent Events.
//!
//! A line of its stdout is a message, one of its stderr `event: log`, one that tells of progress `event: progress`; each
//! has the place after it in the output as its id, and whoever connects again with `Last-Event-ID` gets what follows.
//! `event: state` says how it stands, at first and whenever that changes, and `event: end` how it ended.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::Response;
use hyper::header::{HeaderValue, X_CONTENT_TYPE_OPTIONS};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Plan;
use super::document::{document, progress as progress_json};
use crate::handler::Body;
use crate::handler::call::{Call, nothing};
use crate::handler::channel::Channel;
use crate::handler::sse::{self, BEAT, Event};
use crate::job::{Kept, Queue, Reader, Watched, progress};
use crate::process::{Line, Source};
use crate::server::Exchange;
use crate::store::{Job, JobId, Progress, State, now};

/// What a client that has seen the end says when it connects again.
const END: &str = "end";

/// When a client is to come again that was told goodbye before dormouse sleeps: not sooner than it is worth it.
const COME_AGAIN: Duration = Duration::from_secs(60);

impl Plan {
    pub(super) async fn events(&self, queue: &Arc<Queue>, call: &Call, id: JobId) -> Response<Body> {
        let job = match self.find(queue, call, id).await {
            Ok(job) => job,
            Err(page) => return *page,
        };
        let last = call.parts.headers.get("last-event-id").and_then(|last| last.to_str().ok());
        if last == Some(END) {
            // It has seen everything; this tells it not to come again (HTML Standard, section 9.2).
            return nothing();
        }
        // A job that runs keeps the process awake itself; one that waits for tomorrow is not to be watched all night.
        call.exchange.keeps_awake(false);
        let (to, channel) = Channel::new();
        let following = Following {
            reader: Reader::new(queue.jobs.output(id), last.and_then(|last| last.parse().ok()).unwrap_or(0)),
            watched: queue.jobs.watch(id),
            queue: queue.clone(),
            exchange: call.exchange.clone(),
            base: call.base(),
            to,
            last: None,
        };
        tokio::spawn(following.follow(job));
        let mut response = sse::answer(Body::Stream(Box::pin(channel)));
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

/// Whoever follows a job.
struct Following {
    reader: Reader,
    watched: Arc<Watched>,
    queue: Arc<Queue>,
    exchange: Exchange,
    base: String,
    to: mpsc::Sender<Bytes>,
    /// The progress that was told last.
    last: Option<Progress>,
}

/// Nobody follows any more, or nothing can be told.
struct Over;

impl Following {
    async fn follow(mut self, job: Job) {
        let _ = self.tell(job).await; // there is nobody to tell that it is over
    }

    async fn tell(&mut self, mut job: Job) -> Result<(), Over> {
        let watched = self.watched.clone();
        let mut said: Option<(State, u32)> = None;
        loop {
            let mut told = std::pin::pin!(watched.changed());
            told.as_mut().enable();
            // Whatever was printed before it ended is there by now.
            job = self.look(&job).await?;
            let stands = (job.state, job.attempts);
            if said != Some(stands) {
                said = Some(stands);
                let text = document(&job, &self.base).to_string();
                self.send(Event { name: Some("state"), data: text.as_bytes(), ..Event::default() }).await?;
            }
            self.lines(&job).await?;
            if job.state.is_over() {
                let text = document(&job, &self.base).to_string();
                let end =
                    Event { name: Some("end"), id: Some(END), data: text.as_bytes(), ..Event::default() };
                return self.send(end).await;
            }
            tokio::select! {
                () = told => {}
                () = sleep(BEAT) => self.write(Bytes::from_static(sse::COMMENT)).await?,
                () = self.exchange.draining() => return self.goodbye(&job).await,
                () = self.to.closed() => return Err(Over),
            }
        }
    }

    async fn look(&self, job: &Job) -> Result<Job, Over> {
        self.queue.jobs.get(job.id).await.ok().flatten().ok_or(Over)
    }

    /// What was printed since.
    async fn lines(&mut self, job: &Job) -> Result<(), Over> {
        loop {
            let lines = self.reader.next().await.map_err(|_| Over)?;
            if lines.is_empty() {
                break;
            }
            let mut out = BytesMut::new();
            lines.iter().for_each(|kept| self.add(kept, &mut out));
            self.write(out.freeze()).await?;
        }
        // What it says when no more of its output is kept is in no line.
        if job.progress.is_some() && job.progress != self.last && self.reader.is_cut {
            self.last.clone_from(&job.progress);
            let text = job.progress.as_ref().map(|progress| progress_json(progress).to_string());
            let data = text.unwrap_or_default();
            self.send(Event { name: Some("progress"), data: data.as_bytes(), ..Event::default() }).await?;
        }
        Ok(())
    }

    fn add(&mut self, kept: &Kept, out: &mut BytesMut) {
        let id = kept.next.to_string();
        let Line { source, bytes } = &kept.line;
        let event = Event { name: sse::name(*source), id: Some(&id), data: bytes, ..Event::default() };
        match progress::parse(bytes).filter(|_| *source == Source::Stdout) {
            Some(progress) => {
                let text = progress_json(&progress).to_string();
                Event { name: Some("progress"), data: text.as_bytes(), ..event }.write(out);
                self.last = Some(progress);
            }
            None => event.write(out),
        }
    }

    /// Dormouse leaves: when it is worth it to come again.
    async fn goodbye(&self, job: &Job) -> Result<(), Over> {
        let wait = if self.exchange.control().is_draining() {
            Duration::from_secs(1)
        } else {
            Duration::from_millis(job.due.saturating_sub(now())).max(COME_AGAIN)
        };
        let retry = u64::try_from(wait.as_millis()).ok();
        let text = document(job, &self.base).to_string();
        self.send(Event { name: Some("state"), retry, data: text.as_bytes(), ..Event::default() }).await
    }

    async fn send(&self, event: Event<'_>) -> Result<(), Over> {
        let mut out = BytesMut::new();
        event.write(&mut out);
        self.write(out.freeze()).await
    }

    async fn write(&self, bytes: Bytes) -> Result<(), Over> {
        self.to.send(bytes).await.map_err(|_| Over)
    }
}

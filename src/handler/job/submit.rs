//! `POST PATH`: a request becomes a job. It is answered when that is on disk.

use std::ffi::OsString;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Response, StatusCode};
use sha2::{Digest, Sha256};

use super::document::location;
use super::{Plan, store_failed};
use crate::command::{Fields, Form};
use crate::guard::no_place;
use crate::handler::call::{Call, Instead, nothing};
use crate::handler::{Body, RequestBody};
use crate::intake::{Input, Intake, Spool, SpoolFile, Taken};
use crate::job::Queue;
use crate::store::{self, JobId, NewJob, Submitted, now};

/// A larger body goes to a file.
const MOST_IN_MEMORY: usize = 32 * 1024;

/// The longest key that a client may choose, in bytes.
const LONGEST_KEY: usize = 256;

/// A key by which a client knows its request again, and what it was about.
type Key = (String, [u8; 32]);

/// Everything of a job that is not on disk yet.
struct Prepared {
    job: NewJob,
    in_memory: Option<Bytes>,
    file: Option<SpoolFile>,
    key: Option<Key>,
}

impl Plan {
    pub(super) async fn submit(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        call: &Arc<Call>,
        body: RequestBody,
    ) -> Response<Body> {
        let prepared = match self.prepare(queue, call, body).await {
            Ok(prepared) => prepared,
            Err(page) => return *page,
        };
        // From here on it does not matter whether the client waits.
        let (plan, queue, call) = (self.clone(), queue.clone(), call.clone());
        let hold = call.exchange.hold();
        let accepting = tokio::spawn({
            let call = call.clone();
            async move {
                let answer = plan.accept(&queue, &call, prepared).await;
                drop(hold);
                answer
            }
        });
        match accepting.await {
            Ok(answer) => answer,
            Err(error) => call.failed("job", &error.to_string()),
        }
    }

    /// Takes the request in, and makes a job of it, if it is to be one.
    async fn prepare(&self, queue: &Queue, call: &Call, body: RequestBody) -> Result<Prepared, Instead> {
        let key = idempotency_key(call)?;
        let id = JobId::new();
        let (taken, fingerprint) = self.take(queue, call, body, id, key.is_some()).await?;
        let (fields, media_type) = self.fields(call, &taken)?;
        let unfit = |unfit| call.unfit(&unfit);
        let command = &self.settings.command;
        if !call.with_values(&fields, |asked| command.is_wanted(asked)).map_err(unfit)? {
            return Err(nothing().into());
        }
        let arguments = call.with_values(&fields, |asked| command.fill(asked)).map_err(unfit)?;
        drop(fields);
        let env = if self.settings.is_here() {
            call.variables(Some(taken.size)).map_err(unfit)?
        } else {
            Vec::new()
        };
        let (in_memory, file) = match taken.input {
            Input::Memory(bytes) => ((!bytes.is_empty()).then_some(bytes), None),
            Input::File(file) => (None, Some(file)),
        };
        let now = now();
        let job = NewJob {
            id,
            queue: queue.name.clone(),
            path: call.base(),
            command: arguments,
            env: env.into_iter().filter_map(text_name).collect(),
            input: store::Input { size: taken.size, media_type, is_file: file.is_some() },
            client: call.client.clone(),
            created: now,
            due: now,
        };
        Ok(Prepared { job, in_memory, file, key: key.map(|key| (key, fingerprint)) })
    }

    /// Takes the body in; whoever it is from is known then, and what it was.
    async fn take(
        &self,
        queue: &Queue,
        call: &Call,
        body: RequestBody,
        id: JobId,
        is_marked: bool,
    ) -> Result<(Taken, [u8; 32]), Instead> {
        let mut checking = call.begin_check(self.verify.as_ref()).await?;
        // A form's bytes are others each time it is sent (its boundary): of one whose file is wanted the parts count.
        let mut digest = (is_marked && self.file.is_none()).then(Sha256::new);
        let id = id.to_string();
        let spool = Spool { folder: &queue.jobs.folder, id: &id };
        let is_read = self.settings.command.wants().any() && self.file.is_none();
        let intake = Intake {
            most_in_memory: if is_read { self.largest_read } else { MOST_IN_MEMORY },
            spool: (!is_read).then_some(spool),
            watch: |bytes: &[u8]| {
                checking.iter_mut().for_each(|checking| checking.update(bytes));
                digest.iter_mut().for_each(|digest| digest.update(bytes));
            },
            field: self.file.as_deref(),
        };
        let taken = intake.take(call.parts.headers.get(CONTENT_TYPE), body).await;
        let taken = taken.map_err(|error| call.not_taken(&error))?;
        if let Some(checking) = checking {
            checking.finish().map_err(|error| call.not_verified(&error))?;
        }
        let mut fingerprint = match digest {
            None if is_marked => {
                digest_of_form(&taken).await.map_err(|error| call.not_taken(&error.into()))?
            }
            digest => digest.unwrap_or_default(),
        };
        fingerprint.update(call.parts.uri.to_string().as_bytes());
        Ok((taken, fingerprint.finalize().into()))
    }

    /// What the body says, and what it is.
    fn fields(&self, call: &Call, taken: &Taken) -> Result<(Fields, Option<String>), Instead> {
        let media = call.parts.headers.get(CONTENT_TYPE);
        if self.file.is_some() {
            return Ok((Fields::Form(form(&taken.form)), taken.media_type.clone()));
        }
        let text = media.and_then(|media| media.to_str().ok()).map(str::to_owned);
        let Input::Memory(bytes) = &taken.input else { return Ok((Fields::None, text)) };
        let fields = Fields::parse(media, bytes, self.settings.command.wants());
        Ok((fields.map_err(|unfit| call.unfit(&unfit))?, text))
    }

    /// Puts a job on disk, and answers.
    async fn accept(&self, queue: &Arc<Queue>, call: &Call, prepared: Prepared) -> Response<Body> {
        let Prepared { job, in_memory, file, key } = prepared;
        let is_file = file.is_some();
        if let Some(file) = file {
            let kept = tokio::task::spawn_blocking(move || file.keep()).await;
            if let Err(error) = kept.map_err(std::io::Error::other).flatten() {
                return call.not_taken(&error.into());
            }
        }
        let id = job.id;
        let submitted = self.put(queue, call, (job, in_memory, key)).await;
        if is_file && !matches!(submitted, Ok(Submitted::Accepted(_))) {
            let path = queue.jobs.input(id);
            let _ = tokio::task::spawn_blocking(move || std::fs::remove_file(path)).await; // or the sweep does
        }
        let job = match submitted {
            Ok(Submitted::Accepted(job) | Submitted::Before(job)) => job,
            Ok(Submitted::Differs) => {
                let why = "this Idempotency-Key was used for another request";
                return call.explained(StatusCode::UNPROCESSABLE_ENTITY, why);
            }
            Ok(Submitted::Full) => {
                let path = &self.settings.path;
                tracing::warn!(route = %path, "job {path:?}: its queue is full (`queue`), a request was refused");
                return call.refuse(no_place());
            }
            Err(page) => return *page,
        };
        let mut answer = self.answer_with(queue, call, &job, StatusCode::ACCEPTED).await;
        if let Ok(at) = HeaderValue::from_str(&location(&call.base(), &job)) {
            answer.headers_mut().insert(LOCATION, at);
        }
        answer
    }

    async fn put(
        &self,
        queue: &Arc<Queue>,
        call: &Call,
        (job, in_memory, key): (NewJob, Option<Bytes>, Option<Key>),
    ) -> Result<Submitted, Instead> {
        // Not as this route says: another config may be in force by now, and the job is done under that.
        let pin = if queue.is_outside() {
            None
        } else {
            Some(queue.jobs.pin().await.map_err(|error| call.not_taken(&error.into()))?)
        };
        let submitted = queue.jobs.store.submit(job, in_memory, key, self.settings.most_queued).await;
        let is_new = matches!(submitted, Ok(Submitted::Accepted(_)));
        if is_new {
            queue.wake(&call.exchange.control());
        }
        match pin {
            Some(pin) if is_new => pin.keep(&queue.name).await,
            Some(pin) => pin.release().await,
            None => {}
        }
        Ok(submitted.map_err(|error| store_failed(call, &error))?)
    }
}

/// What is in a form: the fields, and the file's bytes.
async fn digest_of_form(taken: &Taken) -> std::io::Result<Sha256> {
    let mut digest = Sha256::new();
    let fields = taken.form.iter().flat_map(|(name, value)| [name.as_bytes(), value]);
    for part in fields.chain([taken.media_type.as_deref().unwrap_or_default().as_bytes()]) {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    match &taken.input {
        Input::Memory(bytes) => {
            digest.update(bytes);
            Ok(digest)
        }
        Input::File(file) => {
            let mut file = file.open()?;
            let reading = move || {
                let mut piece = vec![0; 64 * 1024];
                loop {
                    match file.read(&mut piece)? {
                        0 => return Ok(digest),
                        length => digest.update(&piece[..length]),
                    }
                }
            };
            tokio::task::spawn_blocking(reading).await.map_err(std::io::Error::other)?
        }
    }
}

/// The fields beside a file.
fn form(fields: &[(String, Vec<u8>)]) -> Form {
    let fields = fields.iter().map(|(name, value)| (name.clone(), Bytes::copy_from_slice(value)));
    Form { fields: fields.collect(), payload: None }
}

/// A variable whose name is text, as they all are.
fn text_name((name, value): (OsString, OsString)) -> Option<(String, OsString)> {
    Some((name.into_string().ok()?, value))
}

/// The key by which the client would know this request again, if it says one.
fn idempotency_key(call: &Call) -> Result<Option<String>, Instead> {
    let Some(key) = call.parts.headers.get("idempotency-key") else { return Ok(None) };
    match key.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= LONGEST_KEY => Ok(Some(key.to_owned())),
        _ => {
            let why = format!("an Idempotency-Key is text of at most {LONGEST_KEY} characters");
            Err(call.explained(StatusCode::BAD_REQUEST, &why).into())
        }
    }
}

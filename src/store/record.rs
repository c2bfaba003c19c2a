//! A job's bytes in the file: JSON, pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde_json::{Map, Value, json};

use super::JobId;
use super::job::{Input, Job, Lease, Millis, Outcome, Progress, State};

/// The version of records this program writes, and the only one it reads.
pub(super) const VERSION: u64 = 1;

/// What the file has of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub job: Job,
    /// The idempotency key it came with.
    pub key: Option<String>,
    /// When it may be forgotten; only of one that is over.
    pub expires: Option<Millis>,
}

/// Why bytes are no record.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is no JSON ({0})")]
    Json(String),
    #[error("it is of version {0}, and this dormouse reads version {VERSION}")]
    Version(String),
    #[error("its {0:?} is missing or makes no sense")]
    Member(&'static str),
}

impl Record {
    pub fn render(&self) -> Vec<u8> {
        let Job { input, .. } = &self.job;
        let job = &self.job;
        let env = job.env.iter().map(|(name, value)| json!([name, bytes_to_json(value)]));
        let value = json!({
            "version": VERSION,
            "queue": job.queue,
            "path": job.path,
            "command": job.command.iter().map(|word| bytes_to_json(word)).collect::<Value>(),
            "env": env.collect::<Value>(),
            "input": { "size": input.size, "type": input.media_type, "file": input.is_file },
            "client": job.client,
            "state": job.state.name(),
            "created": job.created,
            "started": job.started,
            "finished": job.finished,
            "due": job.due,
            "attempts": job.attempts,
            "interruptions": job.interruptions,
            "progress": job.progress.as_ref().map(progress_to_json),
            "outcome": job.outcome.as_ref().map(outcome_to_json),
            "lease": job.lease.as_ref().map(lease_to_json),
            "key": self.key,
            "expires": self.expires,
        });
        value.to_string().into_bytes()
    }

    /// Reads what [`render`](Self::render) wrote.
    pub fn parse(id: JobId, bytes: &[u8]) -> Result<Self, Unreadable> {
        let value: Value =
            serde_json::from_slice(bytes).map_err(|error| Unreadable::Json(error.to_string()))?;
        let Value::Object(members) = value else {
            return Err(Unreadable::Json("no object".to_owned()));
        };
        let read = Members(&members);
        match read.number("version")? {
            VERSION => {}
            other => return Err(Unreadable::Version(other.to_string())),
        }
        let job = Job {
            id,
            queue: read.text("queue")?,
            path: read.text("path")?,
            command: read.with("command", |value| value.as_array()?.iter().map(bytes_from_json).collect())?,
            env: read.with("env", |value| value.as_array()?.iter().map(variable_from_json).collect())?,
            input: read.with("input", input_from_json)?,
            client: read.text("client")?,
            state: read.with("state", |value| {
                let name = value.as_str()?;
                State::ALL.into_iter().find(|state| state.name() == name)
            })?,
            created: read.number("created")?,
            started: read.optional("started", Value::as_u64)?,
            finished: read.optional("finished", Value::as_u64)?,
            due: read.number("due")?,
            attempts: read.with("attempts", count)?,
            interruptions: read.with("interruptions", count)?,
            progress: read.optional("progress", progress_from_json)?,
            outcome: read.optional("outcome", outcome_from_json)?,
            lease: read.optional("lease", lease_from_json)?,
        };
        let key = read.optional("key", |value| value.as_str().map(str::to_owned))?;
        Ok(Self { job, key, expires: read.optional("expires", Value::as_u64)? })
    }
}

/// The members of an object, each named in the error when it makes no sense.
struct Members<'a>(&'a Map<String, Value>);

impl Members<'_> {
    fn with<T>(&self, name: &'static str, read: impl FnOnce(&Value) -> Option<T>) -> Result<T, Unreadable> {
        self.0.get(name).and_then(read).ok_or(Unreadable::Member(name))
    }

    fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Unreadable> {
        self.with(name, |value| if value.is_null() { Some(None) } else { read(value).map(Some) })
    }

    fn number(&self, name: &'static str) -> Result<u64, Unreadable> {
        self.with(name, Value::as_u64)
    }

    fn text(&self, name: &'static str) -> Result<String, Unreadable> {
        self.with(name, |value| value.as_str().map(str::to_owned))
    }
}

/// Text as such; what is none as its bytes, so that nothing of a command line changes on the way.
fn bytes_to_json(bytes: &OsStr) -> Value {
    bytes.to_str().map_or_else(|| json!({ "bytes": bytes.as_bytes() }), Value::from)
}

fn bytes_from_json(value: &Value) -> Option<OsString> {
    if let Some(text) = value.as_str() {
        return Some(text.into());
    }
    let bytes = value.get("bytes")?.as_array()?.iter();
    bytes.map(|byte| byte.as_u64()?.try_into().ok()).collect::<Option<_>>().map(OsString::from_vec)
}

fn variable_from_json(value: &Value) -> Option<(String, OsString)> {
    Some((value.get(0)?.as_str()?.to_owned(), bytes_from_json(value.get(1)?)?))
}

fn input_from_json(value: &Value) -> Option<Input> {
    Some(Input {
        size: value.get("size")?.as_u64()?,
        media_type: text_from_json(value.get("type")?)?,
        is_file: value.get("file")?.as_bool()?,
    })
}

fn progress_to_json(progress: &Progress) -> Value {
    json!({ "done": progress.done, "total": progress.total, "text": progress.text })
}

fn progress_from_json(value: &Value) -> Option<Progress> {
    Some(Progress {
        done: value.get("done")?.as_u64()?,
        total: value.get("total")?.as_u64()?,
        text: value.get("text")?.as_str()?.to_owned(),
    })
}

fn outcome_to_json(outcome: &Outcome) -> Value {
    json!({
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "error": outcome.error,
        "result": outcome.result,
    })
}

fn outcome_from_json(value: &Value) -> Option<Outcome> {
    Some(Outcome {
        exit_code: number_from_json(value.get("exit_code")?)?,
        signal: number_from_json(value.get("signal")?)?,
        error: text_from_json(value.get("error")?)?,
        result: text_from_json(value.get("result")?)?,
    })
}

fn lease_to_json(lease: &Lease) -> Value {
    json!({ "token": lease.token, "until": lease.until, "worker": lease.worker })
}

fn lease_from_json(value: &Value) -> Option<Lease> {
    Some(Lease {
        token: value.get("token")?.as_str()?.to_owned(),
        until: value.get("until")?.as_u64()?,
        worker: text_from_json(value.get("worker")?)?,
    })
}

/// `Some(None)` for null.
fn text_from_json(value: &Value) -> Option<Option<String>> {
    if value.is_null() { Some(None) } else { value.as_str().map(|text| Some(text.to_owned())) }
}

fn number_from_json(value: &Value) -> Option<Option<i32>> {
    if value.is_null() { Some(None) } else { value.as_i64()?.try_into().ok().map(Some) }
}

fn count(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::store::tests::a_job;

    fn word() -> impl Strategy<Value = OsString> {
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(OsString::from_vec)
    }

    prop_compose! {
        fn record()(
            (command, env) in (
                proptest::collection::vec(word(), 0..4),
                proptest::collection::vec((".*", word()), 0..3),
            ),
            state in (0..5_usize).prop_map(|at| State::ALL[at]),
            (created, due, started, finished) in any::<(u64, u64, Option<u64>, Option<u64>)>(),
            (attempts, interruptions) in any::<(u32, u32)>(),
            progress in option::of((any::<u64>(), any::<u64>(), ".*")),
            outcome in option::of((any::<Option<i32>>(), any::<Option<i32>>(), option::of(".*"), option::of(".*"))),
            lease in option::of(("[a-z]*", any::<u64>(), option::of(".*"))),
            (key, media_type, is_file) in (option::of(".*"), option::of(".*"), any::<bool>()),
            expires in any::<Option<u64>>(),
        ) -> Record {
            let job = Job {
                command, env, state, created, due, started, finished, attempts, interruptions,
                input: Input { size: created, media_type, is_file },
                progress: progress.map(|(done, total, text)| Progress { done, total, text }),
                outcome: outcome.map(|(exit_code, signal, error, result)|
                    Outcome { exit_code, signal, error, result }),
                lease: lease.map(|(token, until, worker)| Lease { token, until, worker }),
                ..Job::accepted(a_job("q", 0))
            };
            Record { job, key, expires }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(record in record()) {
            prop_assert_eq!(Record::parse(record.job.id, &record.render()), Ok(record));
        }

        #[test]
        fn no_byte_is_a_panic(record in record(), at in any::<usize>(), byte in any::<u8>(), cut in any::<bool>()) {
            let mut bytes = record.render();
            let at = at % bytes.len();
            bytes[at] = byte;
            if cut {
                bytes.truncate(at);
            }
            let _ = Record::parse(record.job.id, &bytes);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let record = Record { job: Job::accepted(a_job("q", 0)), key: None, expires: None };
        let text = String::from_utf8(record.render()).expect("JSON");
        let fault = |text: &str| Record::parse(record.job.id, text.as_bytes()).expect_err("unreadable");
        assert_eq!(fault(&text.replace("\"queue\"", "\"kueue\"")), Unreadable::Member("queue"));
        assert_eq!(fault(&text.replace("\"queued\"", "\"tired\"")), Unreadable::Member("state"));
        assert_eq!(
            fault(&text.replace("\"version\":1", "\"version\":2")),
            Unreadable::Version("2".to_owned())
        );
        assert_eq!(fault("[]"), Unreadable::Json("no object".to_owned()));
        assert!(matches!(fault(""), Unreadable::Json(_)));
    }
}

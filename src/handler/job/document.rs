//! A job as JSON.

use serde_json::{Map, Value, json};

use super::time::rfc3339;
use crate::store::{Job, Progress, State};

/// How a job stands. `base` is the path of its route.
pub(super) fn document(job: &Job, base: &str) -> Value {
    let mut all = Map::new();
    all.insert("id".into(), job.id.to_string().into());
    all.insert("state".into(), job.state.name().into());
    all.insert("location".into(), location(base, job).into());
    let mut time = |name: &str, at| {
        if let Some(at) = at {
            all.insert(name.to_owned(), rfc3339(at).into());
        }
    };
    time("created", Some(job.created));
    time("started", job.started);
    time("finished", job.finished);
    time("due", (job.state == State::Queued && job.attempts > 0).then_some(job.due));
    time("leased_until", job.lease.as_ref().map(|lease| lease.until));
    all.insert("attempts".into(), job.attempts.into());
    let mut input = json!({ "size": job.input.size, "location": format!("{}/input", location(base, job)) });
    if let Some(media_type) = &job.input.media_type {
        input["type"] = media_type.as_str().into();
    }
    all.insert("input".into(), input);
    if let Some(progress) = &job.progress {
        all.insert("progress".into(), self::progress(progress));
    }
    if let Some(worker) = job.lease.as_ref().and_then(|lease| lease.worker.as_ref()) {
        all.insert("worker".into(), worker.as_str().into());
    }
    if let Some(outcome) = &job.outcome {
        let values = [
            ("exit_code", outcome.exit_code.map(Value::from)),
            ("signal", outcome.signal.map(Value::from)),
            ("error", outcome.error.clone().map(Value::from)),
            ("result", outcome.result.clone().map(result)),
        ];
        all.extend(values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    Value::Object(all)
}

/// Where a job is found.
pub(super) fn location(base: &str, job: &Job) -> String {
    format!("{base}/{}", job.id)
}

/// How far a job has come.
pub(super) fn progress(progress: &Progress) -> Value {
    let Progress { done, total, text } = progress;
    let percent = u128::from(*done) * 100 / u128::from((*total).max(1));
    json!({ "done": done, "total": total, "percent": u64::try_from(percent).unwrap_or(100), "text": text })
}

/// A result that is JSON is part of it.
fn result(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

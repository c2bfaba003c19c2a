//! `GET PATH`: the jobs of a queue, the newest first, a page at a time.

use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::document::document;
use super::status::json as answer;
use super::{Plan, page, store_failed};
use crate::handler::Body;
use crate::handler::accept::Format;
use crate::handler::call::Call;
use crate::job::Queue;

/// How many are on a page, unless `?limit=` says.
const USUAL: usize = 50;
const MOST: usize = 1000;

impl Plan {
    pub(super) async fn list(&self, queue: &Queue, call: &Call) -> Response<Body> {
        let limit = call.query("limit").map_or(Some(USUAL), |limit| limit.parse().ok());
        let Some(limit) = limit.filter(|limit| (1..=MOST).contains(limit)) else {
            let why = format!("limit= is a number from 1 to {MOST}");
            return call.explained(StatusCode::BAD_REQUEST, &why);
        };
        let before = match call.query("before").map(|before| before.parse()) {
            Some(Err(_)) => return call.explained(StatusCode::BAD_REQUEST, "before= is the id of a job"),
            before => before.and_then(Result::ok),
        };
        // One more shows whether there is another page.
        let mut jobs = match queue.jobs.store.list(&queue.name, before, limit + 1).await {
            Ok(jobs) => jobs,
            Err(error) => return store_failed(call, &error),
        };
        let has_more = jobs.len() > limit;
        jobs.truncate(limit);
        jobs.iter_mut().for_each(|job| queue.jobs.add_progress(job));
        let base = call.base();
        let last = jobs.last().filter(|_| has_more);
        let next = last.map(|job| format!("{}?before={}&limit={limit}", call.path(), job.id));
        if call.format() == Format::Html {
            return page::many(&jobs, &base, next.as_deref());
        }
        let all: Vec<Value> = jobs.iter().map(|job| document(job, &base)).collect();
        answer(&json!({ "jobs": all, "next": next }), StatusCode::OK)
    }
}

//! The keys of `job` and `pull`.

use std::time::Duration;

use crate::command::keys;
use crate::schema::{Key, Kind};
use crate::verify;

pub(super) const JOB: Key = Key::new(
    "job",
    Kind::List,
    "Accepts each request with 202 when it is on disk, and runs this program with these arguments for it later; the \
     request's body is its input. Placeholders and environment are those of `run`.",
)
.example(r#"["/usr/local/bin/convert", "{query.size}"]"#);
pub(super) const PULL: Key = Key::new(
    "pull",
    Kind::Boolean,
    "true: as `job`, but nothing is run. Outside workers take the jobs: POST PATH/lease?wait=30s.",
);
pub(super) const WORKERS: Key =
    Key::new("workers", Kind::Integer { least: 1, most: 1 << 10 }, "How many of its jobs run at once.")
        .default("1")
        .example("4");
pub(super) const QUEUE: Key = Key::new(
    "queue",
    Kind::Integer { least: 1, most: 1 << 30 },
    "How many jobs may wait; more are answered 503 with Retry-After.",
)
.default("1000");
pub(super) const RETRIES: Key = Key::new(
    "retries",
    Kind::Integer { least: 0, most: 1 << 16 },
    "How many times a job that has failed is tried again. One that was ended because dormouse left has not failed.",
)
.default("0")
.example("5");
pub(super) const BACKOFF: Key = Key::new(
    "backoff",
    Kind::Duration { least: Duration::from_millis(1) },
    "How long after its first failure; twice as long after each further one, a day at most. Meanwhile dormouse may sleep.",
)
.default("30s");
pub(super) const KEEP: Key = Key::new(
    "keep",
    Kind::Duration { least: Duration::from_secs(1) },
    "How long the result of a job, and its output, can be asked for.",
)
.default("7 days");
pub(super) const OUTPUT: Key =
    Key::new("output", Kind::Size, "How much of a job's output is kept; the rest is left out.")
        .default("1 MiB");
pub(super) const FILE: Key = Key::new(
    "file",
    Kind::Text,
    "The part of a form (multipart/form-data, as browsers and curl -F send it) that is the job's input; the others are \
     {form.NAME}.",
)
.example("upload");
pub(super) const LEASE: Key = Key::new(
    "lease",
    Kind::Duration { least: Duration::from_secs(1) },
    "For how long a worker has a job, unless it asks for more time (POST PATH/ID/renew); then the next worker gets it.",
)
.default("60s");

pub(super) const API: Key = Key::new(
    "api",
    Kind::Boolean,
    "Whether whoever may reach the route can list its jobs, look at them and cancel them; false leaves only their \
     submission. By default true, and false with `verify`: who has signed one request is not who asks later.",
)
.example("false");

pub(super) const JOB_KEYS: [Key; 14] = [
    API,
    WORKERS,
    QUEUE,
    RETRIES,
    BACKOFF,
    KEEP,
    OUTPUT,
    FILE,
    keys::ALLOW,
    keys::WHEN,
    keys::ENV,
    keys::DIR,
    keys::NICE,
    verify::VERIFY,
];
pub(super) const PULL_KEYS: [Key; 9] =
    [API, LEASE, QUEUE, RETRIES, BACKOFF, KEEP, FILE, keys::WHEN, verify::VERIFY];

//! Pages in a real browser: the example of an upload, and dormouse's own page of a job.

mod chromium;
#[allow(dead_code)] // the engine's tests use the rest
#[path = "../engine/harness.rs"]
mod harness;
#[allow(dead_code)] // those of `why` use the rest
#[path = "../why/site.rs"]
mod site;
mod upload;

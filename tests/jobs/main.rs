//! `job` and `pull` from outside: the built binary, real programs, and whatever may happen to either.
//!
//! One file a subject; `board` has a dormouse with routes of jobs, and its clients.

mod board;
mod cancel;
mod disk;
mod drain;
mod edge;
mod events;
#[allow(dead_code)] // the engine's tests use the rest
#[path = "../engine/harness.rs"]
mod harness;
mod pull;
mod queue;
mod reload;
#[allow(dead_code)] // those of `why` use the rest
#[path = "../why/site.rs"]
mod site;
mod sleep;
mod status;
mod storm;
mod upload;

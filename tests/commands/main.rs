//! Commands from outside: the built binary, real programs, and clients that leave when they like.
//!
//! One file a subject; `program` has the programs and how they and a test wait for each other.

mod arguments;
mod cgi;
mod drain;
mod environment;
mod events;
mod finish;
mod git;
mod gone;
#[allow(dead_code)] // the engine's tests use the rest
#[path = "../engine/harness.rs"]
mod harness;
mod http2;
mod input;
mod line;
mod masses;
mod output;
mod program;
#[allow(dead_code)] // those of `why` use the rest
#[path = "../why/site.rs"]
mod site;
mod sleeping;
mod times;
mod verify;
mod whole;

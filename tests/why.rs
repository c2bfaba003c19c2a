//! `dormouse why`, and what is carried from one life to the next: the built binary, sockets held as systemd holds them.
#![cfg(feature = "daemon")]

#[path = "why/asked.rs"]
mod asked;
#[path = "why/carried.rs"]
mod carried;
#[allow(dead_code)] // the engine's tests use the rest
#[path = "engine/harness.rs"]
mod harness;
#[path = "why/hooks.rs"]
mod hooks;
#[path = "why/site.rs"]
mod site;

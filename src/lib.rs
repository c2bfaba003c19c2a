//! **dormouse**: the web server that isn't running until somebody asks.
//!
//! systemd holds the port. The first connection starts the process in milliseconds; it serves; when nothing is
//! happening it exits and the machine has its memory back. No request is lost on the way.
//!
//! This crate is two things:
//!
//! - the **engine**, useful alone ([`Engine`]): it takes the sockets systemd passed and any HTTP service, counts
//!   activity, falls asleep, drains. It knows nothing of routes and builds with `default-features = false`;
//! - the **daemon** on top of it (feature `daemon`, on by default): config file, router, guards, handlers, logs and
//!   the `dormouse` command.
//!
//! # The way of one request
//!
//! ```text
//! socket     activation/   a socket systemd passed, or one bound by hand
//! accept     lifecycle/    the one task that accepts, and alone decides to leave; the connection is a hold from here
//! transport  server/       system calls on one connection: read, write, peek, half-close
//! opening    server/       on whose behalf a trusted peer asks (PROXY protocol); HTTP/1 or HTTP/2
//! framing    server/       where heads and bodies end; one head at a time goes on to hyper
//! service    server/       the request's guard; a panic is a 500 with an id
//! route      route/        on the bytes that came, nothing cleaned
//! guards     guard/        one chain, one order; a permit that lives as long as the body, or a refusal
//! handler    handler/      one verb, one file
//! app        app/          only of routes with an app: asleep, it is started, and the request waits
//! upstream   upstream/     only of what others answer: a pool of connections, the answer as it comes
//! body       server/       the hold ends when its last byte has been handed to the kernel
//! ```
//!
//! # Embedding
//!
//! An existing axum, tower or hyper app goes behind the engine unchanged; `examples/axum.rs` is a whole program.
//!
//! ```no_run
//! use dormouse::{Engine, Sockets};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
//!     let sockets = Sockets::inherited()?.or_bind("127.0.0.1:3000")?;
//!     Engine::new(sockets).serve_tower(app)?;
//!     Ok(())
//! }
//! ```
//!
//! Every request carries an [`Exchange`] as an extension: who asked, on which socket, what it is to the sleep
//! ([`KeepsAwake`], for streams and upgraded connections too), and when the client or the daemon is leaving.
//!
//! # Modules
//!
//! Arrows point one way: `cli -> config -> site -> (route, guard, handler, log) -> (app, command, job, verify) -> (intake,
//! process, secret, store, upstream) -> server -> lifecycle -> activation`; `schema` (what a table of the config may say, as
//! data) lies below all that declare keys. `lasting` has what outlives a site: apps, pools, places, jobs. Beside the site,
//! and also between `cli` and `server`, are `carry` (what goes on across sleeps) and `control` (the socket that `why` asks).

pub mod activation;
pub mod lifecycle;
pub mod server;

pub use activation::{SocketError, Sockets};
pub use lifecycle::{Exit, Sleep};
pub use server::{Engine, Exchange, KeepsAwake, Quiet, Serve, Settings};

#[cfg(feature = "daemon")]
pub mod app;
#[cfg(feature = "daemon")]
pub mod carry;
#[cfg(feature = "daemon")]
pub mod cli;
#[cfg(feature = "daemon")]
pub mod command;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod control;
#[cfg(feature = "daemon")]
pub mod guard;
#[cfg(feature = "daemon")]
pub mod handler;
#[cfg(feature = "daemon")]
pub mod intake;
#[cfg(feature = "daemon")]
pub mod job;
#[cfg(feature = "daemon")]
pub mod lasting;
#[cfg(feature = "daemon")]
pub mod log;
#[cfg(feature = "daemon")]
pub mod process;
#[cfg(feature = "daemon")]
pub mod route;
#[cfg(feature = "daemon")]
pub mod schema;
#[cfg(feature = "daemon")]
pub mod secret;
#[cfg(feature = "daemon")]
pub mod site;
#[cfg(feature = "daemon")]
pub mod store;
#[cfg(feature = "daemon")]
pub mod upstream;
#[cfg(feature = "daemon")]
pub mod verify;

//! Connections: from an accepted stream to the last byte of the last answer.
//!
//! - [`engine`]: the public entry; sockets and a service in, an exit out;
//! - `connection`: the life of one connection; `opening` at its beginning, `http1` and `http2` in the middle, `rest`
//!   between requests, `linger` at its end;
//! - `transport`, [`framing`]: the bytes, and where requests begin and end in them;
//! - `record`, `link`, `shared`, `wakes`: what is known of one connection, and of all; `deadline`, `clock`: how long each
//!   is waited for; `room`: how many there may be;
//! - [`trust`]: which peers may say on whose behalf they ask;
//! - `service`, [`exchange`], `in_flight`, `tower`: the way of a request into somebody's service and back;
//! - `account`: all of it, for whoever asks.

mod account;
pub(crate) mod buffer;
mod clock;
mod connection;
mod deadline;
pub mod engine;
pub mod exchange;
pub mod framing;
mod http1;
mod http2;
mod in_flight;
mod linger;
mod link;
mod opening;
mod patience;
mod record;
mod rest;
mod room;
mod service;
mod shared;
mod tower;
pub(crate) mod transport;
pub mod trust;
mod wakes;

pub use crate::activation::Peer;
pub use account::{Account, Holder, Snapshot, What};
pub use engine::{Control, Engine};
pub use exchange::{Exchange, KeepsAwake, Quiet, Serve};
pub use patience::Paused;
pub use service::{is_event_stream, panic_message};
pub use shared::{Settings, Timeouts};
pub use tower::Tower;
pub use trust::{Trust, TrustError, Trusted};

/// Anything that may have gone wrong in somebody else's service or body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

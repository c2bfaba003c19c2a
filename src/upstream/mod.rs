//! Upstreams: other HTTP servers, and how a request gets to them and its answer back.
//!
//! - [`Origin`]: where an upstream is, as the config names it;
//! - [`Upstream`]: its pool of connections; [`Group`]: several of them, taken in turn, those that fail set aside;
//! - `wire`, `connect`: the bytes of one connection, and how it comes about;
//! - `conversation`, `http2`: the protocol on it, hyper's;
//! - [`AnswerBody`]: an answer on its way, which gives its connection back when it has ended;
//! - [`tunnel`], [`websocket`]: upgraded connections, and how a WebSocket is told goodbye between two frames;
//! - `pace`: upstreams that are to be asked only so often.
//!
//! A connection over HTTP/1 is driven by whoever uses it, on the task of the request: no task of its own has to be woken
//! to pass on a piece, and a request that is dropped takes its connection with it at once.

mod answer;
mod connect;
mod conversation;
mod failure;
mod group;
mod http2;
mod origin;
mod pace;
mod pool;
mod repeatable;
pub mod tunnel;
pub mod websocket;
mod wire;

pub use answer::AnswerBody;
pub use failure::{Failure, Kind};
pub use group::Group;
pub use origin::{Origin, OriginError, Place, Scheme};
pub use pace::Pace;
pub use pool::{Answered, How, Upstream, UpstreamSettings};
pub use wire::Wire;

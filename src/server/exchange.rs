//! What a service is given beside the request, and the trait it implements.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::BoxError;

/// Answers requests. The engine calls it once per request, on the thread that serves the connection.
///
/// Tower and hyper services are wrapped ([`crate::Engine::serve_tower`]); the daemon implements it directly.
pub trait Serve: Send + Sync + 'static {
    /// The answer's body.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
    /// The answer to come. Dropped when the client resets the connection or stream.
    type Future: Future<Output = Result<Response<Self::Body>, BoxError>> + Send + 'static;

    /// Answers one request.
    fn serve(&self, request: Request<Incoming>, exchange: Exchange) -> Self::Future;
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A TCP client.
    Tcp(SocketAddr),
    /// A client of a Unix socket, with its process id where the kernel tells (`SO_PEERCRED`, unix(7)).
    Unix(Option<u32>),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(pid)) => write!(f, "unix pid {pid}"),
            Self::Unix(None) => f.write_str("unix"),
        }
    }
}

/// One request in the hands of a service: who asked, on which socket, and how it counts. Cheap to clone.
#[derive(Clone)]
pub struct Exchange {
    // the connection's record and the engine's shared part; filled in with the engine
}

impl Exchange {
    /// The client as the kernel knows it.
    pub fn peer(&self) -> &Peer {
        unimplemented!("engine")
    }

    /// The `FileDescriptorName=` of the socket the connection came in on (`"listen"` for one bound by hand).
    pub fn socket(&self) -> &str {
        unimplemented!("engine")
    }

    /// Whether this request counts: `true` (the default) restarts the sleep clock when it ends; `false` marks it as
    /// noise (probes, scanners, refusals): served and held for, but the clock goes on.
    pub fn keeps_awake(&self, _counts: bool) {
        unimplemented!("engine")
    }

    /// Whether the daemon is on its way out (SIGTERM): answers should end soon.
    pub fn is_draining(&self) -> bool {
        unimplemented!("engine")
    }

    /// Resolves once the daemon is on its way out.
    pub async fn draining(&self) {
        unimplemented!("engine")
    }

    /// Resolves once the client has closed its side (a FIN may also be a half-close) or reset the connection.
    pub async fn gone(&self) {
        unimplemented!("engine")
    }

    /// The state of the whole engine, for `show = "health"`.
    pub fn snapshot(&self) -> Snapshot {
        unimplemented!("engine")
    }
}

/// The engine at one instant.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// `starting`, `serving`, `closing`, `committed` or `draining`.
    pub phase: &'static str,
    /// Open connections that say nothing yet.
    pub new: usize,
    /// Open connections with a request in work or under way.
    pub busy: usize,
    /// Open keep-alive connections between requests.
    pub idle: usize,
    /// Connections being closed (half-closed by us, waiting for the peer's end).
    pub lingering: usize,
    /// Requests being answered.
    pub in_flight: usize,
    /// Live tasks of the runtime.
    pub tasks: usize,
    /// Since the process was ready.
    pub uptime: std::time::Duration,
    /// When it will fall asleep if nothing happens; `None` when something holds it or it never sleeps.
    pub asleep_in: Option<std::time::Duration>,
    /// Requests served that counted.
    pub served: u64,
    /// Requests served that did not count, and connections that never made one.
    pub noise: u64,
    /// Wakes since boot, this one included.
    pub wakes: u64,
}

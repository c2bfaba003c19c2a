//! What a service is given beside the request, and the trait it implements.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::BoxError;
use super::record::Record;
use super::shared::{Shared, Stage};
use crate::activation::Peer;
use crate::lifecycle::Hold;
use crate::lifecycle::story::count;

/// Answers requests. The engine calls it once per request, on the thread that serves the connection.
///
/// Tower services are wrapped ([`super::Engine::serve_tower`]); the daemon implements it directly.
pub trait Serve: Send + Sync + 'static {
    /// The answer's body.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
    /// The answer to come. Dropped when the client resets the connection or stream.
    type Future: Future<Output = Result<Response<Self::Body>, BoxError>> + Send + 'static;

    /// Answers one request. A panic, here or in the future, is a 500 with an id.
    fn serve(&self, request: Request<Incoming>, exchange: Exchange) -> Self::Future;
}

/// One request in the hands of a service: who asked, on which socket, and how it counts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exchange(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    record: Arc<Record>,
    shared: Arc<Shared>,
    counts: AtomicBool,
}

impl Exchange {
    pub(super) fn new(record: Arc<Record>, shared: Arc<Shared>) -> Self {
        Self(Arc::new(Inner { record, shared, counts: AtomicBool::new(true) }))
    }

    /// The client as the kernel knows it.
    pub fn peer(&self) -> &Peer {
        &self.0.record.peer
    }

    /// The `FileDescriptorName=` of the socket the connection came in on (`"listen"` for one bound by hand).
    pub fn socket(&self) -> &str {
        &self.0.record.socket
    }

    /// Whether this request counts: `true` (the default) restarts the sleep clock when it ends; `false` marks it as
    /// noise (probes, scanners, refusals): served and held for, but the clock goes on.
    pub fn keeps_awake(&self, counts: bool) {
        self.0.counts.store(counts, Relaxed);
    }

    /// Keeps the process awake until dropped, for work that goes on after the answer; its end does not restart the
    /// clock. `None` only when the process has committed to leave, which it has not while a request is in hand.
    pub fn hold(&self) -> Option<Hold> {
        self.0.shared.activity.hold()
    }

    /// Whether the daemon is on its way out (SIGTERM): answers should end soon.
    pub fn is_draining(&self) -> bool {
        matches!(self.0.shared.stage(), Stage::Drain | Stage::Cut)
    }

    /// Resolves once the daemon is on its way out.
    pub async fn draining(&self) {
        loop {
            let told = self.0.shared.draining.notified();
            if self.is_draining() {
                return;
            }
            told.await;
        }
    }

    /// Resolves once the client has closed its side of an HTTP/1 connection. That may be a half-close (`nc -N`), and a
    /// client that waits for its answer; or it is gone. A reset drops the answer's future instead.
    pub async fn gone(&self) {
        loop {
            let told = self.0.record.gone.notified();
            if self.0.record.is_gone() {
                return;
            }
            told.await;
        }
    }

    /// An id to find a failure by, in the journal and on the page.
    pub fn new_id(&self) -> String {
        self.0.shared.new_id()
    }

    /// The state of the whole engine, for `show = "health"`.
    pub fn snapshot(&self) -> Snapshot {
        self.0.shared.snapshot()
    }

    pub(super) fn counts(&self) -> bool {
        self.0.counts.load(Relaxed)
    }
}

/// A request in the service's hands, from the call to the end of the answer's body.
#[derive(Debug)]
pub(super) struct InFlight {
    exchange: Exchange,
    is_untaken: bool,
}

impl InFlight {
    pub(super) fn begin(exchange: Exchange) -> Self {
        exchange.0.record.in_flight.fetch_add(1, Relaxed);
        exchange.0.shared.in_flight.fetch_add(1, Relaxed);
        Self { exchange, is_untaken: false }
    }

    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Whether a piece of the answer has been given that the connection has not asked to go on from.
    pub(super) fn set_untaken(&mut self, is_untaken: bool) {
        if is_untaken != self.is_untaken {
            self.is_untaken = is_untaken;
            let untaken = &self.exchange.0.record.untaken;
            if is_untaken {
                untaken.fetch_add(1, Relaxed)
            } else {
                untaken.fetch_sub(1, Relaxed)
            };
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.set_untaken(false);
        let Inner { record, shared, .. } = &*self.exchange.0;
        if self.exchange.counts() {
            record.counts.store(true, Release);
            count(&shared.tally.served);
        } else {
            count(&shared.tally.noise);
        }
        shared.in_flight.fetch_sub(1, Relaxed);
        record.in_flight.fetch_sub(1, Relaxed);
        record.is_answered.store(true, Release);
    }
}

/// The engine at one instant.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// `starting`, `serving`, `closing`, `committed` or `draining`.
    pub phase: &'static str,
    /// Open connections that say nothing yet, or have not finished their first head.
    pub new: usize,
    /// Open connections with a request in work or under way.
    pub busy: usize,
    /// Open keep-alive connections between requests.
    pub idle: usize,
    /// Connections half-closed by us, waiting for the peer's end.
    pub lingering: usize,
    /// Upgraded connections.
    pub tunnels: usize,
    /// Requests being answered.
    pub in_flight: usize,
    /// Live tasks of the runtime; 0 when asked from outside of it.
    pub tasks: usize,
    /// Since the process was ready.
    pub uptime: Duration,
    /// When it will fall asleep if nothing happens; `None`: never.
    pub asleep_in: Option<Duration>,
    /// Requests answered that counted.
    pub served: u64,
    /// Requests answered that did not count, and connections that never made one.
    pub noise: u64,
    /// Wakes since boot, this one included.
    pub wakes: u64,
}

impl Shared {
    pub(super) fn snapshot(&self) -> Snapshot {
        let census = self.roll.census();
        Snapshot {
            phase: self.phase().name(),
            new: census.new,
            busy: census.busy,
            idle: census.idle,
            lingering: census.lingering,
            tunnels: census.tunnels,
            in_flight: self.in_flight.load(Acquire),
            // Outside the runtime nobody can tell.
            tasks: tokio::runtime::Handle::try_current()
                .map_or(0, |runtime| runtime.metrics().num_alive_tasks()),
            uptime: self.ready.elapsed(),
            asleep_in: self.asleep_in(&self.settings().sleep),
            served: self.tally.served.load(Relaxed),
            noise: self.tally.noise.load(Relaxed),
            wakes: self.wakes.count(),
        }
    }
}

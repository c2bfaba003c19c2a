//! What a service is given beside the request, and the trait it implements.

mod course;
mod quiet;

use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use super::BoxError;
use super::account::Snapshot;
use super::engine::Control;
use super::patience::Patience;
use super::record::Record;
use super::shared::{Shared, Stage};
use crate::activation::Peer;
use crate::lifecycle::Hold;

pub use quiet::Quiet;

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
    method: Method,
    /// When its head was whole, in the activity's nanoseconds.
    since: u64,
    patience: Patience,
    policy: AtomicU8,
    part: AtomicU8,
    /// Changes under the lock of `own`.
    held: AtomicU8,
    own: Mutex<Own>,
    /// It was asked to end, so that the process can sleep.
    is_sent_off: AtomicBool,
    /// It has waited quietly, and nothing has come.
    is_in_vain: AtomicBool,
    is_stream: AtomicBool,
    /// How long its body is waited for, in nanoseconds; 0: `timeouts.body` decides.
    body_limit: AtomicU64,
    route: OnceLock<Arc<str>>,
}

/// What a request is to the sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum KeepsAwake {
    /// It is held for to its last byte, and its end restarts the clock. So are streams and upgraded connections.
    #[default]
    Yes,
    /// The same for a request. A stream or upgraded connection is not held for, but each byte on it, either way,
    /// restarts the clock: it lasts while bytes move within the sleep time.
    WhileActive,
    /// A request is held for, but its end does not restart the clock (probes, scanners, refusals). A stream or upgraded
    /// connection is not even held for.
    No,
}

impl From<bool> for KeepsAwake {
    fn from(keeps_awake: bool) -> Self {
        if keeps_awake { Self::Yes } else { Self::No }
    }
}

/// A body that is waited for without a limit.
const ENDLESS: u64 = u64::MAX;

const POLICIES: [KeepsAwake; 3] = [KeepsAwake::Yes, KeepsAwake::WhileActive, KeepsAwake::No];

/// Whether a request is held for; of a stream that is decided when its head is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Held {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It is not, but its bytes restart the clock.
    NoButStirs,
    /// It is not, for it waits quietly.
    Waits,
}

const HELD: [Held; 4] = [Held::Yes, Held::No, Held::NoButStirs, Held::Waits];

/// What a request holds by itself.
#[derive(Debug, Default)]
struct Own {
    /// HTTP/2's own: the streams of a connection end apart from each other, and at other moments than their frames go. And
    /// that of a request which has waited quietly, as its connection may have let go.
    hold: Option<Hold>,
    /// Nothing can be held for it any more.
    is_over: bool,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    /// The service has not answered yet.
    Asked,
    /// The answer's head is there.
    Answer,
    /// The same, and it is a stream.
    Stream,
    /// The connection is the service's now. HTTP/1 only.
    Upgrade,
}

const PARTS: [Part; 4] = [Part::Asked, Part::Answer, Part::Stream, Part::Upgrade];

impl Exchange {
    /// Who is at the other end of the connection, as the kernel knows it.
    pub fn peer(&self) -> &Peer {
        &self.0.record.peer
    }

    /// Who asks: the client that a trusted peer has named in a PROXY header, else the peer.
    pub fn client(&self) -> &Peer {
        self.0.record.client()
    }

    /// Whether the peer may say on whose behalf it asks ([`super::Settings::trust`]).
    pub fn trusts_peer(&self) -> bool {
        self.0.shared.with_settings(|settings| settings.trust.trusts(self.peer()))
    }

    /// The `FileDescriptorName=` of the socket the connection came in on (`"listen"` for one bound by hand).
    pub fn socket(&self) -> &str {
        &self.0.record.socket
    }

    /// What this request is to the sleep, `true` or `false` or one of [`KeepsAwake`]. Default: it keeps it awake. What
    /// stands when the answer's head is given decides over a stream.
    pub fn keeps_awake(&self, policy: impl Into<KeepsAwake>) {
        self.0.policy.store(policy.into() as u8, Release);
    }

    /// Says that the answer is a stream: it ends when its reader or writer likes, perhaps never, and its policy decides
    /// whether it is held for. Said before the answer's head is given. Answers of type `text/event-stream` and upgraded
    /// connections are streams unsaid.
    pub fn is_stream(&self) {
        self.0.is_stream.store(true, Release);
    }

    /// How long the connection waits between two reads of this request's body, in place of `timeouts.body`; `None`: for
    /// ever. Then the body's reader gets an error of kind [`std::io::ErrorKind::TimedOut`].
    ///
    /// That of an HTTP/2 body does not: there a stalled one is left to the service, which gives an answer and thereby ends
    /// its stream alone. 5 s after the longest limit of its streams the whole connection is cut.
    pub fn set_body_timeout(&self, limit: Option<Duration>) {
        let limit = limit.map_or(ENDLESS, |limit| u64::try_from(limit.as_nanos()).unwrap_or(ENDLESS).max(1));
        self.0.body_limit.store(limit, Release);
        if self.0.record.reading_since.load(Relaxed) != 0 {
            self.0.record.waker.wake(); // the timer is set for another limit
        }
    }

    /// Names the route that answers, for whoever asks what keeps the process awake. The first name stays.
    pub fn set_route(&self, route: &Arc<str>) {
        let _ = self.0.route.set(route.clone()); // the first one stays
    }

    /// The route that answers, once it is named.
    pub fn route(&self) -> Option<&Arc<str>> {
        self.0.route.get()
    }

    /// Keeps the process awake until dropped, for work that goes on after the answer; its end does not restart the
    /// clock. `None` only when the process has committed to leave, which it has not while a request is in hand.
    pub fn hold(&self) -> Option<Hold> {
        self.0.shared.activity.hold()
    }

    /// Whether the daemon is on its way out (SIGTERM): answers should end soon. A stream that is not held for, and a
    /// request that waits quietly, hears the same when the process is about to sleep: it should end as its protocol wants
    /// (1001, a last event, a 204), within `sleep.grace`; its client will wake the next process.
    pub fn is_draining(&self) -> bool {
        matches!(self.0.shared.stage(), Stage::Drain | Stage::Cut) || self.0.is_sent_off.load(Acquire)
    }

    /// Resolves once [`Exchange::is_draining`].
    pub async fn draining(&self) {
        loop {
            let told = self.0.shared.draining.notified();
            if self.is_draining() {
                return;
            }
            told.await;
        }
    }

    /// Whether the client has closed its side of an HTTP/1 connection, which means what it means to [`Exchange::gone`].
    ///
    /// When it becomes true the connection polls the answer's future once more, or its body if it is waiting for more of
    /// that: one that looks at this whenever it is polled needs no waker of its own for it. HTTP/2 never says it: the
    /// end of a stream or of its connection drops the answer.
    pub fn is_gone(&self) -> bool {
        self.0.record.is_gone()
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

    /// What this request is to the sleep.
    pub fn policy(&self) -> KeepsAwake {
        POLICIES[usize::from(self.0.policy.load(Acquire))]
    }

    /// The running engine.
    pub fn control(&self) -> Control {
        Control::of(self.0.shared.clone())
    }

    /// Whether `settings.trust` has whoever asks: the client that a PROXY header names, else the peer. A header that does not
    /// know on whose behalf the peer asks names a stranger.
    pub fn trusts_client(&self) -> bool {
        !self.0.record.is_for_unknown.load(Relaxed)
            && self.0.shared.with_settings(|settings| settings.trust.trusts(self.client()))
    }

    /// Whether `settings.trust` has this address: one further back, which somebody who is trusted has named.
    pub fn trusts_address(&self, address: IpAddr) -> bool {
        self.0.shared.with_settings(|settings| settings.trust.trusts_ip(address))
    }

    /// An id to find a failure by, in the journal and on the page.
    pub fn new_id(&self) -> String {
        self.0.shared.new_id()
    }

    /// The state of the whole engine, for `show = "health"`.
    pub fn snapshot(&self) -> Snapshot {
        self.0.shared.snapshot()
    }
}

//! What stands between a route and its handler: one chain, one order.
//!
//! A request meets, in this order: framing and the PROXY protocol (before there is a route), the route itself, the
//! server's [`Places`], the guards of its route (a place of the route's own; auth, as it comes), the limit on its body
//! ([`RequestBody`]), and the handler within its [`Waits`]. The answer goes back through the [`FINISHERS`]. A guard lets
//! the request pass, perhaps with a [`Permit`] that is dropped when the answer's body has ended, or it refuses. Who the
//! client is (`[trust]`) is told to whoever wants to know: [`Client`].
//!
//! Adding a guard or a finisher is a new file and a line in its list: it declares its keys of `[[route]]` and how it is
//! made of them. A route without guards pays nothing for them.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::header::HeaderMap;
use hyper::{Response, StatusCode};

use crate::handler::{Body, Head};
use crate::schema::{Key, Reader};
use crate::server::Exchange;

pub mod client;
mod gate;
mod headers;
mod held;
pub mod limits;
mod places;
mod request_body;
pub mod waits;

pub use client::{Client, Remote};
pub use gate::Gate;
pub use held::Held;
pub use limits::Limits;
pub use places::{Entry, Place, Places, Room, no_place};
pub use request_body::{BodyError, RequestBody};
pub use waits::Waits;

/// Lets requests of one route pass, or not.
pub trait Guard: Send + Sync + 'static {
    /// Judges a request by its head.
    fn admit(&self, head: &Head<'_>, exchange: &Exchange) -> Admission;
}

/// A guard's word, now or later.
pub enum Admission {
    /// The request may pass.
    Pass(Option<Permit>),
    /// It may not.
    Refuse(Refusal),
    /// The guard has to wait or to compute: a place in the queue, a password's hash.
    Later(Pin<Box<dyn Future<Output = Result<Option<Permit>, Refusal>> + Send>>),
}

/// What a guard gives for as long as the request lasts; dropped when the answer's body has ended, or its client is gone.
pub type Permit = Box<dyn Any + Send>;

/// A guard's no: the page's status, and headers that belong to it (`Retry-After`, `WWW-Authenticate`).
#[derive(Debug)]
pub struct Refusal {
    /// The status of the error page.
    pub status: StatusCode,
    /// Headers of the error page.
    pub headers: HeaderMap,
}

/// Works on every answer of one route, on its way back.
pub trait Finisher: Send + Sync + 'static {
    /// Changes what has to be changed.
    fn finish(&self, response: &mut Response<Body>);
}

/// How something of the chain comes into a route: its keys, and what becomes of them.
pub struct Link<T: ?Sized> {
    /// Its keys of `[[route]]`.
    pub keys: &'static [Key],
    /// Makes it for one route; `None` if the route does not ask for it, or asks wrongly (which the reader was told).
    pub build: fn(&mut Reader<'_>) -> Option<Box<T>>,
}

/// Every finisher, in the order in which an answer meets them.
pub const FINISHERS: &[&Link<dyn Finisher>] = &[&headers::HEADERS];

/// The keys that the chain adds to every route.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    const OWN: &[Key] = &[limits::OF_ROUTE, waits::OF_ROUTE];
    OWN.iter().chain(FINISHERS.iter().flat_map(|link| link.keys))
}

/// The guards and finishers of one route, and its limits.
#[derive(Default)]
pub struct Chain {
    guards: Vec<Box<dyn Guard>>,
    finishers: Vec<Box<dyn Finisher>>,
    /// The largest body of a request, in bytes.
    pub largest_body: Option<u64>,
    /// How long an exchange may wait for what.
    pub waits: Waits,
}

/// What a route's chain takes from the server where the route says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfServer {
    /// The largest body of a request, in bytes.
    pub largest_body: Option<u64>,
    /// How long an exchange may wait for what.
    pub waits: Waits,
}

impl Chain {
    /// These, in this order.
    pub fn new(guards: Vec<Box<dyn Guard>>, finishers: Vec<Box<dyn Finisher>>) -> Self {
        Self { guards, finishers, ..Self::default() }
    }

    /// Reads a route's table; of `waits_of_others` see [`crate::schema::Verb::waits`]; `places` finds those of the route if it limits what it has in flight.
    pub fn read(
        reader: &mut Reader<'_>,
        server: OfServer,
        waits_of_others: &[&str],
        places: impl FnOnce(Room) -> Arc<Places>,
    ) -> Self {
        let limits = Limits::of_route(reader);
        let own_places = limits.and_then(|limits| limits.room).map(places);
        let in_flight = own_places.map(|places| Box::new(places::OfRoute(places)) as Box<dyn Guard>);
        Self {
            guards: in_flight.into_iter().collect(),
            finishers: FINISHERS.iter().filter_map(|link| (link.build)(reader)).collect(),
            largest_body: limits.and_then(|limits| limits.body).or(server.largest_body),
            waits: server.waits.or_of_route(reader, waits_of_others),
        }
    }

    /// The same, with these times.
    #[must_use]
    pub fn with_waits(self, waits: Waits) -> Self {
        Self { waits, ..self }
    }

    /// The guards, in order.
    pub fn guards(&self) -> &[Box<dyn Guard>] {
        &self.guards
    }

    /// The way back.
    pub fn finish(&self, response: &mut Response<Body>) {
        for finisher in &self.finishers {
            finisher.finish(response);
        }
    }
}

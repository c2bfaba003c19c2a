//! What stands between a route and its handler: one chain, one order.
//!
//! A request meets, in this order: framing and client identity (before there is a route), the route itself, then the
//! [`GUARDS`] of its route (rate and in-flight, auth, body limit, as they come), the handler within its [`Limits`]. The
//! answer goes back through the [`FINISHERS`]. A guard lets the request pass, perhaps with a [`Permit`] that is dropped
//! when the answer's body has ended, or it refuses.
//!
//! Adding a guard or a finisher is a new file and a line in its list: it declares its keys of `[[route]]` and how it is
//! made of them. A route without guards pays nothing for them.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

use hyper::header::HeaderMap;
use hyper::{Response, StatusCode};

use crate::handler::{Body, Head};
use crate::schema::{Key, Reader};
use crate::server::Exchange;

mod headers;
mod held;
mod limits;

pub use held::Held;
pub use limits::Limits;

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

/// Every guard, in the order in which a request meets them.
pub const GUARDS: &[&Link<dyn Guard>] = &[];

/// Every finisher, in the order in which an answer meets them.
pub const FINISHERS: &[&Link<dyn Finisher>] = &[&headers::HEADERS];

/// The keys that the chain adds to every route.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    let guards = GUARDS.iter().flat_map(|link| link.keys);
    guards.chain(FINISHERS.iter().flat_map(|link| link.keys))
}

/// The guards and finishers of one route.
#[derive(Default)]
pub struct Chain {
    guards: Vec<Box<dyn Guard>>,
    finishers: Vec<Box<dyn Finisher>>,
}

impl Chain {
    /// These, in this order.
    pub fn new(guards: Vec<Box<dyn Guard>>, finishers: Vec<Box<dyn Finisher>>) -> Self {
        Self { guards, finishers }
    }

    /// Reads a route's table.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let guards = GUARDS.iter().filter_map(|link| (link.build)(reader)).collect();
        let finishers = FINISHERS.iter().filter_map(|link| (link.build)(reader)).collect();
        Self::new(guards, finishers)
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

//! One file or folder per verb. A handler answers requests of one route; it does not know systemd.

pub mod body;

use std::future::Future;
use std::pin::Pin;

use hyper::body::Incoming;
use hyper::{Request, Response};

use crate::server::Exchange;

pub use body::Body;

/// Answers the requests of one route.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. It runs on the serving thread: whatever may block goes to the blocking pool, in
    /// [`Answer::Later`].
    fn answer(&self, request: Request<Incoming>, context: &RequestContext<'_>) -> Answer;
}

/// An answer now, or one to come. The ready case costs no allocation.
pub enum Answer {
    /// Complete; the body may still stream.
    Ready(Response<Body>),
    /// Under way. Dropped when the client resets the connection.
    Later(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl From<Response<Body>> for Answer {
    fn from(response: Response<Body>) -> Self {
        Self::Ready(response)
    }
}

/// What a handler knows beside the request itself.
pub struct RequestContext<'r> {
    /// The client, the socket, and how the request counts. Clone it to keep it in a future.
    pub exchange: &'r Exchange,
    /// What follows the route's path, as sent: `a/../b` of `/docs/a/../b` for a route `/docs/`. Empty on exact routes.
    pub rest: &'r str,
    /// Values of the route's `{name}` parameters, as sent.
    pub captures: &'r [(&'r str, &'r str)],
}

impl RequestContext<'_> {
    /// The raw bytes captured for a parameter of the route's path.
    pub fn capture(&self, name: &str) -> Option<&str> {
        self.captures.iter().find(|(parameter, _)| *parameter == name).map(|(_, value)| *value)
    }
}

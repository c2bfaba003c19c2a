//! One file or folder per verb. A handler answers requests of one route; it does not know systemd.

pub mod accept;
pub mod body;
pub mod escape;
pub mod files;
pub mod pages;
pub mod placeholder;
pub mod proxy;
pub mod unavailable;
pub mod welcome;

mod app;
mod call;
mod channel;
mod gather;
mod job;
pub(crate) mod redirect;
mod run;
mod show;
mod sse;
mod text;
mod wanted;

use std::future::Future;
use std::pin::Pin;

use hyper::{HeaderMap, Method, Request, Response, Uri};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::Configured;
use crate::guard::Waits;
use crate::lasting::Lasting;
use crate::route::MethodSet;
use crate::schema;
use crate::server::Exchange;
use crate::verify::Verify;

pub use crate::guard::RequestBody;
pub use body::Body;
pub use wanted::while_wanted;

/// Every verb a route can have. Adding one is a new file and a line here.
pub const VERBS: &[&Verb] = &[
    &files::VERB,
    &text::VERB,
    &redirect::VERB,
    &proxy::VERB,
    &app::VERB,
    &run::VERB,
    &job::VERB,
    &job::PULL_VERB,
    &gather::VERB,
    &show::VERB,
];

/// A verb: what it declares about itself, and how a route of it becomes a handler.
pub struct Verb {
    /// Its keys, methods and manual.
    pub schema: schema::Verb,
    /// Reads the operand and the verb's keys; `None` when something is wrong, which the reader has been told.
    pub build: fn(&mut schema::Reader<'_>, &RouteShape<'_>) -> Option<Box<dyn Handler>>,
}

/// What a verb may know of the route it is built for.
#[derive(Clone, Copy)]
pub struct RouteShape<'r> {
    /// The route's path as written.
    pub path: &'r str,
    /// Its path, hosts and socket, which no other route has that takes the same methods.
    pub place: &'r str,
    /// The methods it takes, if it says.
    pub methods: Option<&'r MethodSet>,
    /// The names of its parameters, `{*rest}` included.
    pub parameters: &'r [&'r str],
    /// Whether it takes everything below its path, so that [`RequestContext::rest`] may hold something.
    pub is_subtree: bool,
    /// How long its exchanges may wait for what.
    pub waits: Waits,
    /// The largest body of a request, in bytes; `None`: nobody has said.
    pub largest_body: Option<u64>,
    /// The apps of the config; `None` for those that are not right.
    pub apps: &'r BTreeMap<String, Option<Arc<Configured>>>,
    /// What outlives the site that is being built.
    pub lasting: &'r Lasting,
}

/// Answers the requests of one route.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. It runs on the serving thread: whatever may block goes to the blocking pool, in
    /// [`Answer::Later`].
    fn answer(&self, request: Request<RequestBody>, context: &RequestContext<'_>) -> Answer;

    /// The site it belongs to is in force from now on.
    fn in_force(&self) {}

    /// Whether a client that closes its side of the connection has left, and its request with it: while it waits for a
    /// place nobody else knows.
    fn ends_with_client(&self) -> bool {
        false
    }

    /// What it needs that no config can give it.
    fn needs(&self) -> Needs<'_> {
        Needs::default()
    }
}

/// What a handler needs that no config can give it: an administrator has to (`dormouse check` says how).
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs<'h> {
    /// A program that it starts.
    pub program: Option<&'h str>,
    /// A secret, by which it knows whose a request is.
    pub verify: Option<&'h Verify>,
}

/// What a request says before its body.
#[derive(Clone, Copy, Debug)]
pub struct Head<'r> {
    /// The method.
    pub method: &'r Method,
    /// The target.
    pub uri: &'r Uri,
    /// The headers.
    pub headers: &'r HeaderMap,
}

impl<'r, B> From<&'r Request<B>> for Head<'r> {
    fn from(request: &'r Request<B>) -> Self {
        Self { method: request.method(), uri: request.uri(), headers: request.headers() }
    }
}

/// An answer now, or one to come. The ready case costs no allocation.
pub enum Answer {
    /// Complete; the body may still stream.
    Ready(Response<Body>),
    /// Under way. Dropped when the client resets the connection.
    Later(Later),
}

/// An answer under way.
pub type Later = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

impl From<Response<Body>> for Answer {
    fn from(response: Response<Body>) -> Self {
        Self::Ready(response)
    }
}

/// Marks, among a response's extensions, an answer with which dormouse itself refuses. Scanners and probes live on
/// these, so they do not keep it awake. [`pages::error`] sets it.
#[derive(Clone, Copy, Debug)]
pub struct Refused;

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

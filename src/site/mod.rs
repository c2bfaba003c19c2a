//! One config at work: the way of a request from route to answer.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};

use crate::guard::{Admission, Chain, Held, Limits, Permit, Refusal};
use crate::handler::{Answer, Body, Handler, Later, RequestContext};
use crate::route::{self, MethodSet, Pattern, Question, Router, Spec, request_host};
use crate::server::Exchange;

mod asked;
mod live;
mod reply;
mod stray;

use asked::Asked;
pub use live::Live;
pub use reply::Reply;

/// A config at work. Never changed: a new config is a new site, and requests end under the one they began with.
pub struct Site {
    /// Finds a route by its place in `routes`.
    pub router: Router,
    /// The routes, in the order of the config.
    pub routes: Vec<Route>,
    /// How long an exchange may take.
    pub limits: Limits,
    /// Whether it only stands in for a config that is bad, or not written yet.
    pub is_provisional: bool,
}

/// A route at work.
pub struct Route {
    /// The name of its verb, for people.
    pub verb: &'static str,
    /// Its path as written, for people.
    pub path: Arc<str>,
    /// The verb's operand as written, for people.
    pub operand: String,
    /// Answers its requests.
    pub handler: Box<dyn Handler>,
    /// What stands before the handler, and what works on its answers.
    pub chain: Chain,
    /// Whether its requests keep dormouse awake.
    pub keeps_awake: bool,
}

/// Where a request goes.
enum Way<'s, 'r> {
    /// To a route.
    To(Found<'s, 'r>),
    /// Nowhere: dormouse itself answers.
    Stray(Response<Body>),
}

/// A route, and what it has to do with this request.
struct Found<'s, 'r> {
    index: usize,
    route: &'s Route,
    captures: Vec<(&'s str, &'r str)>,
    rest: &'r str,
}

impl Site {
    /// A site of one route that takes everything, and only stands in for a config.
    pub fn stand_in(verb: &'static str, handler: Box<dyn Handler>, keeps_awake: bool) -> Self {
        let pattern = Pattern::parse("/").expect("a path");
        let spec = Spec { pattern, hosts: vec![], socket: None, methods: MethodSet::Any };
        let router = Router::new(vec![spec]).expect("one route has no conflicts");
        let path = "/".into();
        let route =
            Route { verb, path, operand: String::new(), handler, chain: Chain::default(), keeps_awake };
        Self { router, routes: vec![route], limits: Limits::default(), is_provisional: true }
    }

    /// Answers one request.
    fn answer(site: &Arc<Self>, request: Request<Incoming>, exchange: Exchange) -> Reply {
        let asked = Asked::new(&request, exchange);
        let found = match site.way(&asked, request.headers()) {
            Way::To(found) => found,
            Way::Stray(response) => return Reply::ready(asked.stray(response)),
        };
        if !found.route.chain.guards().is_empty() {
            return Reply::later(guarded(site.clone(), asked, request));
        }
        let Found { index, route, .. } = found;
        match found.handle(request, &asked.exchange) {
            Answer::Ready(response) => Reply::ready(asked.finish(route, response, vec![], site.limits.end())),
            Answer::Later(answer) => Reply::later(unguarded(site.clone(), index, asked, answer)),
        }
    }

    /// Finds a request's way.
    fn way<'s, 'r>(&'s self, asked: &'r Asked, headers: &HeaderMap) -> Way<'s, 'r> {
        let host = if self.router.has_hosts() { request_host(&asked.uri, headers) } else { None };
        let (socket, method, path) = (asked.exchange.socket(), &asked.method, asked.uri.path());
        let head = asked.head(headers);
        match self.router.find(Question { socket, host, method, path }) {
            route::Found::Route { route: index, captures, rest } => {
                Way::To(Found { index, route: &self.routes[index], captures, rest })
            }
            route::Found::Method(allowed) => Way::Stray(stray::wrong_method(&head, &allowed)),
            route::Found::Slash => Way::Stray(stray::slash_missing(&head)),
            route::Found::Nothing => Way::Stray(stray::nothing(&head)),
        }
    }
}

impl Found<'_, '_> {
    /// Hands the request to the route's handler.
    fn handle(self, request: Request<Incoming>, exchange: &Exchange) -> Answer {
        exchange.set_route(&self.route.path);
        if !self.route.keeps_awake {
            exchange.keeps_awake(false);
        }
        self.route
            .handler
            .answer(request, &RequestContext { exchange, rest: self.rest, captures: &self.captures })
    }
}

/// The rest of the way when the handler takes its time.
async fn unguarded(site: Arc<Site>, route: usize, asked: Asked, answer: Later) -> Response<Held> {
    let end = site.limits.end();
    let response = site.limits.head(answer).await.unwrap_or_else(|| asked.too_late());
    asked.finish(&site.routes[route], response, vec![], end)
}

/// The whole way on a route with guards, any of which may have to wait.
async fn guarded(site: Arc<Site>, asked: Asked, request: Request<Incoming>) -> Response<Held> {
    let end = site.limits.end();
    // Found a second time: the first find borrows from a request that has moved since.
    let found = match site.way(&asked, request.headers()) {
        Way::To(found) => found,
        Way::Stray(response) => return asked.stray(response),
    };
    let route = found.route;
    let mut permits = Vec::new();
    let answer = async {
        if let Err(refusal) = admit(route, &asked, &request, &mut permits).await {
            return asked.refuse(refusal);
        }
        match found.handle(request, &asked.exchange) {
            Answer::Ready(response) => response,
            Answer::Later(answer) => answer.await,
        }
    };
    let response = site.limits.head(answer).await.unwrap_or_else(|| asked.too_late());
    asked.finish(route, response, permits, end)
}

/// Asks every guard of the route, in order, and keeps what they give.
async fn admit(
    route: &Route,
    asked: &Asked,
    request: &Request<Incoming>,
    permits: &mut Vec<Permit>,
) -> Result<(), Refusal> {
    for guard in route.chain.guards() {
        match guard.admit(&asked.head(request.headers()), &asked.exchange) {
            Admission::Pass(permit) => permits.extend(permit),
            Admission::Refuse(refusal) => return Err(refusal),
            Admission::Later(word) => permits.extend(word.await?),
        }
    }
    Ok(())
}

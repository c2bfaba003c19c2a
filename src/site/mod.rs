//! One config at work: the way of a request from route to answer.

use std::future::Future;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::{HeaderMap, Request, Response, StatusCode};

use crate::guard::{Admission, Chain, Entry, Held, Permit, Place, Places, Refusal, RequestBody, no_place};
use crate::handler::{Answer, Body, Handler, Later, RequestContext, while_wanted};
use crate::route::{self, MethodSet, Pattern, Question, Router, Spec, request_host};
use crate::server::{Exchange, KeepsAwake};

mod asked;
mod live;
mod reply;
mod stray;

use asked::{Asked, Kept};
pub use live::Live;
pub use reply::Reply;

/// A config at work. Never changed: a new config is a new site, and requests end under the one they began with.
pub struct Site {
    /// Finds a route by its place in `routes`.
    pub router: Router,
    /// The routes, in the order of the config.
    pub routes: Vec<Route>,
    /// The places of all requests; `None`: as many as come.
    pub places: Option<Arc<Places>>,
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
    /// What its requests are to the sleep.
    pub keeps_awake: KeepsAwake,
}

impl Route {
    /// Whether its requests are for the app of this name.
    pub fn names_app(&self, name: &str) -> bool {
        self.verb == "app" && self.operand == name
    }
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
        let spec = Spec { pattern, below: None, hosts: vec![], socket: None, methods: MethodSet::Any };
        let router = Router::new(vec![spec]).expect("one route has no conflicts");
        let (path, keeps_awake) = ("/".into(), keeps_awake.into());
        let route =
            Route { verb, path, operand: String::new(), handler, chain: Chain::default(), keeps_awake };
        Self { router, routes: vec![route], places: None, is_provisional: true }
    }

    /// It is in force from now on.
    pub fn in_force(&self) {
        for route in &self.routes {
            route.handler.in_force();
        }
    }

    /// Answers one request.
    fn answer(site: &Arc<Self>, request: Request<Incoming>, exchange: Exchange) -> Reply {
        let asked = Asked::new(&request, exchange);
        let found = match site.way(&asked, request.headers()) {
            Way::To(found) => found,
            Way::Stray(response) => return Reply::ready(asked.stray(response)),
        };
        let Found { index, route, .. } = found;
        let place = match site.places.as_ref().map(Places::enter) {
            None => None,
            Some(Entry::Place(place)) => Some(place),
            Some(Entry::Full) => {
                let refused = asked.refuse(no_place());
                return Reply::ready(asked.finish(route, refused, Kept::default()));
            }
            Some(Entry::Wait(place)) => {
                return Reply::later(guarded(site.clone(), asked, request, Some(place)));
            }
        };
        if !route.chain.guards().is_empty() {
            let place = place.map(|place| std::future::ready(Some(place)));
            return Reply::later(guarded(site.clone(), asked, request, place));
        }
        let kept = Kept { place, permits: vec![], end: route.chain.waits.end() };
        if let Err(refusal) = route.check_length(request.headers()) {
            let refused = asked.refuse(refusal);
            return Reply::ready(asked.finish(route, refused, kept));
        }
        match found.handle(request, &asked.exchange) {
            Answer::Ready(response) => Reply::ready(asked.finish(route, response, kept)),
            Answer::Later(answer) => Reply::later(unguarded(site.clone(), index, asked, answer, kept)),
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

impl Route {
    /// Refuses a body that says itself that it is too large; of others, what is too much is not read.
    fn check_length(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(most) = self.chain.largest_body else { return Ok(()) };
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        match length {
            Some(length) if length > most => {
                Err(Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, headers: HeaderMap::new() })
            }
            _ => Ok(()),
        }
    }
}

impl Found<'_, '_> {
    /// Hands the request to the route's handler.
    fn handle(self, request: Request<Incoming>, exchange: &Exchange) -> Answer {
        exchange.set_route(&self.route.path);
        exchange.keeps_awake(self.route.keeps_awake);
        let chain = &self.route.chain;
        let request = request
            .map(|incoming| RequestBody::new(incoming, exchange, chain.largest_body, chain.waits.body));
        self.route
            .handler
            .answer(request, &RequestContext { exchange, rest: self.rest, captures: &self.captures })
    }
}

/// The rest of the way when the handler takes its time.
async fn unguarded(site: Arc<Site>, route: usize, asked: Asked, answer: Later, kept: Kept) -> Response<Held> {
    let route = &site.routes[route];
    let response = route.chain.waits.head(&asked.exchange, kept.end, answer).await;
    let response = response.unwrap_or_else(|| asked.too_late(route));
    asked.finish(route, response, kept)
}

/// The whole way on a route with guards, any of which may have to wait, or of a request that waits for a place.
async fn guarded(
    site: Arc<Site>,
    asked: Asked,
    request: Request<Incoming>,
    place: Option<impl Future<Output = Option<Place>>>,
) -> Response<Held> {
    // Found a second time: the first find borrows from a request that has moved since.
    let found = match site.way(&asked, request.headers()) {
        Way::To(found) => found,
        Way::Stray(response) => return asked.stray(response),
    };
    let route = found.route;
    let (waits, exchange) = (&route.chain.waits, asked.exchange.clone());
    let mut kept = Kept { end: waits.end(), ..Kept::default() };
    let end = kept.end;
    let admitting = async {
        if let Some(place) = place {
            kept.place = place.await;
        }
        admit(route, &asked, &request, &mut kept.permits).await
    };
    let admitting = while_wanted(&exchange, route.handler.ends_with_client(), admitting);
    // Who has left, or has waited for as long as an answer may take, has no place.
    let admitted = waits.head(&exchange, end, admitting).await.flatten().unwrap_or_else(|| Err(no_place()));
    if let Err(refusal) = admitted {
        let refused = asked.refuse(refusal);
        return asked.finish(route, refused, kept);
    }
    let response = match found.handle(request, &exchange) {
        Answer::Ready(response) => Some(response),
        Answer::Later(answer) => waits.head(&exchange, end, answer).await,
    };
    let response = response.unwrap_or_else(|| asked.too_late(route));
    asked.finish(route, response, kept)
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
    route.check_length(request.headers())
}

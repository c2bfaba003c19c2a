//! What is left to know of a request once its handler has it, and the last touches on its answer.

use http_body::Body as _;
use hyper::header::{ACCEPT, CONTENT_LENGTH, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use tokio::time::Instant;

use super::Route;
use crate::guard::{Held, Permit, Place, Refusal};
use crate::handler::accept::Format;
use crate::handler::{Body, Head, Refused, pages};
use crate::server::Exchange;

/// The statuses with which dormouse itself refuses. Scanners and probes live on them, so they are noise.
const REFUSALS: [StatusCode; 11] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::URI_TOO_LONG,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// What lasts as long as the answer.
#[derive(Default)]
pub(super) struct Kept {
    /// Its place among those in flight.
    pub place: Option<Place>,
    /// What the guards gave.
    pub permits: Vec<Permit>,
    /// When it is cut off.
    pub end: Option<Instant>,
}

/// A request after its head has been read.
pub(super) struct Asked {
    pub method: Method,
    pub uri: Uri,
    accept: Option<HeaderValue>,
    pub exchange: Exchange,
}

impl Asked {
    pub fn new<B>(request: &Request<B>, exchange: Exchange) -> Self {
        let accept = request.headers().get(ACCEPT).cloned();
        Self { method: request.method().clone(), uri: request.uri().clone(), accept, exchange }
    }

    /// The head again; the headers are the request's.
    pub fn head<'r>(&'r self, headers: &'r HeaderMap) -> Head<'r> {
        Head { method: &self.method, uri: &self.uri, headers }
    }

    /// An error page in the form the client likes.
    fn page_with(&self, status: StatusCode, id: Option<&str>) -> Response<Body> {
        let format = Format::of(self.accept.iter()).unwrap_or(Format::Plain);
        pages::error(status, format, self.uri.path(), id)
    }

    /// The answer of a guard that refused.
    pub fn refuse(&self, refusal: Refusal) -> Response<Body> {
        let mut page = self.page_with(refusal.status, None);
        page.headers_mut().extend(refusal.headers);
        page
    }

    /// The answer when the handler's own did not come in time.
    pub fn too_late(&self, route: &Route) -> Response<Body> {
        let id = self.exchange.new_id();
        let (path, verb) = (&route.path, route.verb);
        tracing::warn!(
            id, route = %path, verb,
            "no answer within timeouts.request or timeouts.total, answered 504 (id {id}) on route {path}"
        );
        self.page_with(StatusCode::GATEWAY_TIMEOUT, Some(&id))
    }

    /// Finishes an answer that no route gave. It is noise whatever its status.
    pub fn stray(self, response: Response<Body>) -> Response<Held> {
        self.exchange.keeps_awake(false);
        self.send("-", response, Kept::default())
    }

    /// Finishes a route's answer.
    pub fn finish(self, route: &Route, mut response: Response<Body>, kept: Kept) -> Response<Held> {
        route.chain.finish(&mut response);
        if is_refusal(&response) {
            self.exchange.keeps_awake(false);
        }
        self.send(route.verb, response, kept)
    }

    fn send(self, verb: &str, mut response: Response<Body>, kept: Kept) -> Response<Held> {
        if self.method == Method::HEAD {
            drop_body(&mut response);
        }
        let status = response.status().as_u16();
        let client = self.exchange.peer();
        tracing::debug!(target: "dormouse::access", %client, method = %self.method, uri = %self.uri, status, verb);
        response.map(|body| Held::new(body, kept.place, kept.permits, kept.end))
    }
}

fn is_refusal(response: &Response<Body>) -> bool {
    !response.status().is_success()
        && REFUSALS.contains(&response.status())
        && response.extensions().get::<Refused>().is_some()
}

/// Leaves of an answer to `HEAD` what it would have said about its body (RFC 9110 section 9.3.2). hyper does so for
/// HTTP/1 alone.
fn drop_body(response: &mut Response<Body>) {
    let body = std::mem::take(response.body_mut());
    let may_have_length = !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let (true, Some(length)) = (may_have_length, body.size_hint().exact()) {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_keeps_the_length_and_nothing_else() {
        let mut response = Response::new(Body::from("four"));
        drop_body(&mut response);
        assert_eq!(response.headers()[CONTENT_LENGTH], "4");
        assert!(response.body().is_end_stream());
        // What the handler says itself is right already.
        let mut response =
            Response::builder().header(CONTENT_LENGTH, 9).body(Body::Empty).expect("a response");
        drop_body(&mut response);
        assert_eq!(response.headers()[CONTENT_LENGTH], "9");
        let mut response = Response::builder().status(204).body(Body::Empty).expect("a response");
        drop_body(&mut response);
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
    }

    #[test]
    fn only_dormouse_itself_refuses() {
        let page = |status| pages::error(status, Format::Plain, "/", None);
        assert!(
            is_refusal(&page(StatusCode::NOT_FOUND)) && is_refusal(&page(StatusCode::SERVICE_UNAVAILABLE))
        );
        assert!(!is_refusal(&page(StatusCode::GATEWAY_TIMEOUT)));
        let theirs = Response::builder().status(404).body(Body::Empty).expect("a response");
        assert!(!is_refusal(&theirs));
    }
}

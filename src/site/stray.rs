//! Answers to requests that reach no route.

use hyper::header::{ALLOW, HeaderValue, LOCATION};
use hyper::{Method, Response, StatusCode};

use crate::handler::accept::Format;
use crate::handler::{Body, Head, pages, redirect};

fn page(head: &Head<'_>, status: StatusCode) -> Response<Body> {
    pages::error(status, Format::asked(head.headers), head.uri.path(), None)
}

/// Nothing there: 404. `OPTIONS *` asks about the server itself, which has nothing to say (RFC 9110 section 9.3.7).
pub(super) fn nothing(head: &Head<'_>) -> Response<Body> {
    if head.method == Method::OPTIONS && head.uri.path() == "*" {
        return empty(StatusCode::NO_CONTENT);
    }
    page(head, StatusCode::NOT_FOUND)
}

/// A place that takes other methods: 405 with `Allow`, or to `OPTIONS` just what it asked for.
pub(super) fn wrong_method(head: &Head<'_>, allowed: &[&Method]) -> Response<Body> {
    let names = allowed.iter().map(|method| method.as_str());
    let (mut response, names): (_, Vec<_>) = match head.method == Method::OPTIONS {
        true => (empty(StatusCode::NO_CONTENT), names.chain(["OPTIONS"]).collect()),
        false => (page(head, StatusCode::METHOD_NOT_ALLOWED), names.collect()),
    };
    // Methods are tokens, so they always make a header.
    if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
        response.headers_mut().insert(ALLOW, names);
    }
    response
}

/// The path of a subtree without its last slash: 308 to where it begins.
pub(super) fn slash_missing(head: &Head<'_>) -> Response<Body> {
    let Some(location) = redirect::with_slash(head.uri) else { return nothing(head) };
    let mut response = empty(StatusCode::PERMANENT_REDIRECT);
    response.headers_mut().insert(LOCATION, location);
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}

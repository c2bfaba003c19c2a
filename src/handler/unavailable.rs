//! What a bad config answers when no good one was ever seen: 503, so that the port lives on.

use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};

use super::accept::Format;
use super::{Answer, Body, Handler, Head, RequestBody, RequestContext, pages};

/// Answers everything with 503. What is wrong stands in the journal and in STATUS, not before strangers.
pub struct Unavailable;

impl Handler for Unavailable {
    fn answer(&self, request: Request<RequestBody>, _: &RequestContext<'_>) -> Answer {
        refusal(&Head::from(&request)).into()
    }
}

fn refusal(head: &Head<'_>) -> Response<Body> {
    let mut page =
        pages::error(StatusCode::SERVICE_UNAVAILABLE, Format::asked(head.headers), head.uri.path(), None);
    page.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    page
}

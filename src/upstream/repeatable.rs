//! Requests that may be asked again.

use hyper::{HeaderMap, Method, Request, Uri};

use crate::guard::RequestBody;

/// A request that may be asked again: it has no body, and asking twice is as good as once (RFC 9110 section 9.2.2).
pub struct Repeatable {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Repeatable {
    /// Whether this is one.
    pub fn may(request: &Request<RequestBody>) -> bool {
        request.method().is_idempotent() && http_body::Body::is_end_stream(request.body())
    }

    /// What is kept of it.
    pub fn of(request: &Request<RequestBody>) -> Self {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Self { method, uri, headers: request.headers().clone() }
    }

    /// The request again.
    pub fn request(self) -> Box<Request<RequestBody>> {
        let mut request = Box::new(Request::new(RequestBody::empty()));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

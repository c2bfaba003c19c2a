//! What is in a directory, as a page for people or as JSON for programs.

mod entries;
mod html;
mod json;
mod stamp;

use hyper::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS};
use hyper::http::request::Parts as RequestHead;
use hyper::{Response, StatusCode};
use rustix::io::Result;

use super::segments::Place;
use super::tree::Tree;
use crate::handler::Body;
use crate::handler::accept::Format;
use entries::Entries;

/// The page uses its own style and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Lists a directory: JSON for those who ask for JSON, else HTML. It waits for the disk: on the blocking pool.
pub fn list(
    tree: &Tree,
    place: &Place<'_>,
    request: &RequestHead,
    status: StatusCode,
) -> Result<Response<Body>> {
    let entries = Entries::read(tree, place)?;
    let (media_type, text) = match Format::asked(&request.headers) {
        Format::Json => ("application/json", json::page(&entries)),
        Format::Html | Format::Plain => {
            let is_root = place.path.is_empty();
            ("text/html; charset=utf-8", html::page(&entries, request.uri.path(), is_root))
        }
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

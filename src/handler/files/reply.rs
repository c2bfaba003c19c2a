//! From a file to its answer: conditions, ranges, headers, body.

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::SystemTime;

use hyper::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue,
    LAST_MODIFIED, RANGE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts as RequestHead;
use hyper::{HeaderMap, Method, Response, StatusCode};

use super::condition::{Verdict, allows_range, weigh};
use super::find::FoundFile;
use super::multipart::multipart;
use super::ranges::{Selection, select};
use super::read::{read_cached, read_waiting};
use super::stream::{FRAME_BYTES, FileBody, Part};
use super::tree::Patience;
use super::validators::Validators;
use crate::handler::Body;

/// Answers with a file. With a `status` that is no success there is nothing to be conditional or partial about
/// (RFC 9110 section 13.2.1): the file is a page about something else.
pub fn reply(
    found: FoundFile,
    request: &RequestHead,
    status: StatusCode,
    patience: Patience,
) -> Response<Body> {
    let validators = Validators::new(&found.facts, found.coding, SystemTime::now());
    let mut response = Response::new(Body::Empty);
    describe(response.headers_mut(), &found, &validators);
    if status.is_success() {
        match weigh(&request.headers, &validators) {
            Verdict::Go => {}
            Verdict::NotModified => return bare(response, StatusCode::NOT_MODIFIED),
            Verdict::Failed => return bare(response, StatusCode::PRECONDITION_FAILED),
        }
    }
    let is_rangeable = status == StatusCode::OK && request.method == Method::GET;
    let range =
        request.headers.get(RANGE).filter(|_| is_rangeable && allows_range(&request.headers, &validators));
    let size = found.facts.size;
    let content = match range.map_or(Selection::Whole, |range| select(range.as_bytes(), size)) {
        Selection::Whole => Content::whole(found.media_type.value, status, size),
        Selection::Parts(parts) => Content::parts(found.media_type.value, parts, size),
        Selection::Unsatisfiable => {
            response.headers_mut().insert(CONTENT_RANGE, ascii(format!("bytes */{size}")));
            return bare(response, StatusCode::RANGE_NOT_SATISFIABLE);
        }
    };
    attach(&mut response, content, found.file, &request.method, patience);
    response
}

/// What is sent of a file, and as what.
struct Content {
    status: StatusCode,
    media_type: HeaderValue,
    /// Set for a single range.
    range: Option<HeaderValue>,
    parts: Vec<Part>,
}

impl Content {
    fn whole(media_type: HeaderValue, status: StatusCode, size: u64) -> Self {
        Self { status, media_type, range: None, parts: vec![Part::Span(0..size)] }
    }

    fn parts(media_type: HeaderValue, ranges: Vec<Range<u64>>, size: u64) -> Self {
        let status = StatusCode::PARTIAL_CONTENT;
        if let [range] = ranges.as_slice() {
            let parts = vec![Part::Span(range.clone())];
            return Self { status, media_type, range: Some(ascii(content_range(range, size))), parts };
        }
        let (media_type, parts) = multipart(&ranges, &media_type, size);
        Self { status, media_type: ascii(media_type), range: None, parts }
    }
}

/// What holds of every answer about this file, also of a 304 (RFC 9110 section 15.4.5).
fn describe(headers: &mut HeaderMap, found: &FoundFile, validators: &Validators) {
    headers.reserve(10); // one allocation for all that follow
    headers.insert(ETAG, validators.etag.clone());
    if let Some(date) = validators.last_modified() {
        headers.insert(LAST_MODIFIED, date);
    }
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if found.media_type.is_compressible {
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    if let Some(coding) = found.coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
}

/// An answer without content, hence without its coding.
fn bare(mut response: Response<Body>, status: StatusCode) -> Response<Body> {
    response.headers_mut().remove(CONTENT_ENCODING);
    *response.status_mut() = status;
    response
}

/// Gives the answer its content; HEAD all but the body.
fn attach(
    response: &mut Response<Body>,
    content: Content,
    file: OwnedFd,
    method: &Method,
    patience: Patience,
) {
    *response.status_mut() = content.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content.media_type);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_LENGTH, content.parts.iter().map(Part::length_bytes).sum::<u64>().into());
    if let Some(range) = content.range {
        headers.insert(CONTENT_RANGE, range);
    }
    if *method != Method::HEAD {
        *response.body_mut() = body(file, content.parts, patience);
    }
}

/// A small piece is read here and goes out in one write with the head, if it can be had without waiting.
fn body(file: OwnedFd, parts: Vec<Part>, patience: Patience) -> Body {
    if let [Part::Span(span)] = parts.as_slice()
        && let Ok(length) = usize::try_from(span.end - span.start)
        && length <= FRAME_BYTES
    {
        if length == 0 {
            return Body::Empty;
        }
        let read = match patience {
            Patience::None => read_cached(&file, span.start, length),
            Patience::Full => read_waiting(&file, span.start, length).map(Some),
        };
        // Errors and half a piece: the stream meets them again, and knows what to do.
        if let Ok(Some(bytes)) = read
            && bytes.len() == length
        {
            return Body::Bytes(bytes);
        }
    }
    Body::File(Box::new(FileBody::new(file, parts)))
}

/// `bytes 0-9/100`
pub fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits and words are visible ASCII")
}

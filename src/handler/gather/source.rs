//! One of the addresses that are asked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, StatusCode, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::guard::{Client, RequestBody};
use crate::handler::placeholder::{Part, Template};
use crate::handler::proxy::forward;
use crate::handler::{Head, RequestContext, RouteShape};
use crate::schema::{Fault, Placed, Reader};
use crate::upstream::{Answered, Failure, How, Kind, Origin, Upstream, UpstreamSettings};

/// The largest answer of one, and of all together, in bytes.
const LARGEST: usize = 4 << 20;
const ALL_TOGETHER: usize = 16 << 20;

/// What would end a value's place in an address, or begin another one. What is encoded already stays so.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'&')
    .add(b'=')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// One of the addresses that are asked.
pub(super) struct Source {
    /// Its name in the answer.
    pub name: String,
    upstream: Arc<Upstream>,
    path: Template,
    /// The largest answer, in bytes.
    most: usize,
}

/// What came of asking.
pub(super) struct Gathered {
    took: Duration,
    outcome: Result<(StatusCode, Value), (StatusCode, String)>,
}

impl Source {
    /// Reads one; `None` if something is wrong, which the reader has been told.
    pub fn read(
        reader: &mut Reader<'_>,
        name: Placed<'_>,
        address: Placed<'_>,
        route: &RouteShape<'_>,
        count: usize,
    ) -> Option<Self> {
        let (origin, rest) = match Origin::parse_with_path(address.text) {
            Ok(parsed) => parsed,
            Err(error) => {
                reader.fault(Fault::new(address.place, error.to_string()).help(error.help()));
                return None;
            }
        };
        let path = match Template::parse(rest, route.parameters) {
            Ok(path) => path,
            Err(error) => {
                let help = error.help(route.parameters);
                reader.fault(Fault::new(address.place, error.to_string()).help(help));
                return None;
            }
        };
        let upstream = route.lasting.upstreams.get(UpstreamSettings::by_default(origin), Upstream::new);
        Some(Self {
            name: name.text.to_owned(),
            upstream,
            path,
            most: LARGEST.min(ALL_TOGETHER / count.max(1)),
        })
    }

    /// What it is asked; `None` if what would be filled in leads somewhere else.
    pub fn request(&self, head: &Head<'_>, context: &RequestContext<'_>) -> Option<Request<RequestBody>> {
        let mut target = String::new();
        for part in &self.path.parts {
            match part {
                Part::Literal(text) => target.push_str(text),
                Part::Value(source) => {
                    let value = source.value(head, context.captures);
                    if std::str::from_utf8(&value).is_ok_and(climbs) {
                        return None;
                    }
                    target.extend(percent_encode(&value, ENCODED));
                }
            }
        }
        if !target.starts_with('/') {
            target.insert(0, '/');
        }
        let mut request = Request::new(RequestBody::empty());
        *request.uri_mut() = Uri::from(PathAndQuery::from_maybe_shared(Bytes::from(target)).ok()?);
        let headers = request.headers_mut();
        headers.insert(HOST, self.upstream.origin().host_header());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        headers.insert(USER_AGENT, HeaderValue::from_static("dormouse"));
        let host = forward::asked_host(head.uri, head.headers);
        forward::introduce(headers, &Client::of(context.exchange), host.as_ref(), false);
        Some(request)
    }

    /// Asks, and reads the answer.
    pub async fn ask(&self, request: Request<RequestBody>, connect: Option<Duration>) -> Gathered {
        let begun = Instant::now();
        let how = How { connect, ..How::default() };
        let outcome = match self.upstream.ask(Box::new(request), &how).await {
            Ok(Answered::Plainly(answer)) => self.read_answer(answer).await,
            Ok(Answered::Upgraded(..)) => {
                Err((StatusCode::BAD_GATEWAY, "an upgrade nobody asked for".to_owned()))
            }
            Err((failure, _)) => Err((failure.status(), failure.to_string())),
        };
        Gathered { took: begun.elapsed(), outcome }
    }

    async fn read_answer(
        &self,
        answer: hyper::Response<crate::upstream::AnswerBody>,
    ) -> Result<(StatusCode, Value), (StatusCode, String)> {
        let (head, body) = answer.into_parts();
        let read = Limited::new(body, self.most).collect().await;
        let bytes = read.map(|read| read.to_bytes()).map_err(|error| {
            let why = match error.downcast_ref::<LengthLimitError>() {
                Some(_) => format!("its answer is larger than {} KiB", self.most >> 10),
                None => Failure::new(Kind::Closed, self.upstream.origin(), Some(error)).to_string(),
            };
            (StatusCode::BAD_GATEWAY, why)
        })?;
        let media_type =
            head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = essence == "application/json" || essence.ends_with("+json");
        let body = match serde_json::from_slice(&bytes) {
            Ok(json) if is_json => json,
            _ => String::from_utf8_lossy(&bytes).into_owned().into(),
        };
        Ok((head.status, body))
    }
}

/// A step up is none that the address meant, nor what some servers take for one.
fn climbs(value: &str) -> bool {
    let decoded: Vec<_> = percent_decode_str(value).collect();
    decoded.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| segment == b"." || segment == b"..")
}

impl Gathered {
    /// Whether it is none that was wanted: the status of an answer that fails by it, and why, for the journal.
    pub fn error(&self) -> Option<(StatusCode, String)> {
        match &self.outcome {
            Ok((status, _)) if status.is_server_error() => {
                Some((StatusCode::BAD_GATEWAY, format!("it answered {status}")))
            }
            Ok(_) => None,
            Err((status, why)) => Some((*status, why.clone())),
        }
    }

    /// Its part of the answer. Why there is none is the journal's, under the id.
    pub fn into_json(self, id: Option<&str>) -> Value {
        let ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        match self.outcome {
            Ok((status, body)) => json!({ "status": status.as_u16(), "ms": ms, "body": body }),
            Err((status, _)) => {
                let error =
                    if status == StatusCode::GATEWAY_TIMEOUT { "no answer in time" } else { "no answer" };
                json!({ "status": null, "ms": ms, "error": error, "id": id })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_leads_nowhere_else() {
        for value in ["..", ".", "a/../b", "%2e%2E", ".%2e", "..%2fb", "a%2F..", "..\\b", "..%5cb"] {
            assert!(climbs(value), "{value}");
        }
        for value in ["", "a..b", "...", "a/b", "1.2"] {
            assert!(!climbs(value), "{value}");
        }
    }
}

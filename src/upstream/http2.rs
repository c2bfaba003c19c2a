//! Upstreams that speak HTTP/2 with prior knowledge: one connection for all requests, unless each has to say whose it is.

use std::sync::Arc;
use std::time::Instant;

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::{CONNECTION, EXPECT, HOST, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::answer::AnswerBody;
use super::connect::connect;
use super::failure::{Failure, Kind};
use super::origin::Origin;
use super::pool::{Answered, How, Upstream};
use crate::guard::RequestBody;

/// How much of an answer may come before its client takes it: a second or so behind a slow link, and what a client that
/// takes nothing costs.
const WINDOW: u32 = 256 * 1024;

/// The connection's own window is never what holds a stream back (RFC 9113 section 6.9.1: no larger one is possible): a few
/// clients that take nothing would use it up for all others.
const OF_CONNECTION: u32 = (1 << 31) - 1;

/// The connection, if there is one.
#[derive(Debug, Default)]
pub struct Http2(tokio::sync::Mutex<Shared>);

#[derive(Debug, Default)]
struct Shared {
    sender: Option<SendRequest<RequestBody>>,
    /// When connecting last failed, and how: who has waited for that need not try again.
    failed: Option<(Instant, Kind)>,
}

impl Http2 {
    /// As [`Upstream::ask`].
    pub async fn ask(
        &self,
        upstream: &Arc<Upstream>,
        request: Request<RequestBody>,
        how: &How,
    ) -> Result<Answered, (Failure, Option<Box<Request<RequestBody>>>)> {
        let origin = upstream.origin();
        let (mut parts, mut body) = request.into_parts();
        // Its connection tells nobody of a 100 (Continue).
        parts.headers.remove(EXPECT);
        body.wait_for_nobody();
        let is_address = for_http2(origin, &mut parts).is_some();
        let mut request = Request::from_parts(parts, body);
        if !is_address {
            return Err((Failure::new(Kind::NoHost, origin, None), Some(Box::new(request))));
        }
        // Once more if the connection turns out to be closed before anything is written.
        for is_last in [false, true] {
            let (mut sender, is_used) = match self.sender(upstream, how).await {
                Ok(found) => found,
                Err(failure) => return Err((failure, Some(Box::new(request)))),
            };
            let mut unanswered = match sender.try_send_request(request).await {
                Ok(answer) => {
                    upstream.note_answer();
                    let answer = answer.map(|incoming| AnswerBody::new(incoming, upstream.clone(), None));
                    return Ok(Answered::Plainly(answer));
                }
                Err(unanswered) => unanswered,
            };
            let unwritten = unanswered.take_message();
            let failure = Failure::of_hyper(origin, unanswered.into_error());
            match unwritten {
                Some(unwritten) if is_used && !is_last => request = unwritten,
                unwritten => return Err((upstream.noted(failure), unwritten.map(Box::new))),
            }
        }
        unreachable!("the last turn returns")
    }

    /// The connection, and whether it has been used before.
    async fn sender(
        &self,
        upstream: &Arc<Upstream>,
        how: &How,
    ) -> Result<(SendRequest<RequestBody>, bool), Failure> {
        if how.hello.is_some() {
            return Ok((begin(upstream, how).await?, false)); // nobody else may ask in that client's name
        }
        let came = Instant::now();
        let mut shared = self.0.lock().await;
        if let Some(sender) = shared.sender.as_mut().filter(|sender| !sender.is_closed()) {
            return Ok((sender.clone(), true));
        }
        if let Some((_, kind)) = shared.failed.filter(|(at, _)| *at >= came) {
            return Err(Failure::new(kind, upstream.origin(), None));
        }
        match begin(upstream, how).await {
            Ok(sender) => {
                *shared = Shared { sender: Some(sender.clone()), failed: None };
                Ok((sender, false))
            }
            Err(failure) => {
                *shared = Shared { sender: None, failed: Some((Instant::now(), failure.kind)) };
                Err(failure)
            }
        }
    }
}

/// A new connection.
async fn begin(upstream: &Upstream, how: &How) -> Result<SendRequest<RequestBody>, Failure> {
    let origin = upstream.origin();
    let connected = connect(origin, how.hello.as_ref(), how.connect).await;
    let (wire, _) = connected.map_err(|failure| upstream.noted(failure))?;
    let mut builder = Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).max_header_list_size(128 * 1024);
    builder.initial_stream_window_size(WINDOW).initial_connection_window_size(OF_CONNECTION);
    let begun = builder.handshake(wire).await;
    let (sender, driver) = begun.map_err(|error| upstream.noted(Failure::of_hyper(origin, error)))?;
    // Ends with its last sender, or with the upstream's end of it; who waits for an answer is told of an error.
    tokio::spawn(async move { driver.await.is_ok() });
    Ok(sender)
}

/// The same request for HTTP/2: `Host` becomes part of the address, and nothing is about the connection (RFC 9113 section
/// 8.2.2), or hyper takes away what `Connection` names: `TE: trailers`, without which gRPC servers refuse.
fn for_http2(origin: &Origin, parts: &mut Parts) -> Option<()> {
    let host = parts.headers.remove(HOST).unwrap_or_else(|| origin.host_header());
    parts.headers.remove(CONNECTION);
    parts.headers.remove(TRANSFER_ENCODING);
    parts.uri = origin.absolute(&host, parts.uri.path_and_query()?.clone())?;
    parts.version = Version::HTTP_2;
    Some(())
}

//! Upstreams that speak HTTP/2 with prior knowledge: one connection for all requests.

use std::sync::Arc;

use hyper::Request;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::answer::AnswerBody;
use super::connect::connect;
use super::failure::{Failure, Kind};
use super::pool::{Answered, How, Upstream, for_http2};
use crate::guard::RequestBody;

/// The connection, if there is one.
#[derive(Debug, Default)]
pub struct Http2(tokio::sync::Mutex<Option<SendRequest<RequestBody>>>);

impl Http2 {
    /// As [`Upstream::ask`].
    pub async fn ask(
        &self,
        upstream: &Arc<Upstream>,
        request: Request<RequestBody>,
        how: &How,
    ) -> Result<Answered, (Failure, Option<Box<Request<RequestBody>>>)> {
        let origin = upstream.origin();
        let (mut parts, body) = request.into_parts();
        let is_address = for_http2(origin, &mut parts).is_some();
        let mut request = Request::from_parts(parts, body);
        if !is_address {
            return Err((Failure::new(Kind::Garbage, origin, None), Some(Box::new(request))));
        }
        // Once more if the connection turns out to be closed before anything is written.
        for is_last in [false, true] {
            let mut sender = match self.sender(upstream, how).await {
                Ok(sender) => sender,
                Err(failure) => return Err((failure, Some(Box::new(request)))),
            };
            let mut unanswered = match sender.try_send_request(request).await {
                Ok(answer) => {
                    let answer = answer.map(|incoming| AnswerBody::new(incoming, upstream.clone(), None));
                    return Ok(Answered::Plainly(answer));
                }
                Err(unanswered) => unanswered,
            };
            let unwritten = unanswered.take_message();
            let failure = Failure::of_hyper(origin, unanswered.into_error());
            match unwritten {
                Some(unwritten) if !is_last => request = unwritten,
                unwritten => return Err((upstream.noted(failure), unwritten.map(Box::new))),
            }
        }
        unreachable!("the last turn returns")
    }

    async fn sender(&self, upstream: &Arc<Upstream>, how: &How) -> Result<SendRequest<RequestBody>, Failure> {
        let mut connection = self.0.lock().await;
        if let Some(sender) = connection.as_mut().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let origin = upstream.origin();
        let connected = connect(origin, how.hello.as_ref(), how.connect).await;
        let (wire, _) = connected.map_err(|failure| upstream.noted(failure))?;
        let mut builder = Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).max_header_list_size(128 * 1024);
        let begun = builder.handshake(wire).await;
        let (sender, driver) = begun.map_err(|error| upstream.noted(Failure::of_hyper(origin, error)))?;
        // Ends with its last sender, or with the upstream's end of it; who waits for an answer is told of an error.
        tokio::spawn(async move { driver.await.is_ok() });
        *connection = Some(sender.clone());
        Ok(sender)
    }
}

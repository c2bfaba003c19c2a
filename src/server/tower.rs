//! A tower service behind the engine: axum, warp, tonic, anything.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{BoxError, Exchange, Serve};

/// A tower service as the engine serves it. Every request gets its own clone, and carries its [`Exchange`] as an
/// extension.
#[derive(Clone, Debug)]
pub struct Tower<S>(pub S);

impl<S, B> Serve for Tower<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
    type Future = ReadyThenCall<S>;

    fn serve(&self, mut request: Request<Incoming>, exchange: Exchange) -> Self::Future {
        request.extensions_mut().insert(exchange);
        ReadyThenCall { service: self.0.clone(), request: Some(request), answer: None }
    }
}

pin_project! {
    /// Waits until the service is ready, then calls it.
    pub struct ReadyThenCall<S: Service<Request<Incoming>>> {
        service: S,
        request: Option<Request<Incoming>>,
        #[pin]
        answer: Option<S::Future>,
    }
}

impl<S, B> Future for ReadyThenCall<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
{
    type Output = Result<Response<B>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.request.is_some() {
            ready!(this.service.poll_ready(cx)).map_err(Into::into)?;
        }
        if let Some(request) = this.request.take() {
            this.answer.set(Some(this.service.call(request)));
        }
        match this.answer.as_pin_mut() {
            Some(answer) => answer.poll(cx).map_err(Into::into),
            None => Poll::Pending, // never: a request was called with, or still is to be
        }
    }
}

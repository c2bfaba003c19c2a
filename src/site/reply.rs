//! An answer on its way to the engine.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Response;

use crate::guard::Held;
use crate::server::BoxError;

/// An answer: most are ready at once and cost no allocation.
pub struct Reply(State);

enum State {
    /// `None` once it has been taken.
    Ready(Option<Response<Held>>),
    Later(Pin<Box<dyn Future<Output = Response<Held>> + Send>>),
}

impl Reply {
    pub(super) fn ready(response: Response<Held>) -> Self {
        Self(State::Ready(Some(response)))
    }

    pub(super) fn later(response: impl Future<Output = Response<Held>> + Send + 'static) -> Self {
        Self(State::Later(Box::pin(response)))
    }
}

impl Future for Reply {
    type Output = Result<Response<Held>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            State::Ready(response) => {
                Poll::Ready(Ok(response.take().expect("a reply is not polled after its end")))
            }
            State::Later(response) => response.as_mut().poll(cx).map(Ok),
        }
    }
}

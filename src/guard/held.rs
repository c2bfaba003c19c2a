//! The body as the engine gets it: with everything that lasts as long as it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::{Permit, Place};
use crate::handler::Body;

/// An answer's body, with its place among those in flight, the permits it was given for and the time it may take.
pub struct Held {
    body: Body,
    _place: Option<Place>,
    with: Option<Box<With>>,
}

struct With {
    _permits: Vec<Permit>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl From<Body> for Held {
    fn from(body: Body) -> Self {
        Self { body, _place: None, with: None }
    }
}

impl Held {
    /// A body that keeps `place` and `permits` until its end, and is cut off with an error at `deadline`.
    pub fn new(body: Body, place: Option<Place>, permits: Vec<Permit>, deadline: Option<Instant>) -> Self {
        // What is in memory already ends by the write timeout.
        let deadline = deadline.filter(|_| !matches!(body, Body::Empty | Body::Bytes(_)));
        if permits.is_empty() && deadline.is_none() {
            return Self { body, _place: place, with: None };
        }
        let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        Self { body, _place: place, with: Some(Box::new(With { _permits: permits, deadline })) }
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if let Some(deadline) = this.with.as_mut().and_then(|with| with.deadline.as_mut())
            && deadline.as_mut().poll(cx).is_ready()
        {
            tracing::warn!("an answer was cut: it takes longer than it may (timeouts.total)");
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, "timeouts.total is over"))));
        }
        Pin::new(&mut this.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use http_body_util::BodyExt;

    use super::*;

    /// A body that never says anything.
    struct Silence;

    impl http_body::Body for Silence {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_cut_off_at_its_end_and_its_permits_go_with_it() {
        let permit = Arc::new(());
        let end = Instant::now() + Duration::from_secs(5);
        let mut held =
            Held::new(Body::Stream(Box::pin(Silence)), None, vec![Box::new(permit.clone())], Some(end));
        assert_eq!(Arc::strong_count(&permit), 2);
        let error = held.frame().await.expect("a frame").expect_err("the end");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(held);
        assert_eq!(Arc::strong_count(&permit), 1);
    }
}

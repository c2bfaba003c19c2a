//! An upstream's answer on its way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::Origin;
use super::pool::{Leased, Upstream};

/// The body of an upstream's answer: it drives the connection it comes on, and gives it back for the next request when
/// it has been read to its end. Dropped before that, it closes the connection: the upstream is not to go on.
#[derive(Debug)]
pub struct AnswerBody {
    incoming: Incoming,
    upstream: Arc<Upstream>,
    leased: Option<Leased>,
}

impl AnswerBody {
    pub(super) fn new(incoming: Incoming, upstream: Arc<Upstream>, leased: Option<Leased>) -> Self {
        Self { incoming, upstream, leased }
    }

    /// Whose it is.
    pub fn origin(&self) -> &Origin {
        self.upstream.origin()
    }

    /// Gives its place among the upstream's connections to others: it may last for ever.
    pub fn give_up_place(&mut self) {
        if let Some(leased) = &mut self.leased {
            leased.place = None;
        }
    }

    /// Another request may have the connection if there is nothing left to read.
    pub(super) fn give_back_if_over(&mut self, cx: &mut Context<'_>) {
        if self.incoming.is_end_stream() {
            self.give_back(cx);
        }
    }

    /// It has been read to its end: another request may have the connection.
    fn give_back(&mut self, cx: &mut Context<'_>) {
        let Some(Leased { mut conversation, place, is_single }) = self.leased.take() else {
            return;
        };
        if !is_single && conversation.is_ready(cx) {
            self.upstream.keep(conversation);
        }
        drop(place); // whoever waits for it finds the connection
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let mut polled = Pin::new(&mut this.incoming).poll_frame(cx);
        if polled.is_pending()
            && let Some(leased) = &mut this.leased
        {
            leased.conversation.drive(cx);
            polled = Pin::new(&mut this.incoming).poll_frame(cx);
        }
        match &polled {
            Poll::Ready(None) => this.give_back(cx),
            // Its length was said, and this may have been the last of it: who reads asks no more.
            Poll::Ready(Some(Ok(_))) => this.give_back_if_over(cx),
            Poll::Ready(Some(Err(_))) => this.leased = None,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

//! Work that is wanted only while its client is there.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::server::Exchange;

/// Waits for something as long as the client does; `None` when that has left. The connection looks again at whoever
/// answers when its client leaves, so no one else has to.
pub fn while_wanted<F: Future>(exchange: &Exchange, ends_with_client: bool, work: F) -> WhileWanted<'_, F> {
    WhileWanted { exchange, ends_with_client, work }
}

pin_project! {
    /// No `async fn`: that would have room for `work` twice.
    pub struct WhileWanted<'e, F> {
        exchange: &'e Exchange,
        ends_with_client: bool,
        #[pin]
        work: F,
    }
}

impl<F: Future> Future for WhileWanted<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.ends_with_client && self.exchange.is_gone() {
            return Poll::Ready(None);
        }
        self.project().work.poll(cx).map(Some)
    }
}

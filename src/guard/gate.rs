//! Whether a body is wanted that waits for `100 Continue`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::{Context, Poll};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use tokio::time::{Sleep, sleep};

/// How long a server that knows nothing of the expectation is waited for (RFC 9110 section 10.1.1: not for ever).
const PATIENCE: Duration = Duration::from_secs(1);

/// Closed until somebody opens it, or for a second.
#[derive(Debug, Default)]
pub struct Gate {
    shared: Arc<Shared>,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_open: AtomicBool,
    waker: AtomicWaker,
}

impl Clone for Gate {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), timer: None }
    }
}

impl Gate {
    /// Lets through whoever waits.
    pub fn open(&self) {
        self.shared.is_open.store(true, Release);
        self.shared.waker.wake();
    }

    /// Waits until it is open.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.waker.register(cx.waker());
        if self.shared.is_open.load(Acquire) {
            return Poll::Ready(());
        }
        self.timer.get_or_insert_with(|| Box::pin(sleep(PATIENCE))).as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_by_a_word_or_by_itself() {
        let begun = Instant::now();
        let gate = Gate::default();
        let mut waiting = gate.clone();
        tokio::spawn(async move {
            sleep(PATIENCE / 2).await;
            gate.open();
        });
        std::future::poll_fn(|cx| waiting.poll_open(cx)).await;
        assert_eq!(begun.elapsed(), PATIENCE / 2);
        let mut nobody = Gate::default();
        std::future::poll_fn(|cx| nobody.poll_open(cx)).await;
        assert_eq!(begun.elapsed(), PATIENCE / 2 + PATIENCE);
    }
}

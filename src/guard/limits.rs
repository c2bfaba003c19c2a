//! How long an answer may take.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// The times one exchange may take; `None` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// From the request until the answer's head; over, it is a 504.
    pub request: Option<Duration>,
    /// From the request until the last byte of the answer's body; over, the answer is cut off.
    pub total: Option<Duration>,
}

impl Limits {
    /// When the body must have ended of a request that came now.
    pub fn end(&self) -> Option<Instant> {
        self.total.map(|total| Instant::now() + total)
    }

    /// Waits for an answer's head as long as it may take; `None` if it took longer, and is dropped.
    pub async fn head<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        match self.request.into_iter().chain(self.total).min() {
            Some(limit) => tokio::time::timeout(limit, answer).await.ok(),
            None => Some(answer.await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_shorter_limit_ends_the_wait() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(60));
        let waits =
            async |request, total, takes| Limits { request, total }.head(tokio::time::sleep(takes)).await;
        assert!(waits(Some(long), None, short).await.is_some());
        assert!(waits(None, None, long).await.is_some());
        assert!(waits(Some(short), None, long).await.is_none());
        assert!(waits(Some(long), Some(short), long * 2).await.is_none());
    }
}

//! `timeouts`: how long one exchange may wait for what.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, sleep_until};

use crate::schema::{Fault, Key, Kind, Reader};
use crate::server::Exchange;

const fn wait(name: &'static str, default: &'static str, help: &'static str) -> Key {
    Key::new(name, Kind::DurationOrNever, help).default(default)
}

const BODY: Key = wait("body", "30s", "Between two reads of a request's body; over, it is a 408.");
const REQUEST: Key = wait(
    "request",
    "30s",
    "From the request, read whole, until the first byte of the answer; over, it is a 504. It does not run while an app \
     starts, nor on upgraded connections.",
);
const TOTAL: Key = wait("total", "never", "For a whole exchange, the answer's body included.");
const CONNECT: Key = wait("connect", "5s", "For a connection to an upstream; over, it is a 504.");
const IDLE: Key = wait(
    "idle",
    "60s",
    "Between two reads of an upstream's answer, which is cut off then. Not on event streams and upgraded connections.",
);

/// Those of `[timeouts]` that are about one exchange, and may stand in a route too.
pub const KEYS: [Key; 5] = [BODY, REQUEST, TOTAL, CONNECT, IDLE];

/// The same in a route, where those of the server stand in for what is not said.
pub(super) const OF_ROUTE: Key = Key::new(
    "timeouts",
    Kind::Table(&[bare(BODY), bare(REQUEST), bare(TOTAL), bare(CONNECT), bare(IDLE)]),
    "How long this route waits for what; by default as in [timeouts].",
)
.example(r#"{ request = "5m", total = "1h" }"#);

const fn bare(key: Key) -> Key {
    Key { default: None, ..key }
}

/// How long one exchange may wait for what; `None` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Between two reads of the request's body; over, it is a 408.
    pub body: Option<Duration>,
    /// From the request until the answer's head; over, it is a 504. Measured from [`Exchange::waited_for_since`].
    pub request: Option<Duration>,
    /// From the request until the last byte of the answer's body; over, the answer is cut off.
    pub total: Option<Duration>,
    /// For a connection to an upstream; over, it is a 504.
    pub connect: Option<Duration>,
    /// Between two reads of an upstream's answer; over, the answer is cut off.
    pub idle: Option<Duration>,
}

impl Waits {
    /// Reads `[timeouts]`.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            body: reader.duration_or_never(&BODY),
            request: reader.duration_or_never(&REQUEST),
            total: reader.duration_or_never(&TOTAL),
            connect: reader.duration_or_never(&CONNECT),
            idle: reader.duration_or_never(&IDLE),
        }
    }

    /// These, unless the route's own `timeouts` says otherwise. `of_others` are the waits for others that mean something
    /// to its verb.
    pub(super) fn or_of_route(mut self, reader: &mut Reader<'_>, of_others: &[&str]) -> Self {
        let Some(mut table) = reader.table(&OF_ROUTE) else { return self };
        for key in [CONNECT, IDLE] {
            if table.has(&key) && !of_others.contains(&key.name) {
                let what = format!("this route waits for nobody as long as `{}` says", key.name);
                let fault = Fault::new(&table.place(&key), what);
                table.fault(fault.help("leave it out"));
            }
        }
        let all = [
            (BODY, &mut self.body),
            (REQUEST, &mut self.request),
            (TOTAL, &mut self.total),
            (CONNECT, &mut self.connect),
            (IDLE, &mut self.idle),
        ];
        for (key, wait) in all {
            if table.has(&key) {
                *wait = table.duration_or_never(&key);
            }
        }
        self
    }

    /// When the body must have ended of a request that came now.
    pub fn end(&self) -> Option<Instant> {
        self.total.map(|total| Instant::now() + total)
    }

    /// Waits for an answer's head as long as it may take; `None` if it took longer, and is dropped.
    pub async fn head<T>(
        &self,
        exchange: &Exchange,
        end: Option<Instant>,
        answer: impl Future<Output = T>,
    ) -> Option<T> {
        if self.request.is_none() && end.is_none() {
            return Some(answer.await);
        }
        let since = || exchange.waited_for_since().map(Instant::from_std);
        head(self.request, end, since, answer).await
    }
}

/// `since` is asked again whenever the limit seems to be over: it may have moved, or stand still (`None`).
async fn head<T>(
    request: Option<Duration>,
    end: Option<Instant>,
    since: impl Fn() -> Option<Instant>,
    answer: impl Future<Output = T>,
) -> Option<T> {
    // Begun anew at any moment within it, it is not over before that.
    let due = || request.map(|request| since().unwrap_or_else(Instant::now) + request);
    let next = |due: Option<Instant>| due.into_iter().chain(end).min().unwrap_or_else(Instant::now);
    let mut answer = pin!(answer);
    let mut timer = pin!(sleep_until(next(due())));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        // An answer that always finds something to read uses up this turn's budget, and the timer goes without it.
        while pin!(unconstrained(timer.as_mut())).poll(cx).is_ready() {
            let now = Instant::now();
            let at = next(due());
            if at <= now {
                return Poll::Ready(None);
            }
            timer.as_mut().reset(at);
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::sleep;

    use super::*;

    const SHORT: Duration = Duration::from_secs(1);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn the_shorter_limit_ends_the_wait() {
        let waits = async |request, total: Option<Duration>, takes| {
            let now = Instant::now();
            head(request, total.map(|total| now + total), || Some(now), sleep(takes)).await
        };
        assert!(waits(Some(LONG), None, SHORT).await.is_some());
        assert!(waits(Some(SHORT), None, LONG).await.is_none());
        assert!(waits(Some(LONG), Some(SHORT), LONG * 2).await.is_none());
        assert!(waits(None, Some(SHORT), LONG).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_measured_from_what_the_answer_had_to_wait_for() {
        let begun = Instant::now();
        // The client is waited for until second 100, then the answer until 60 s later.
        let since = Cell::new(None);
        let restart = async {
            sleep(Duration::from_secs(100)).await;
            since.set(Some(Instant::now()));
            std::future::pending::<()>().await;
        };
        assert!(head(Some(LONG), None, || since.get(), restart).await.is_none());
        assert_eq!(begun.elapsed(), Duration::from_secs(160));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_exchange_waits_for_nobody() {
        let begun = Instant::now();
        let end = Some(begun + SHORT);
        assert!(head(Some(LONG), end, || None, std::future::pending::<()>()).await.is_none());
        assert_eq!(begun.elapsed(), SHORT);
    }
}

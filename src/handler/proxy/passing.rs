//! An upstream's answer on its way to the client, and what may end it before its end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::Options;
use super::pass::First;
use crate::app::Lease;
use crate::server::Exchange;
use crate::upstream::AnswerBody;

/// The body of an answer that did not come in one piece.
pub struct Passing {
    first: First,
    body: AnswerBody,
    exchange: Exchange,
    ends_with_client: bool,
    /// For the next piece; `None`: for ever.
    idle: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    events: Option<Events>,
    lease: Option<Lease>,
    /// With what it is to be cut at the next look.
    broken: Option<io::Error>,
    is_over: bool,
}

/// A stream of events ends, when it has to, between two of them: its client comes again by itself.
struct Events {
    /// Resolves when it has to end.
    leaving: Pin<Box<dyn Future<Output = ()> + Send>>,
    has_to_end: bool,
    /// The last bytes that were passed.
    tail: [u8; 4],
}

impl Passing {
    pub(super) fn new(
        first: First,
        mut body: AnswerBody,
        exchange: Exchange,
        options: &Options,
        is_event_stream: bool,
        mut lease: Option<Lease>,
    ) -> Self {
        if is_event_stream {
            body.give_up_place();
        }
        let events = is_event_stream.then(|| {
            let stream = lease.as_mut().map(|lease| lease.become_stream(&exchange));
            Events {
                leaving: Box::pin(leaving(exchange.clone(), stream)),
                has_to_end: false,
                tail: *b"\n\n\n\n",
            }
        });
        Self {
            first,
            body,
            exchange,
            ends_with_client: options.ends_with_client,
            idle: options.waits.idle.filter(|_| !is_event_stream),
            timer: None,
            is_waiting: false,
            events,
            lease,
            broken: None,
            is_over: false,
        }
    }

    /// Nothing has come yet.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(idle) = self.idle else { return Poll::Pending };
        let timer = match &mut self.timer {
            Some(timer) => timer,
            none => none.insert(Box::pin(sleep(idle))),
        };
        if !std::mem::replace(&mut self.is_waiting, true) {
            timer.as_mut().reset(Instant::now() + idle);
        }
        timer.as_mut().poll(cx)
    }

    /// Nothing more comes of it: whoever was kept awake for it is let go. Its connection goes with the body, which hyper
    /// drops.
    fn end(&mut self) {
        self.is_over = true;
        self.lease = None;
    }

    fn cut(&mut self, kind: io::ErrorKind, why: &'static str) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.end();
        tracing::debug!(peer = %self.exchange.peer(), "an answer was cut: {why}");
        Poll::Ready(Some(Err(io::Error::new(kind, why))))
    }

    fn passed(&mut self, frame: &Frame<Bytes>) {
        self.is_waiting = false;
        if let Some(lease) = &self.lease {
            lease.moved();
        }
        if let (Some(events), Some(data)) = (&mut self.events, frame.data_ref()) {
            events.pass(data);
        }
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if this.is_over {
            return Poll::Ready(None);
        }
        if this.ends_with_client && this.exchange.is_gone() {
            return this.cut(io::ErrorKind::BrokenPipe, "its client has left");
        }
        if this.events.as_mut().is_some_and(|events| events.poll_end(cx).is_ready()) {
            this.end();
            return Poll::Ready(None);
        }
        let polled = match this.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut this.body).poll_frame(cx),
        };
        if polled.is_pending() && this.poll_overdue(cx).is_ready() {
            let route = this.exchange.route().map_or("-", |route| route);
            tracing::warn!(
                route,
                "an answer on route {route} was cut: its upstream sends no more (timeouts.idle)"
            );
            return this.cut(io::ErrorKind::TimedOut, "its upstream sends no more of it (timeouts.idle)");
        }
        match ready!(polled) {
            Some(Ok(frame)) => {
                this.passed(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                let route = this.exchange.route().map_or("-", |route| route);
                tracing::warn!(
                    route,
                    "an answer on route {route} was cut: its upstream broke it off: {error}"
                );
                this.end();
                // hyper drops what it holds when a body breaks. What came before this is the client's, the head at least.
                this.broken = Some(io::Error::new(io::ErrorKind::UnexpectedEof, "its upstream broke it off"));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                this.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && (self.is_over || (self.first.is_none() && self.body.is_end_stream()))
    }

    fn size_hint(&self) -> SizeHint {
        if self.first.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }
}

impl Events {
    fn pass(&mut self, data: &[u8]) {
        let keep = data.len().min(self.tail.len());
        self.tail.rotate_left(keep);
        let at = self.tail.len() - keep;
        self.tail[at..].copy_from_slice(&data[data.len() - keep..]);
    }

    /// Resolves when it has to end and no event is under way.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.has_to_end {
            ready!(self.leaving.as_mut().poll(cx));
            self.has_to_end = true;
        }
        // An event ends with an empty line, and a line with LF, CR, or both.
        let is_between = [&b"\n\n"[..], b"\r\r", b"\n\r\n"].iter().any(|end| self.tail.ends_with(end));
        if is_between { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Resolves when a stream has to end: the process drains, or it or the app falls asleep over it.
pub(super) async fn leaving(exchange: Exchange, app: Option<impl Future<Output = ()>>) {
    let sent_off = async {
        match app {
            Some(app) => app.await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = exchange.draining() => {}
        () = sent_off => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_events_ends_between_two() {
        let mut events =
            Events { leaving: Box::pin(std::future::ready(())), has_to_end: false, tail: *b"\n\n\n\n" };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut ends = |data: &str| {
            events.pass(data.as_bytes());
            events.poll_end(&mut cx).is_ready()
        };
        assert!(ends(""));
        assert!(!ends("data: 1"));
        assert!(!ends("\n"));
        assert!(ends("\n"));
        assert!(!ends("id: 5\ndata: x"));
        assert!(ends("\r\n\r\n"));
        assert!(ends("data\r\r"));
        assert!(!ends("a"));
    }
}

//! A request's body as handlers get it: no larger than it may be, and read no slower.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use super::client::Client;
use super::gate::Gate;
use crate::server::Exchange;

/// How much later than this one the connection's own limit is.
const BEHIND: Duration = Duration::from_secs(5);

/// What a handler reads of a request beyond its head.
#[derive(Debug, Default)]
pub struct RequestBody(Option<Box<Reading>>);

/// Why a body came to no good end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than `limits.body`: 413.
    #[error("the request's body is larger than limits.body")]
    TooLarge,
    /// Its client has sent nothing more for as long as `timeouts.body`: 408.
    #[error("the client sends no more of its request (timeouts.body)")]
    TimedOut,
    /// Its client is gone, or what it sends is no body.
    #[error("the request's body is broken off")]
    Broken(#[source] hyper::Error),
}

/// A body that is not over yet.
#[derive(Debug)]
struct Reading {
    incoming: Incoming,
    exchange: Exchange,
    /// How many more bytes may come.
    left: Option<u64>,
    wait: Option<Duration>,
    /// Runs while the client is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    /// Nothing is read before it opens.
    gate: Option<Gate>,
}

impl RequestBody {
    /// The body of a request that has come; nothing is read of it yet.
    pub fn new(incoming: Incoming, exchange: &Exchange, most: Option<u64>, wait: Option<Duration>) -> Self {
        if incoming.is_end_stream() {
            return Self(None);
        }
        // The connection's own limit is for bodies that nobody reads.
        exchange.set_body_timeout(wait.map(|wait| wait.saturating_add(BEHIND)));
        let exchange = exchange.clone();
        Self(Some(Box::new(Reading {
            incoming,
            exchange,
            left: most,
            wait,
            timer: None,
            is_waiting: false,
            gate: None,
        })))
    }

    /// Holds it back until whoever is to read it says that it is wanted (`Expect: 100-continue`), or says nothing for a
    /// second (RFC 9110 section 10.1.1). The client sends it when it is first read.
    pub fn wait_for_word(&mut self) -> Gate {
        let gate = Gate::default();
        if let Some(reading) = &mut self.0 {
            reading.gate = Some(gate.clone());
        }
        gate
    }

    /// It is wanted, whatever it was to wait for.
    pub fn wait_for_nobody(&mut self) {
        if let Some(reading) = &mut self.0 {
            reading.gate = None;
        }
    }

    /// No body at all.
    pub const fn empty() -> Self {
        Self(None)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(reading) = &mut self.0 else { return Poll::Ready(None) };
        let polled = ready!(reading.poll_frame(cx));
        if !matches!(polled, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|reading| reading.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |reading| reading.incoming.size_hint())
    }
}

impl Reading {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(gate) = &mut self.gate {
            ready!(gate.poll_open(cx));
            self.gate = None;
        }
        let polled = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Pending => return self.poll_overdue(cx).map(|()| Some(Err(BodyError::TimedOut))),
            Poll::Ready(polled) => polled,
        };
        self.is_waiting = false;
        self.exchange.restart_wait();
        let mut frame = match polled {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Broken(error)))),
            Some(Ok(frame)) => frame,
        };
        if let Some(trailers) = frame.trailers_mut() {
            Client::of(&self.exchange).clean(trailers); // some servers make headers of them
        }
        let len = frame.data_ref().map_or(0, Bytes::len) as u64;
        if let Some(left) = &mut self.left {
            match left.checked_sub(len) {
                Some(rest) => *left = rest,
                None => return Poll::Ready(Some(Err(BodyError::TooLarge))),
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    /// The client is waited for, so nobody else is.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let begins = !std::mem::replace(&mut self.is_waiting, true);
        if begins {
            self.exchange.pause_wait();
        }
        let Some(wait) = self.wait else { return Poll::Pending };
        let timer = match &mut self.timer {
            Some(timer) => timer,
            none => none.insert(Box::pin(sleep(wait))),
        };
        if begins {
            timer.as_mut().reset(Instant::now() + wait);
        }
        timer.as_mut().poll(cx)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.is_waiting {
            self.exchange.restart_wait();
        }
    }
}

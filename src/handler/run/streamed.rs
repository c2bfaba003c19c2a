//! An answer that is on its way while its program runs.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::answer::{LESS, last_words};
use super::output::Output;
use super::running::{Running, broken};
use crate::process::Owner;
use crate::server::Exchange;

/// What is left to read of an answer.
pub(super) struct Reading {
    pub first: Option<Bytes>,
    pub output: Output,
    /// How long it said it would be.
    pub left: Option<u64>,
    /// The last byte of that: it goes out when the program has ended well, for nothing can be said after it.
    pub last: Option<Bytes>,
}

/// A program's output, as it comes. It ends in order only if the program does.
pub(super) struct Streamed {
    pub running: Running,
    pub reading: Reading,
    pub exchange: Exchange,
    pub ends_with_client: bool,
    pub owner: Owner,
    pub is_over: bool,
    /// What it will say next, if that is an error.
    pub error: Option<io::Error>,
}

impl Streamed {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.ends_with_client && self.exchange.is_gone() {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if let Some(first) = self.reading.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(piece) = ready!(self.reading.output.poll_piece(&mut self.running, cx)) else {
            let end = ready!(self.running.poll_end(cx));
            if end.is_success() {
                return Poll::Ready(None);
            }
            let (why, error) = (last_words(end), broken(end));
            self.log(&why);
            return Poll::Ready(Some(Err(error)));
        };
        Poll::Ready(Some(Ok(piece)))
    }

    fn log(&self, why: &str) {
        let (id, owner) = (self.exchange.new_id(), &self.owner);
        tracing::error!(id, route = owner.name(), "{owner}: its answer was cut (id {id}): {why}");
    }

    /// Of an answer that said how long it would be: no more than that, and an error if it is less.
    fn measured(&mut self, piece: Option<Bytes>) -> Option<io::Result<Bytes>> {
        let Some(left) = &mut self.reading.left else { return piece.map(Ok) };
        match piece {
            Some(mut piece) => {
                piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= piece.len() as u64;
                if *left == 0 && !piece.is_empty() {
                    self.reading.last = Some(piece.split_off(piece.len() - 1));
                }
                Some(Ok(piece))
            }
            None if *left > 0 => {
                self.log(LESS);
                Some(Err(io::Error::other(LESS)))
            }
            None => self.reading.last.take().map(Ok),
        }
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if let Some(error) = this.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        while !this.is_over {
            let polled = match ready!(this.poll_piece(cx)) {
                Some(Ok(piece)) => this.measured(Some(piece)),
                Some(Err(error)) => Some(Err(error)),
                None => this.measured(None),
            };
            this.is_over = !matches!(polled, Some(Ok(_)));
            match polled {
                Some(Ok(piece)) if piece.is_empty() => {} // more than it said
                Some(Ok(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                // What came before it goes out first: hyper would drop it, and the head with it.
                Some(Err(error)) => {
                    this.error = Some(error);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {}
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        let last = self.reading.last.as_ref().map_or(0, Bytes::len) as u64;
        self.reading.left.map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + last))
    }
}

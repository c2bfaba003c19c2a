//! HTTP/1 on a transport: the bytes as hyper is to see them, one request at a time.
//!
//! hyper reads heads only whole and only when the answer before has been handed to the kernel; what a client sends
//! ahead waits here. So the moment a connection becomes idle is known exactly, and that is where its hold ends.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::lifecycle::Hold;
use crate::server::buffer;
use crate::server::framing::Refusal;
use crate::server::framing::body::Follower;
use crate::server::framing::head::{Head, Scanner};
use crate::server::link::Link;
use crate::server::record::State;
use crate::server::transport::Transport;

/// Whose turn it is on the wire.
#[derive(Debug)]
enum Turn {
    /// The client's, with a request: nothing of it has come, empty lines at most.
    Before,
    /// The client's, with a head.
    Head(Scanner),
    /// The client's, with the rest of the request whose head hyper has.
    Body(Follower),
    /// Nobody's any more: the rest of the request cannot be told from what follows it.
    Broken(Refusal),
    /// Ours, with the answer.
    Answer,
    /// Nobody's: upgraded, bytes pass as they are.
    Tunnel,
}

/// The transport as hyper sees it.
pub struct Framed<T: Transport> {
    link: Arc<Link<T>>,
    /// From the first byte of a head until its answer is flushed.
    hold: Option<Hold>,
    turn: Turn,
    /// Read from the kernel, not yet given to hyper.
    held: BytesMut,
    /// How much of `held` hyper may have now.
    pass: usize,
    /// hyper wanted to read while it was our turn.
    is_parked: bool,
    /// Something was read when a drain was past its grace: what follows it is not waited for.
    is_last: bool,
}

impl<T: Transport> Framed<T> {
    /// A connection whose first bytes have come: `held`, under the hold it was accepted with.
    pub fn new(link: Arc<Link<T>>, held: BytesMut, hold: Hold) -> Self {
        let turn = Turn::Before;
        link.record.is_over.store(false, Relaxed);
        Self { link, hold: Some(hold), turn, held, pass: 0, is_parked: false, is_last: false }
    }

    /// Reads from the kernel to where hyper wants it, and keeps what is not hyper's yet.
    fn poll_fill(&mut self, cx: &mut Context<'_>, cursor: &mut ReadBufCursor<'_>) -> Poll<io::Result<usize>> {
        let len = ready!(self.link.poll_read(cx, buffer::unfilled(cursor)))?;
        self.is_last |= self.link.is_past_grace();
        let read = buffer::just_read(cursor, len);
        let before = self.before_head(read);
        let share = if before == 0 { self.share_of_hyper(read)? } else { 0 }; // its share begins where the bytes do
        self.held.extend_from_slice(&read[before.max(share)..]);
        buffer::commit(cursor, share);
        Poll::Ready(Ok(len))
    }

    /// How many of these bytes, the next on the wire, are empty lines before a request. Any other begins its head.
    fn before_head(&mut self, bytes: &[u8]) -> usize {
        if !matches!(self.turn, Turn::Before) {
            return 0;
        }
        match self.link.record.skip_empty_lines(bytes) {
            Ok(taken) if taken == bytes.len() => taken,
            Ok(taken) => {
                self.turn = Turn::Head(Scanner::default());
                self.begin();
                taken
            }
            Err(refusal) => {
                self.begin();
                self.link.refuse(refusal);
                0
            }
        }
    }

    /// How many of these bytes, the next on the wire, are hyper's now.
    fn share_of_hyper(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let share = match &mut self.turn {
            Turn::Tunnel => bytes.len(),
            Turn::Answer | Turn::Broken(_) | Turn::Before => 0,
            Turn::Body(follower) => follower.advance(bytes).map_err(malformed)?,
            Turn::Head(scanner) => match scanner.scan(bytes) {
                Ok(Some(head)) => self.take_head(head, bytes),
                Ok(None) => 0,
                Err(refusal) => {
                    self.begin();
                    self.link.refuse(refusal);
                    0
                }
            },
        };
        if matches!(&self.turn, Turn::Body(follower) if follower.is_done()) {
            self.turn = Turn::Answer;
        }
        Ok(share)
    }

    /// A head is whole at the start of `read`: it and what follows of its body are hyper's.
    fn take_head(&mut self, head: Head, read: &[u8]) -> usize {
        self.begin();
        let record = &self.link.record;
        record.set_state(State::Busy);
        record.reading_since.store(0, Relaxed);
        let mut follower = Follower::new(head.body);
        let (turn, body) = match follower.advance(&read[head.len..]) {
            Ok(body) => (Turn::Body(follower), body),
            Err(refusal) => (Turn::Broken(refusal), 0), // the body's reader is to hear of it, not the head's
        };
        self.turn = turn;
        let ahead = &read[head.len + body..];
        let is_request = |byte: &u8| !matches!(byte, b'\r' | b'\n');
        self.link.record.has_next.store(!self.is_last && ahead.iter().any(is_request), Relaxed);
        head.len + body
    }

    /// Looks at what is held, and lets hyper have what is its.
    fn release(&mut self) -> io::Result<()> {
        self.drop_empty_lines();
        let held = std::mem::take(&mut self.held);
        self.pass = self.share_of_hyper(&held)?;
        self.held = held;
        Ok(())
    }

    /// Leaves nothing of what is held, if only empty lines are.
    fn drop_empty_lines(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        let before = self.before_head(&held);
        held.advance(before);
        self.held = if held.is_empty() { BytesMut::new() } else { held };
    }

    /// The first bytes of a head: from here on the connection must not be left.
    fn begin(&mut self) {
        if self.hold.is_none() {
            // Refused only once the process has committed, which it does not while this connection is open.
            self.hold = self.link.shared.activity.hold();
        }
    }

    /// The rest of a head that came in pieces; `false` at the peer's end.
    fn poll_more_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let len = ready!(self.link.poll_read_more(cx, &mut self.held))?;
        self.is_last |= self.link.is_past_grace();
        Poll::Ready(Ok(len > 0))
    }

    /// Notes since when the client is waited for.
    fn wait_for_client(&mut self) {
        let record = &self.link.record;
        match &self.turn {
            Turn::Head(_) if record.state() != State::Head => record.set_state(State::Head),
            Turn::Body(_) if record.reading_since.load(Relaxed) == 0 => {}
            _ => return, // New or Idle: noted when it became that
        }
        record.reading_since.store(self.link.shared.activity.since_origin(), Relaxed);
    }

    /// What has been handed to the kernel may be part of a stream that is not held for, or the request waits quietly.
    fn release_hold(&mut self) {
        if self.link.record.unheld.count() > 0 {
            self.hold = None;
        }
    }

    /// The answer has been handed to the kernel whole.
    fn answered(&mut self, cx: &mut Context<'_>) {
        match self.turn {
            _ if self.link.record.state() == State::Tunnel => {
                self.turn = Turn::Tunnel;
                self.release_hold();
            }
            Turn::Answer => self.next_request(),
            // The request's body is still coming: hyper reads it out, or closes.
            Turn::Body(_) | Turn::Broken(_) | Turn::Before | Turn::Head(_) | Turn::Tunnel => return,
        }
        self.link.record.is_answered.store(false, Relaxed);
        if std::mem::take(&mut self.is_parked) {
            cx.waker().wake_by_ref();
        }
    }

    /// The client's turn: idle from here on, unless it has sent the next request, or part of it, already.
    fn next_request(&mut self) {
        self.turn = Turn::Before;
        self.drop_empty_lines();
        let Link { record, shared, .. } = &*self.link;
        let now = self.link.extend_if_counted().unwrap_or_else(|| shared.activity.since_origin());
        record.reading_since.store(now, Relaxed);
        if self.held.is_empty() {
            record.set_state(State::Idle);
            self.hold = None;
        } else {
            record.set_state(State::Head);
            self.begin(); // not to be left; a stream before it may not have been held for
        }
    }
}

impl<T: Transport> Read for Framed<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.pass == 0 && !this.held.is_empty() {
                this.release()?;
            }
            if this.link.is_refused() {
                return Poll::Ready(Ok(())); // hyper sees the end; the refusal is written once it has let go
            }
            if this.link.body_timed_out() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            if this.pass > 0 {
                let some = this.pass.min(cursor.remaining());
                cursor.put_slice(&this.held[..some]);
                this.held.advance(some);
                this.pass -= some;
                return Poll::Ready(Ok(()));
            }
            let polled = match &this.turn {
                Turn::Broken(refusal) => return Poll::Ready(Err(malformed(*refusal))),
                Turn::Answer => {
                    this.is_parked = true;
                    return Poll::Pending;
                }
                Turn::Head(_) => this.poll_more_head(cx),
                _ => {
                    let before = cursor.remaining();
                    let filled = this.poll_fill(cx, &mut cursor).map_ok(|len| len > 0);
                    if cursor.remaining() < before {
                        this.link.record.reading_since.store(0, Relaxed);
                        return Poll::Ready(Ok(()));
                    }
                    filled
                }
            };
            match polled {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    this.wait_for_client();
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<T: Transport> Write for Framed<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.link.poll_write(cx, &[IoSlice::new(from)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.link.poll_write(cx, from)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes its transport only when its own buffer is empty: what was answered is with the kernel.
        let this = self.get_mut();
        if let Some(hold) = this.link.record.regained.take() {
            this.hold = Some(hold);
        }
        if this.link.record.is_answered.load(Relaxed) {
            this.answered(cx);
        } else if matches!(this.turn, Turn::Answer) {
            this.release_hold();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.link.is_refused() {
            return Poll::Ready(Ok(())); // the refusal is still to be written
        }
        Poll::Ready(self.link.transport.half_close())
    }
}

impl<T: Transport> Drop for Framed<T> {
    fn drop(&mut self) {
        self.link.ended();
    }
}

fn malformed(refusal: Refusal) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, refusal.reason())
}

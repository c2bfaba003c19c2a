//! HTTP/2 on a transport: the bytes as they are, followed on their way in both directions.
//!
//! The connection holds the process while a stream is open, that is until END_STREAM is with the kernel.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::lifecycle::Hold;
use crate::lifecycle::story::count;
use crate::server::buffer;
use crate::server::framing::frames::Streams;
use crate::server::link::Link;
use crate::server::record::State;
use crate::server::transport::Transport;

/// The transport as hyper sees it.
pub struct Followed<T: Transport> {
    link: Arc<Link<T>>,
    hold: Option<Hold>,
    streams: Streams,
    /// The stream whose head was under way at the last look.
    head: Option<u32>,
    /// Read while telling HTTP/1 from HTTP/2, not yet given to hyper.
    held: BytesMut,
}

impl<T: Transport> Followed<T> {
    /// A connection whose preface has come: `held`, under the hold it was accepted with.
    pub fn new(link: Arc<Link<T>>, held: BytesMut, hold: Hold) -> Self {
        Self { link, hold: Some(hold), streams: Streams::default(), head: None, held }
    }

    /// Streams may have opened or closed: holds while one is open. `is_progress`: something of a message came or went; a
    /// PING is none, or it would keep a body waited for that never comes.
    fn weigh(&mut self, is_progress: bool) {
        let Link { record, shared, .. } = &*self.link;
        // A request that counts has ended: noted now, while its stream or another still holds.
        self.link.extend_if_counted();
        if self.streams.open() > 0 {
            if record.state() != State::Busy {
                record.reading_since.store(0, Relaxed);
                record.set_state(State::Busy);
            }
            self.hold = match self.hold.take() {
                _ if self.streams.open() <= record.unheld.count() => None,
                None => shared.activity.hold(),
                hold => hold,
            };
            let head = self.streams.head_under_way();
            self.link.awaits_head.store(head.is_some(), Relaxed);
            let is_same_head = head.is_some() && head == std::mem::replace(&mut self.head, head);
            let since = match record.reading_since.load(Relaxed) {
                _ if !self.streams.awaits_client() => 0,
                since if since != 0 && (is_same_head || !is_progress) => since,
                _ => shared.activity.since_origin(),
            };
            record.reading_since.store(since, Relaxed);
        } else if record.state() != State::Idle {
            record.reading_since.store(shared.activity.since_origin(), Relaxed);
            record.set_state(State::Idle);
            self.hold = None;
        }
    }

    /// Streams may have begun to wait quietly, or waited enough, and neither moves a byte.
    fn note_waiting(&mut self) {
        if let Some(hold) = self.link.record.regained.take() {
            self.hold = Some(hold);
        }
        // All of them begun: else the hold is that of what is still to come. It is not taken here: what is left to write
        // of a stream that was asked to end, to a client that does not take it, is not to be waited for.
        if self.streams.any_ever() && self.streams.open() <= self.link.record.unheld.count() {
            self.hold = None;
        }
    }
}

impl<T: Transport> Read for Followed<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_progress = if this.held.is_empty() {
            let len = ready!(this.link.poll_read(cx, buffer::unfilled(&mut cursor)))?;
            let is_progress = this.streams.received(buffer::just_read(&mut cursor, len));
            buffer::commit(&mut cursor, len);
            is_progress
        } else {
            let some = this.held.len().min(cursor.remaining());
            let is_progress = this.streams.received(&this.held[..some]);
            cursor.put_slice(&this.held[..some]);
            this.held.advance(some);
            is_progress
        };
        this.weigh(is_progress);
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> Write for Followed<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(from)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(this.link.poll_write(cx, from))?;
        let mut left = written;
        let mut is_progress = false;
        for slice in from {
            let some = left.min(slice.len());
            is_progress |= this.streams.sent(&slice[..some]);
            left -= some;
        }
        this.weigh(is_progress);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().note_waiting();
        Poll::Ready(Ok(())) // what was written is with the kernel
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.link.transport.half_close())
    }
}

impl<T: Transport> Drop for Followed<T> {
    fn drop(&mut self) {
        self.link.ended();
        if !self.streams.any_ever() {
            count(&self.link.shared.tally.noise);
        }
    }
}

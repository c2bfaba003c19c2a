//! One connection as everything on it sees it: its transport, its record, and what all connections share.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;

use super::buffer;
use super::deadline::after;
use super::framing::Refusal;
use super::record::{Record, State};
use super::shared::{Shared, Stage};
use super::transport::{Transport, Unread};

/// One connection. Dropped with the last of its users (hyper, its task, an upgraded stream), it closes the socket and
/// leaves the roll.
#[derive(Debug)]
pub struct Link<T> {
    /// The bytes.
    pub transport: T,
    /// The record.
    pub record: Arc<Record>,
    /// What all connections share.
    pub shared: Arc<Shared>,
    refusal: AtomicU8,
    has_body_timed_out: AtomicBool,
    /// The last write found no room.
    is_blocked: AtomicBool,
    /// It speaks HTTP/2.
    pub is_http2: AtomicBool,
    /// Among its streams is one whose head is not whole. HTTP/2 only.
    pub awaits_head: AtomicBool,
    /// When the first GOAWAY went out; 0: not yet. HTTP/2 only.
    pub(super) goodbye_since: AtomicU64,
}

/// Whether an idle connection can be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// A request is there: serve it.
    Stay,
    /// Our side is closed.
    HalfClosed,
}

impl<T: Transport> Link<T> {
    /// A new connection, entered in the roll.
    pub fn new(transport: T, record: Arc<Record>, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            transport,
            record,
            shared,
            refusal: AtomicU8::new(0),
            has_body_timed_out: AtomicBool::new(false),
            is_blocked: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
            awaits_head: AtomicBool::new(false),
            goodbye_since: AtomicU64::new(0),
        })
    }

    /// Reads into a buffer of ours, which grows when something comes.
    pub fn poll_read_more(&self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        buffer::append(into, |room| self.poll_read(cx, room))
    }

    /// Reads from the kernel.
    pub fn poll_read(&self, cx: &mut Context<'_>, into: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
        let len = ready!(self.transport.poll_read(cx, into))?;
        self.moved(len);
        Poll::Ready(Ok(len))
    }

    /// Bytes have moved: on some streams that restarts the clock.
    fn moved(&self, len: usize) {
        if len > 0 && self.record.unheld.stirs() {
            self.shared.activity.extend();
        }
    }

    /// Writes, noting since when the peer takes nothing.
    pub fn poll_write(&self, cx: &mut Context<'_>, from: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = self.transport.poll_write(cx, from);
        self.is_blocked.store(written.is_pending(), Relaxed);
        let since = &self.record.writing_since;
        match (&written, since.load(Relaxed)) {
            (Poll::Pending, 0) => since.store(self.shared.activity.since_origin(), Relaxed),
            (Poll::Pending, _) | (Poll::Ready(_), 0) => {}
            (Poll::Ready(_), _) => since.store(0, Relaxed),
        }
        if let Poll::Ready(Ok(len)) = written {
            self.moved(len);
        }
        written
    }

    /// Whether an idle connection is to close: so that the process can sleep, or for a newcomer.
    pub fn is_to_leave(&self) -> bool {
        self.record.is_asked_to_leave() || self.shared.closes_idle()
    }

    /// Looks what the kernel holds and, in the same breath, closes our side if it holds nothing.
    pub fn leave_if_quiet(&self) -> Leave {
        if self.transport.unread() == Unread::Bytes {
            return Leave::Stay;
        }
        self.record.set_state(State::Lingering);
        // An error means the peer is gone: as good as closed.
        let _ = self.transport.half_close();
        Leave::HalfClosed
    }

    /// Whether the client has sent another request already: then this answer is not the last one.
    pub fn has_next(&self) -> bool {
        let has_sent_more = || !self.is_past_grace() && self.transport.unread() == Unread::Bytes;
        self.record.has_next.load(Relaxed) || has_sent_more()
    }

    /// Whether a drain has lasted longer than the grace: only what was read before is answered, or a client that always
    /// sends one more request ahead would never be told the end.
    pub fn is_past_grace(&self) -> bool {
        if self.shared.stage() != Stage::Drain {
            return false;
        }
        let grace = self.shared.with_settings(|settings| settings.sleep.grace);
        after(self.shared.stage_since(), Some(grace))
            .is_some_and(|at| self.shared.activity.since_origin() > at)
    }

    /// Restarts the clock if a request that counts has ended since this was last asked; when that was, in the
    /// activity's nanoseconds. Asked before the connection's hold ends.
    pub fn extend_if_counted(&self) -> Option<u64> {
        // Looked at before it is taken: an HTTP/2 connection asks at every write.
        let counts = &self.record.counts;
        (counts.load(Acquire) && counts.swap(false, AcqRel)).then(|| self.shared.activity.extend())
    }

    /// hyper has let go of the connection. What was in hand, if anything, ends after this: see [`super::in_flight`].
    pub fn ended(&self) {
        // Noted before the hold ends: nobody may see the count at zero with the old time.
        self.extend_if_counted();
        self.record.is_over.store(true, Release);
        self.record.regained.clear();
    }

    /// Refuses the request under way: hyper is told the connection ends, the answer is written after it let go.
    pub fn refuse(&self, refusal: Refusal) {
        self.refusal.store(refusal as u8, Release);
    }

    /// Whether the request under way is refused.
    pub fn is_refused(&self) -> bool {
        self.refusal.load(Relaxed) != 0
    }

    /// Why the request under way is refused.
    pub fn refusal(&self) -> Option<Refusal> {
        Refusal::from_number(self.refusal.load(Relaxed))
    }

    /// The body stalled: its reader gets an error.
    pub fn time_out_body(&self) {
        self.has_body_timed_out.store(true, Release);
    }

    /// Whether the body stalled.
    pub fn body_timed_out(&self) -> bool {
        self.has_body_timed_out.load(Relaxed)
    }

    /// Notes that the first GOAWAY goes out.
    pub fn say_goodbye(&self) {
        self.goodbye_since.store(self.shared.activity.since_origin(), Relaxed);
    }

    /// Whether the first GOAWAY has gone out.
    pub fn has_said_goodbye(&self) -> bool {
        self.goodbye_since.load(Relaxed) != 0
    }

    /// An HTTP/2 client that opens no window takes nothing, though no write waits: all answers are ready for it.
    pub fn note_untaken_answers(&self) {
        let record = &self.record;
        let is_all_ready = record.in_flight.load(Relaxed) == record.untaken.load(Relaxed);
        let is_untaken = self.is_blocked.load(Relaxed) || (record.state() == State::Busy && is_all_ready);
        match (is_untaken, record.writing_since.load(Relaxed)) {
            (true, 0) => record.writing_since.store(self.shared.activity.since_origin(), Relaxed),
            (true, _) | (false, 0) => {}
            (false, _) => record.writing_since.store(0, Relaxed),
        }
    }
}

impl<T> Drop for Link<T> {
    fn drop(&mut self) {
        self.shared.roll.leave(&self.record);
        self.shared.tell_left();
    }
}

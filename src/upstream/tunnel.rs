//! An upgraded connection: bytes both ways, and a goodbye when it has to end.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use hyper::rt::{Read, ReadBuf, Write};
use hyper::upgrade::Upgraded;
use tokio::time::{Instant, sleep_until};

use super::websocket::{self, Frames};
use super::wire::Wire;

/// How much is read at a time, each way; as much may wait for the other side.
const PIECE: usize = 16 * 1024;

/// How long both sides have to end after they were told goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long the other direction of a WebSocket may last when one has ended: there are no half-open ones.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// A mask need not be secret here, only there (RFC 6455 section 5.3 protects from what the page's author chooses, and a
/// code is not).
const MASK: [u8; 4] = [0x64, 0x6d, 0x73, 0x65];

/// What is spoken on an upgraded connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// WebSocket (RFC 6455): there is a goodbye, between two frames.
    WebSocket,
    /// Anything else: a FIN is all the goodbye there is.
    Other,
}

/// Both ends of an upgraded connection.
pub struct Tunnel {
    /// The client.
    pub client: Upgraded,
    /// The upstream.
    pub upstream: Wire,
    /// What has been read of the upstream already.
    pub read: Bytes,
    /// What they speak.
    pub language: Language,
}

/// One direction.
struct Way {
    held: BytesMut,
    /// Follows a WebSocket's frames.
    frames: Option<Frames>,
    /// A goodbye is to be said here as soon as a frame has ended.
    is_to_end: bool,
    goodbye: Bytes,
    /// Nothing more is read: its end was seen, or our goodbye was said.
    is_read_out: bool,
    /// Its end was seen.
    has_ended: bool,
    is_shut: bool,
}

impl Tunnel {
    /// Passes bytes until both sides have ended, or one is broken. When `leaving` resolves both are told goodbye, and
    /// have a moment to end: a socket that is closed while they still talk answers with a reset, which may overtake the
    /// goodbye. `moved` is told of each piece.
    ///
    /// # Errors
    /// When a side is broken.
    pub async fn pass(self, leaving: impl Future<Output = ()>, moved: impl Fn()) -> io::Result<()> {
        let Self { mut client, mut upstream, read, language } = self;
        let mut down = Way::new(language, websocket::close_frame(websocket::GOING_AWAY, None));
        let mut up = Way::new(language, websocket::close_frame(websocket::GOING_AWAY, Some(MASK)));
        down.take(&read);
        let mut leaving = pin!(leaving);
        let (mut is_leaving, mut is_half_over) = (false, false);
        let mut deadline = pin!(sleep_until(Instant::now()));
        std::future::poll_fn(|cx| {
            if !is_leaving && leaving.as_mut().poll(cx).is_ready() {
                is_leaving = true;
                (down.is_to_end, up.is_to_end) = (true, true);
                deadline.as_mut().reset(Instant::now() + GOODBYE);
            }
            let downwards = down.poll(cx, &mut upstream, &mut client, &moved)?;
            let upwards = up.poll(cx, &mut client, &mut upstream, &moved)?;
            if downwards.is_ready() && upwards.is_ready() {
                return Poll::Ready(Ok(()));
            }
            let is_one_over = downwards.is_ready() || upwards.is_ready();
            if language == Language::WebSocket && is_one_over && !is_half_over && !is_leaving {
                is_half_over = true;
                deadline.as_mut().reset(Instant::now() + LAST_WORDS);
            }
            if is_leaving || is_half_over {
                return deadline.as_mut().poll(cx).map(Ok);
            }
            Poll::Pending
        })
        .await
    }
}

impl Way {
    fn new(language: Language, goodbye: Bytes) -> Self {
        let (frames, goodbye) = match language {
            Language::WebSocket => (Some(Frames::default()), goodbye),
            Language::Other => (None, Bytes::new()),
        };
        let held = BytesMut::new();
        Self { held, frames, is_to_end: false, goodbye, is_read_out: false, has_ended: false, is_shut: false }
    }

    /// Bytes that came from one side, for the other.
    fn take(&mut self, bytes: &[u8]) {
        let Some(frames) = &mut self.frames else {
            self.held.extend_from_slice(bytes);
            return;
        };
        // With a goodbye to say: up to the end of the frame under way, and nothing after it.
        let end = if self.is_to_end { frames.clone().advance(bytes) } else { None };
        let bytes = &bytes[..end.unwrap_or(bytes.len())];
        frames.advance(bytes);
        self.held.extend_from_slice(bytes);
    }

    /// Says goodbye once a frame has ended; nothing is passed on after it.
    fn end_if_due(&mut self) {
        if !self.is_to_end || self.is_read_out {
            return;
        }
        let is_between = self.frames.as_ref().is_none_or(Frames::is_between);
        if is_between {
            if !self.frames.as_ref().is_some_and(Frames::is_closed) {
                self.held.extend_from_slice(&self.goodbye);
            }
            self.is_read_out = true;
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl Read + Unpin),
        to: &mut (impl Write + Unpin),
        moved: &impl Fn(),
    ) -> io::Result<Poll<()>> {
        while !self.is_shut {
            self.end_if_due();
            while !self.held.is_empty() {
                match Pin::new(&mut *to).poll_write(cx, &self.held)? {
                    Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(len) => self.held.advance(len),
                    Poll::Pending => return Ok(Poll::Pending),
                }
            }
            self.held = BytesMut::new(); // idle connections keep nothing
            if Pin::new(&mut *to).poll_flush(cx)?.is_pending() {
                return Ok(Poll::Pending);
            }
            if self.is_read_out {
                // Who is gone already needs no goodbye.
                self.is_shut = Pin::new(&mut *to).poll_shutdown(cx).is_ready();
                if !self.is_shut {
                    return Ok(Poll::Pending);
                }
                break;
            }
            let mut space = [std::mem::MaybeUninit::uninit(); PIECE];
            let mut buffer = ReadBuf::uninit(&mut space);
            match Pin::new(&mut *from).poll_read(cx, buffer.unfilled())? {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(()) if buffer.filled().is_empty() => {
                    (self.is_read_out, self.has_ended) = (true, true);
                }
                Poll::Ready(()) => {
                    moved();
                    let bytes = buffer.filled();
                    self.take(bytes);
                }
            }
        }
        Ok(self.poll_end(cx, from))
    }

    /// Reads what still comes after our goodbye, for nobody.
    fn poll_end(&mut self, cx: &mut Context<'_>, from: &mut (impl Read + Unpin)) -> Poll<()> {
        while !self.has_ended {
            let mut space = [std::mem::MaybeUninit::uninit(); PIECE];
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut *from).poll_read(cx, buffer.unfilled()));
            self.has_ended = read.is_err() || buffer.filled().is_empty();
        }
        Poll::Ready(())
    }
}

//! What a program prints, piece by piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::unix::pipe::Receiver;

use super::running::Running;
use crate::process::LONGEST_REST;

/// The largest piece; a pipe has no more at once by default (pipe(7)).
const PIECE: usize = 64 * 1024;

/// Reads what a program prints.
pub(super) struct Output {
    buffer: BytesMut,
    /// How much more is read of a program that has ended.
    rest: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), rest: LONGEST_REST }
    }
}

impl Output {
    /// The next piece; `None` when it has ended and all it printed has been read.
    pub fn poll_piece(&mut self, running: &mut Running, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // Asked first: somebody to whom it left its pipe may print without end.
        if running.poll_end(cx).is_ready() {
            return Poll::Ready(self.take_rest(running));
        }
        let Some(stdout) = &mut running.stdout else { return Poll::Pending };
        match ready!(self.poll_read(stdout, cx)) {
            Ok(piece) if !piece.is_empty() => Poll::Ready(Some(piece)),
            _ => {
                running.stdout = None; // its end; an error is one too
                Poll::Pending
            }
        }
    }

    /// The next piece, or its absence.
    pub async fn piece(&mut self, running: &mut Running) -> Option<Bytes> {
        std::future::poll_fn(|cx| self.poll_piece(running, cx)).await
    }

    fn poll_read(&mut self, stdout: &mut Receiver, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        self.buffer.reserve(PIECE);
        let space = self.buffer.spare_capacity_mut();
        let most = space.len().min(PIECE);
        let mut space = ReadBuf::uninit(&mut space[..most]);
        ready!(Pin::new(stdout).poll_read(cx, &mut space))?;
        let count = space.filled().len();
        // SAFETY: these were just filled.
        #[allow(unsafe_code)]
        unsafe {
            self.buffer.advance_mut(count);
        }
        Poll::Ready(Ok(self.buffer.split().freeze()))
    }

    /// What is left of a program that has ended. The kernel is asked: tokio may not know of it yet.
    fn take_rest(&mut self, running: &mut Running) -> Option<Bytes> {
        let stdout = running.stdout.as_ref()?;
        let mut piece = vec![0; PIECE.min(self.rest)];
        let count = rustix::io::read(stdout, &mut piece[..]).unwrap_or(0);
        self.rest -= count;
        if count == 0 {
            running.stdout = None;
            return None;
        }
        piece.truncate(count);
        Some(piece.into())
    }
}

/// Reads what nobody wants, so that who prints it does not wait for ever.
pub(super) async fn discard(mut stdout: Receiver) {
    let mut piece = vec![0; PIECE / 8];
    while stdout.read(&mut piece).await.is_ok_and(|count| count > 0) {}
}

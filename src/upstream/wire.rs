//! The bytes of a connection to an upstream, as hyper wants them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::server::buffer;
use crate::server::transport::{Socket, Transport};

/// A connection to an upstream.
#[derive(Debug)]
pub enum Wire {
    /// The bytes as they are.
    Plain(Plain),
    /// Within TLS.
    #[cfg(feature = "tls")]
    Tls(Box<super::connect::tls::Stream>),
}

/// A socket that can be looked at while hyper has it.
#[derive(Clone, Debug)]
pub struct Plain(pub Arc<Socket>);

impl Read for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let len = ready!(self.0.poll_read(cx, buffer::unfilled(&mut cursor)))?;
        buffer::commit(&mut cursor, len);
        Poll::Ready(Ok(()))
    }
}

impl Plain {
    /// What an upstream takes no more is as good as written: it may have answered before (413, and a close with the rest
    /// unread), which the next read tells, or that it has not.
    fn write(&self, cx: &mut Context<'_>, from: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        match ready!(self.0.poll_write(cx, from)) {
            Err(error) if matches!(error.kind(), BrokenPipe | ConnectionReset) => {
                Poll::Ready(Ok(from.iter().map(|piece| piece.len()).sum()))
            }
            written => Poll::Ready(written),
        }
    }
}

impl Write for Plain {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, &[IoSlice::new(from)])
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // what was written is with the kernel
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.half_close())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, from)
    }
}

/// Hands a call on to whichever it is.
macro_rules! hand_on {
    ($wire:expr, $trait:ident :: $method:ident ( $($argument:expr),* )) => {
        match $wire {
            Wire::Plain(plain) => $trait::$method(Pin::new(plain), $($argument),*),
            #[cfg(feature = "tls")]
            Wire::Tls(stream) => $trait::$method(Pin::new(&mut **stream), $($argument),*),
        }
    };
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        hand_on!(self.get_mut(), Read::poll_read(cx, cursor))
    }
}

impl Write for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        hand_on!(self.get_mut(), Write::poll_write(cx, from))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        hand_on!(self.get_mut(), Write::poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        hand_on!(self.get_mut(), Write::poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.is_write_vectored(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        hand_on!(self.get_mut(), Write::poll_write_vectored(cx, from))
    }
}

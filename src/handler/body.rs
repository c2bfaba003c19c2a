//! The one body type of the daemon's answers.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::StatusCode;

use super::files::FileBody;
use super::proxy::Passing;

/// An answer's body.
#[derive(Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// All of it, in memory.
    Bytes(Bytes),
    /// Pieces of a file; boxed, for most answers need no such thing.
    File(Box<FileBody>),
    /// An upstream's, as it comes.
    Upstream(Box<Passing>),
    /// Left out of the answer to a HEAD request; nobody knows how long it would have been.
    Absent,
    /// Anything that comes in pieces, with trailers if it likes.
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = io::Error> + Send>>),
}

/// Whether answers with this status have no body (RFC 9110 section 6.4.1).
pub(super) fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() { Self::Empty } else { Self::Bytes(bytes) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        match this {
            Self::Empty | Self::Absent => Poll::Ready(None),
            Self::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::File(file) => Pin::new(file.as_mut()).poll_frame(cx),
            Self::Upstream(passing) => Pin::new(passing.as_mut()).poll_frame(cx),
            Self::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Absent => true,
            Self::Bytes(_) => false,
            Self::File(file) => file.is_end_stream(),
            Self::Upstream(passing) => passing.is_end_stream(),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Absent => SizeHint::default(),
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::File(file) => file.size_hint(),
            Self::Upstream(passing) => passing.size_hint(),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

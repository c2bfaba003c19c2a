//! A file on its way to a client: one frame in memory at a time, whatever its size.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use super::read::{read_cached, read_waiting};
use crate::handler::Body;

/// The most that is read at once; also the biggest file that is sent in one piece.
pub const FRAME_BYTES: usize = 64 * 1024;

/// A piece of the answer.
pub enum Part {
    /// Bytes of our own, between pieces of the file.
    Text(Bytes),
    /// These bytes of the file.
    Span(Range<u64>),
}

/// Pieces of one open file, in order. It ends with an error, and so with the connection cut, when the file turns out
/// shorter than was announced; what is appended meanwhile is not sent. Dropping it closes the file.
pub struct FileBody {
    file: Arc<OwnedFd>,
    parts: VecDeque<Part>,
    left_bytes: u64,
    /// A read on the blocking pool.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

/// All of a file of our own.
///
/// # Errors
/// When it cannot be opened.
pub fn whole_file(path: &Path) -> io::Result<Body> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok(Body::File(Box::new(FileBody::new(file.into(), [Part::Span(0..length)]))))
}

impl FileBody {
    /// Sends these parts.
    pub(super) fn new(file: OwnedFd, parts: impl Into<VecDeque<Part>>) -> Self {
        let parts = parts.into();
        let left_bytes = parts.iter().map(Part::length_bytes).sum();
        Self { file: Arc::new(file), parts, left_bytes, reading: None }
    }

    /// The next bytes of the file, from here or from the pool.
    fn poll_read(&mut self, cx: &mut Context<'_>, span: &Range<u64>) -> Poll<io::Result<Bytes>> {
        let task = match &mut self.reading {
            Some(task) => task,
            None => {
                let (offset, length) = (span.start, frame_length(span));
                if let Some(bytes) = read_cached(&*self.file, offset, length)? {
                    return Poll::Ready(Ok(bytes));
                }
                let file = self.file.clone();
                self.reading.insert(spawn_blocking(move || read_waiting(&*file, offset, length)))
            }
        };
        let read = ready!(Pin::new(task).poll(cx));
        self.reading = None;
        Poll::Ready(read.map_err(io::Error::other)?)
    }

    /// Takes what was sent off the first part.
    fn advance(&mut self, sent: u64) {
        self.left_bytes -= sent;
        match self.parts.front_mut() {
            Some(Part::Span(span)) if span.end - span.start > sent => span.start += sent,
            _ => drop(self.parts.pop_front()),
        }
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let bytes = match this.parts.front() {
            None => return Poll::Ready(None),
            Some(Part::Text(text)) => text.clone(),
            Some(Part::Span(span)) => match ready!(this.poll_read(cx, &span.clone())) {
                Ok(bytes) if bytes.is_empty() => {
                    let error = "the file became shorter while it was being sent";
                    return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error))));
                }
                Ok(bytes) => bytes,
                Err(error) => return Poll::Ready(Some(Err(error))),
            },
        };
        this.advance(bytes.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}

impl Part {
    /// Its length in the answer.
    pub fn length_bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Span(span) => span.end - span.start,
        }
    }
}

fn frame_length(span: &Range<u64>) -> usize {
    usize::try_from(span.end - span.start).map_or(FRAME_BYTES, |left| left.min(FRAME_BYTES))
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;
    use crate::handler::files::scratch::Scratch;

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
    }

    #[tokio::test]
    async fn parts_come_in_order_and_frames_are_bounded() {
        let scratch = Scratch::new();
        let content = pattern(300_000);
        scratch.write("a", &content);
        let parts = [
            Part::Text("<".into()),
            Part::Span(5..200_000),
            Part::Text("|".into()),
            Part::Span(299_990..300_000),
        ];
        let mut body = FileBody::new(scratch.open("a").into(), parts);
        assert_eq!(body.size_hint().exact(), Some(199_995 + 10 + 2));
        let mut sent = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= FRAME_BYTES);
            sent.extend_from_slice(&data);
            assert_eq!(body.size_hint().exact(), Some(199_995 + 12 - sent.len() as u64));
        }
        assert!(body.is_end_stream());
        assert!(sent == [b"<", &content[5..200_000], b"|", &content[299_990..]].concat());
    }

    #[tokio::test]
    async fn what_is_not_in_memory_is_read_on_the_pool() {
        let scratch = Scratch::new();
        let content = pattern(500_000);
        scratch.write("a", &content);
        let file = scratch.open("a");
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let body = FileBody::new(file.into(), [Part::Span(0..500_000)]);
        assert!(body.collect().await.unwrap().to_bytes() == content);
    }

    #[tokio::test]
    async fn a_file_that_shrinks_is_an_error_and_one_that_grows_is_not_sent_on() {
        let scratch = Scratch::new();
        scratch.write("a", &pattern(100_000));
        let mut body = FileBody::new(scratch.open("a").into(), [Part::Span(0..100_000)]);
        body.frame().await.unwrap().unwrap();
        scratch.write("a", &pattern(200_000));
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 100_000 - FRAME_BYTES);

        let mut body = FileBody::new(scratch.open("a").into(), [Part::Span(0..200_000)]);
        body.frame().await.unwrap().unwrap();
        scratch.write("a", b"");
        assert_eq!(body.frame().await.unwrap().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

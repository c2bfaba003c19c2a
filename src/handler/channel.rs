//! A body that a task writes, piece by piece, no faster than it is read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

/// How many pieces may wait.
const PIECES: usize = 4;

/// A body that a task writes. It ends when the task drops its side.
#[derive(Debug)]
pub struct Channel(mpsc::Receiver<Bytes>);

impl Channel {
    /// The body, and where its pieces go.
    pub fn new() -> (mpsc::Sender<Bytes>, Self) {
        let (to, from) = mpsc::channel(PIECES);
        (to, Self(from))
    }
}

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

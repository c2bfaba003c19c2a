//! One HTTP/1 connection to an upstream, driven by whoever uses it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};

use super::wire::{Plain, Wire};
use crate::guard::RequestBody;
use crate::server::transport::{Transport, Unread};

/// The largest head of an answer, in bytes; hyper keeps no more of a connection.
const LARGEST_HEAD: usize = 128 * 1024;

/// A connection on which one request after the other is asked.
#[derive(Debug)]
pub struct Conversation {
    sender: SendRequest<RequestBody>,
    connection: Connection<Wire, RequestBody>,
    plain: Plain,
    is_secure: bool,
    /// The connection has been polled to its end.
    is_over: bool,
}

/// Why a request was not answered; the request itself if nothing of it has been written.
pub type Unanswered = TrySendError<Request<RequestBody>>;

impl Conversation {
    /// A conversation on a new connection.
    pub async fn begin(wire: Wire, plain: Plain) -> hyper::Result<Box<Self>> {
        let is_secure = !matches!(wire, Wire::Plain(_));
        let (sender, connection) = Builder::new().max_buf_size(LARGEST_HEAD).handshake(wire).await?;
        Ok(Box::new(Self { sender, connection, plain, is_secure, is_over: false }))
    }

    /// Asks, and waits for the answer's head.
    pub async fn ask(
        &mut self,
        request: Box<Request<RequestBody>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let Self { sender, connection, is_over, .. } = self;
        let mut answer = pin!(sender.try_send_request(*request));
        std::future::poll_fn(|cx| {
            // The connection first: nothing can have come before it was polled.
            if !*is_over {
                *is_over = Pin::new(&mut *connection).poll(cx).is_ready();
            }
            answer.as_mut().poll(cx)
        })
        .await
    }

    /// Lets the connection go on with what is under way.
    pub fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.is_over {
            // An error is told to whoever waits for an answer or its body.
            self.is_over = Pin::new(&mut self.connection).poll(cx).is_ready();
        }
    }

    /// Whether the next request can be asked, once an answer has ended.
    pub fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        !self.is_over && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }

    /// Whether the upstream has kept it open, and silent, by what the kernel knows now.
    pub fn is_still_open(&self) -> bool {
        match self.plain.0.unread() {
            Unread::Nothing => true,
            Unread::Bytes => self.is_secure, // tickets may come at any time (RFC 8446 section 4.6.1)
            Unread::End => false,
        }
    }

    /// The bytes of an upgraded connection, and what was read of them already.
    pub fn into_parts(self) -> (Wire, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io, parts.read_buf)
    }
}

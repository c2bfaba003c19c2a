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
    /// `None`: it had ended before it took the request.
    connection: Option<Connection<Wire, RequestBody>>,
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
        Ok(Box::new(Self { sender, connection: Some(connection), plain, is_secure, is_over: false }))
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
            poll_on(connection, is_over, cx);
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            if !*is_over {
                return Poll::Pending;
            }
            // It has ended with the request still before it, and gives that back when it is dropped.
            *connection = None;
            answer.as_mut().poll(cx)
        })
        .await
    }

    /// Lets the connection go on with what is under way.
    pub fn drive(&mut self, cx: &mut Context<'_>) {
        poll_on(&mut self.connection, &mut self.is_over, cx);
    }

    /// Whether the next request can be asked, once an answer has ended.
    pub fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        // Mostly it knows already from reading the last of that answer.
        if self.sender.poll_ready(cx).is_pending() {
            self.drive(cx);
        }
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
        let parts = self.connection.expect("one that has answered is there").into_parts();
        (parts.io, parts.read_buf)
    }
}

/// Lets a connection go on that has not ended. An error is told to whoever waits for an answer or its body.
fn poll_on(connection: &mut Option<Connection<Wire, RequestBody>>, is_over: &mut bool, cx: &mut Context<'_>) {
    if let Some(connection) = connection.as_mut().filter(|_| !*is_over) {
        *is_over = Pin::new(connection).poll(cx).is_ready();
    }
}

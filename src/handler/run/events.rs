//! `stream = "sse"`: a program's lines as Server-Sent Events.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use hyper::Response;
use hyper::header::HeaderValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep};

use super::running::Running;
use crate::handler::Body;
use crate::handler::sse::{self, BEAT, Event};
use crate::process::Line;
use crate::server::Exchange;

/// What a client that has seen the end says when it connects again.
pub(super) const LAST_EVENT: HeaderValue = HeaderValue::from_static(END);
const END: &str = "end";

/// At most so much is sent at once.
const PIECE: usize = 64 * 1024;

/// A program's lines, until its end.
pub(super) struct Events {
    running: Running,
    exchange: Exchange,
    ends_with_client: bool,
    beat: Pin<Box<Sleep>>,
    is_over: bool,
}

impl Events {
    /// The answer.
    pub fn answer(running: Running, exchange: Exchange, ends_with_client: bool) -> Response<Body> {
        let events =
            Self { running, exchange, ends_with_client, beat: Box::pin(sleep(BEAT)), is_over: false };
        sse::answer(Body::Stream(Box::pin(events)))
    }

    /// What there is to say now.
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<BytesMut> {
        let mut out = BytesMut::new();
        while out.len() < PIECE {
            match self.poll_line(cx) {
                Poll::Ready(Some(line)) => write(&line, &mut out),
                Poll::Ready(None) => {
                    let Poll::Ready(end) = self.running.poll_end(cx) else { break };
                    let how = match (end.why, end.ended.status.code()) {
                        (None, Some(code)) => code.to_string(),
                        _ => end.ended.to_string(),
                    };
                    Event { name: Some("exit"), id: Some(END), data: how.as_bytes(), ..Event::default() }
                        .write(&mut out);
                    self.is_over = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if out.is_empty() {
            std::task::ready!(self.beat.as_mut().poll(cx));
            out.extend_from_slice(sse::COMMENT);
        }
        Poll::Ready(out)
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Line>> {
        self.running
            .lines
            .as_mut()
            .map_or(Poll::Ready(None), |lines: &mut mpsc::Receiver<_>| lines.poll_recv(cx))
    }
}

fn write(line: &Line, out: &mut BytesMut) {
    Event { name: sse::name(line.source), data: &line.bytes, ..Event::default() }.write(out);
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        if this.ends_with_client && this.exchange.is_gone() {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        let out = std::task::ready!(this.poll_events(cx));
        this.beat.as_mut().reset(Instant::now() + BEAT);
        Poll::Ready(Some(Ok(Frame::data(out.freeze()))))
    }
}

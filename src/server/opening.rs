//! The first bytes of a connection: on whose behalf it asks, if its peer may say so, and whether in HTTP/1 or HTTP/2.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, ready};

use bytes::{Buf, BytesMut};

use super::clock::Clock;
use super::connection::Ended;
use super::deadline::Overdue;
use super::framing::Refusal;
use super::framing::proxy_header::{self, Found, Said};
use super::link::{Leave, Link};
use super::record::State;
use super::shared::Stage;
use super::transport::Transport;
use crate::activation::Peer;

/// How an HTTP/2 client announces itself (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes say.
pub enum Opening {
    Http1(BytesMut),
    Http2(BytesMut),
    /// There was no request.
    Nothing(Ended),
}

/// Waits for the first bytes, within the limits for a first byte and for a head.
pub async fn opening<T: Transport>(link: &Link<T>) -> Opening {
    let mut first = First::new(link);
    let mut clock = Clock::default();
    poll_fn(|cx| {
        link.record.waker.register(cx.waker());
        while let Poll::Ready(read) = link.poll_read_more(cx, &mut first.held) {
            if !matches!(read, Ok(1..)) {
                return Poll::Ready(Opening::Nothing(Ended::Over));
            }
            if let Some(opening) = first.look() {
                return Poll::Ready(opening);
            }
        }
        if link.shared.stage() == Stage::Cut {
            return Poll::Ready(Opening::Nothing(Ended::Over));
        }
        match ready!(clock.poll_overdue(cx, link)) {
            Overdue::Head => Poll::Ready(Opening::Nothing(Ended::Refused(Refusal::HeadTimeout, None))),
            _ if link.leave_if_quiet() == Leave::HalfClosed => Poll::Ready(Opening::Nothing(Ended::Quiet)),
            _ => Poll::Pending, // bytes came at the last moment: the poller is about to tell
        }
    })
    .await
}

/// What has come so far.
struct First<'l, T> {
    link: &'l Link<T>,
    held: BytesMut,
    /// A PROXY header may come, and has not.
    awaits_header: bool,
    /// Since when the first byte of a request is waited for.
    since: u64,
}

impl<'l, T: Transport> First<'l, T> {
    fn new(link: &'l Link<T>) -> Self {
        let awaits_header = link.shared.with_settings(|settings| settings.trust.trusts(&link.record.peer));
        let since = link.record.reading_since.load(Relaxed);
        Self { link, held: BytesMut::new(), awaits_header, since }
    }

    /// Looks at what is held after something has come.
    fn look(&mut self) -> Option<Opening> {
        if self.awaits_header {
            match proxy_header::find(&self.held) {
                Found::Begun => {
                    self.begin();
                    return None;
                }
                Found::Malformed => {
                    let refused = Ended::Refused(Refusal::ProxyHeaderInvalid, None);
                    return Some(Opening::Nothing(refused));
                }
                Found::Header(len, said) => self.take_header(len, said),
                Found::Nothing => {}
            }
            self.awaits_header = false;
        }
        if self.held.is_empty() {
            return None; // a header, and nothing behind it yet
        }
        let is_preface = PREFACE.starts_with(&self.held[..self.held.len().min(PREFACE.len())]);
        if !is_preface {
            return Some(Opening::Http1(std::mem::take(&mut self.held)));
        }
        if self.held.len() >= PREFACE.len() {
            return Some(Opening::Http2(std::mem::take(&mut self.held)));
        }
        self.begin();
        None
    }

    /// Part of something has come; empty lines are nothing yet.
    fn begin(&self) {
        let Link { record, shared, .. } = self.link;
        let is_something = self.held.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
        if is_something && record.state() == State::New {
            record.set_state(State::Head);
            record.reading_since.store(shared.activity.since_origin(), Relaxed);
        }
    }

    /// A header alone is no request: the connection is as new as it was.
    fn take_header(&mut self, len: usize, said: Said) {
        self.held.advance(len);
        let record = &self.link.record;
        record.is_for_unknown.store(said == Said::Unknown, Relaxed);
        let client = match said {
            Said::Addresses { source, .. } => {
                Some(Peer::Tcp(SocketAddr::new(source.ip().to_canonical(), source.port())))
            }
            Said::Unix => Some(Peer::Unix(None)),
            Said::Local | Said::Unknown => None,
        };
        if let Some(client) = client {
            let _ = record.client.set(client); // there is one header at most
        }
        record.set_state(State::New);
        record.reading_since.store(self.since, Relaxed);
    }
}

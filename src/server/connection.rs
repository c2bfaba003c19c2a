//! The life of one connection: its first bytes tell HTTP/1 from HTTP/2, and it is closed so that nothing is lost.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, ready};

use bytes::BytesMut;

use super::clock::Clock;
use super::deadline::Overdue;
use super::exchange::Serve;
use super::framing::Refusal;
use super::link::{Leave, Link};
use super::record::State;
use super::shared::Stage;
use super::transport::Transport;
use super::{http1, http2, linger};
use crate::lifecycle::Hold;
use crate::lifecycle::story::count;

/// How an HTTP/2 client announces itself (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// Our side is closed after the last answer: linger, under this hold, so that the client can read it.
    Answered(Option<Hold>),
    /// A request is refused: write that under this hold, then linger.
    Refused(Refusal, Option<Hold>),
    /// Idle, and our side is closed: linger for the grace, holding nothing.
    Quiet,
    /// Nobody is there to say anything to.
    Over,
}

/// Serves one connection to its end.
pub async fn serve<T: Transport, S: Serve>(link: Arc<Link<T>>, service: Arc<S>, hold: Hold) {
    let ended = match opening(&link).await {
        Opening::Http1(held) => http1::serve(&link, held, hold, service).await,
        Opening::Http2(held) => http2::serve(&link, held, hold, service).await,
        Opening::Nothing(ended) => {
            if !matches!(ended, Ended::Refused(..)) {
                count(&link.shared.tally.noise); // a refusal is counted when it is written
            }
            ended
        }
    };
    linger::end(&link, ended).await;
}

/// What the first bytes say.
enum Opening {
    Http1(BytesMut),
    Http2(BytesMut),
    /// There was no request.
    Nothing(Ended),
}

/// Tells HTTP/1 from HTTP/2, within the limits for a first byte and for a head.
async fn opening<T: Transport>(link: &Link<T>) -> Opening {
    let mut held = BytesMut::new();
    let mut clock = Clock::default();
    poll_fn(|cx| {
        link.record.waker.register(cx.waker());
        while let Poll::Ready(read) = link.poll_read_more(cx, &mut held) {
            if !matches!(read, Ok(1..)) {
                return Poll::Ready(Opening::Nothing(Ended::Over));
            }
            let is_preface = PREFACE.starts_with(&held[..held.len().min(PREFACE.len())]);
            if !is_preface {
                return Poll::Ready(Opening::Http1(std::mem::take(&mut held)));
            }
            if held.len() >= PREFACE.len() {
                return Poll::Ready(Opening::Http2(std::mem::take(&mut held)));
            }
            if link.record.state() == State::New {
                link.record.set_state(State::Head);
                link.record.reading_since.store(link.shared.activity.since_origin(), Relaxed);
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

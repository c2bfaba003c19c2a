//! The last words of a connection, said so that the client can read them.
//!
//! A socket closed with bytes unread makes the kernel send a reset, and a reset destroys what the client has not read
//! yet (RFC 9112 section 9.6). So our side is closed first, and what still comes is read and dropped until the
//! client's end.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::time::{Instant, timeout_at};

use super::connection::Ended;
use super::framing::Refusal;
use super::link::Link;
use super::record::State;
use super::shared::Stage;
use super::transport::Transport;
use crate::lifecycle::story::count;

/// How long a client may take to close its side after the last answer. It holds the process awake, so it is brief.
const AFTER_ANSWER: Duration = Duration::from_secs(2);

/// How much is read, in pieces, before others have their turn.
const READS_AT_ONCE: usize = 16;

/// Ends a connection: says what is left to say, closes our side, waits for the other.
pub async fn end<T: Transport>(link: &Link<T>, ended: Ended) {
    if !matches!(ended, Ended::Over) {
        link.record.set_state(State::Lingering);
    }
    match ended {
        Ended::Over => {} // or in other hands, if it was upgraded
        Ended::Quiet => {
            link.record.is_quiet.store(true, Relaxed);
            let grace = link.shared.settings().sleep.grace;
            let late = discard(link, Instant::now() + grace).await;
            if late > 0 {
                link.shared.tally.late_bytes.fetch_add(late, Relaxed);
                tracing::debug!(peer = %link.record.who(), late, "bytes after the close of an idle connection");
            }
        }
        Ended::Answered(_hold) => {
            discard(link, Instant::now() + AFTER_ANSWER).await;
        }
        Ended::Refused(refusal, _hold) => {
            count(&link.shared.tally.noise);
            tracing::debug!(peer = %link.record.who(), reason = refusal.reason(), "request refused");
            let deadline = Instant::now() + AFTER_ANSWER;
            if timeout_at(deadline, write(link, &page(refusal))).await.is_ok_and(|written| written.is_ok())
                && link.transport.half_close().is_ok()
            {
                discard(link, deadline).await;
            }
        }
    }
}

/// Reads and drops until the client's end or the deadline; how many bytes came.
async fn discard<T: Transport>(link: &Link<T>, deadline: Instant) -> u64 {
    let mut late = 0;
    let mut buffer = BytesMut::new();
    let to_the_end = poll_fn(|cx| {
        link.record.waker.register(cx.waker());
        for _ in 0..READS_AT_ONCE {
            match link.poll_read_more(cx, &mut buffer) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(len)) => late += len as u64,
                Poll::Pending if link.shared.stage() == Stage::Cut => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
            buffer.clear();
        }
        cx.waker().wake_by_ref(); // others first
        if link.shared.stage() == Stage::Cut { Poll::Ready(()) } else { Poll::Pending }
    });
    // Either way it is over now; which of the two ended it makes no difference.
    let _ = timeout_at(deadline, to_the_end).await;
    late
}

async fn write<T: Transport>(link: &Link<T>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| link.poll_write(cx, &[IoSlice::new(bytes)])).await?;
        bytes.advance(written);
    }
    Ok(())
}

/// An answer of our own, where there is no hyper to write it.
fn page(refusal: Refusal) -> Vec<u8> {
    let (status, reason) = (refusal.status(), refusal.reason());
    let body = format!("{status}: {reason}\n");
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nDate: {date}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

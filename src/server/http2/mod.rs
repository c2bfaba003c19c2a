//! HTTP/2 with prior knowledge: hyper on a followed transport, and a goodbye that loses no stream.

mod followed;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use bytes::BytesMut;
use hyper_util::rt::TokioExecutor;

use super::clock::Clock;
use super::connection::Ended;
use super::deadline::Overdue;
use super::exchange::Serve;
use super::framing::frames::STREAM_WINDOW;
use super::link::Link;
use super::record::State;
use super::service::{Counted, Protocol};
use super::shared::Stage;
use super::transport::Transport;
use crate::lifecycle::Hold;

/// Most streams a client may have open at once.
const MAX_STREAMS: u32 = 250;

/// How much of each stream's answer waits for a client that does not take it, in bytes (and the piece that went beyond).
const MAX_SEND_BUFFER: usize = 64 * 1024;

/// What a connection should do next.
enum Next {
    /// Go on; whatever happens wakes the task.
    Wait,
    /// GOAWAY and PING; the final GOAWAY follows the answer, and what was opened in between is served
    /// (RFC 9113 section 6.8).
    Goodbye,
    /// End at once.
    Stop,
}

/// Serves streams until the connection ends; `held` are its first bytes, read already.
pub async fn serve<T: Transport, S: Serve>(
    link: &Arc<Link<T>>,
    held: BytesMut,
    hold: Hold,
    service: Arc<S>,
) -> Ended {
    link.is_http2.store(true, Relaxed);
    let io = followed::Followed::new(link.clone(), held, hold);
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .serve_connection(io, Counted::new(service, link, Protocol::Http2));
    let mut connection = Box::pin(connection); // large, and the task has room for every kind of connection
    let mut clock = Clock::default();
    poll_fn(|cx| {
        link.record.waker.register(cx.waker());
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(finished(link, &result));
            }
            match next(link, &mut clock, cx) {
                Next::Wait => return Poll::Pending,
                Next::Stop => return Poll::Ready(Ended::Over),
                Next::Goodbye => {
                    link.say_goodbye();
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    })
    .await
}

fn finished<T: Transport>(link: &Link<T>, result: &hyper::Result<()>) -> Ended {
    match result {
        Ok(()) => Ended::Quiet,
        Err(error) => {
            tracing::debug!(peer = %link.record.who(), %error, "HTTP/2 connection broken");
            Ended::Over
        }
    }
}

fn next<T: Transport>(link: &Link<T>, clock: &mut Clock, cx: &mut Context<'_>) -> Next {
    link.note_untaken_answers();
    let record = &link.record;
    // Or all its streams are such that the process may sleep over them.
    let unheld = record.unheld.count();
    let is_unheld = unheld > 0 && record.in_flight.load(Relaxed) as usize == unheld;
    let is_idle = is_unheld || record.state() == State::Idle;
    match link.shared.stage() {
        Stage::Cut => return Next::Stop,
        Stage::CloseIdle | Stage::Open if is_idle && !link.has_said_goodbye() && link.is_to_leave() => {
            return Next::Goodbye;
        }
        Stage::Drain if !link.has_said_goodbye() => return Next::Goodbye,
        _ => {}
    }
    match clock.poll_overdue(cx, link) {
        Poll::Pending => Next::Wait,
        Poll::Ready(Overdue::KeepAlive | Overdue::FirstByte) if !link.has_said_goodbye() => Next::Goodbye,
        Poll::Ready(overdue) => {
            tracing::debug!(peer = %link.record.who(), ?overdue, "HTTP/2 connection cut");
            Next::Stop
        }
    }
}

//! HTTP/1.0 and 1.1: hyper on a framed transport, and what it has to be told from outside.

mod framed;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;

use super::clock::Clock;
use super::connection::Ended;
use super::deadline::Overdue;
use super::exchange::Serve;
use super::framing::Refusal;
use super::link::{Leave, Link};
use super::record::State;
use super::rest;
use super::service::{Counted, Protocol};
use super::shared::Stage;
use super::transport::{PeerEvent, Transport};
use crate::lifecycle::Hold;
use crate::lifecycle::story::count;

/// How much hyper may keep of one connection, each way: a head of [`super::framing::head::MAX_HEAD`], or a few frames of
/// an answer whose client is slow.
const MAX_BUFFER: usize = 128 * 1024;

/// [`Ended`], before its hold has begun.
enum End {
    Answered,
    Refused(Refusal),
    Quiet,
    Over,
    /// Idle for a moment: not an end.
    Rest,
}

/// Serves requests until the connection ends; `held` are its first bytes, read already.
pub async fn serve<T: Transport, S: Serve>(
    link: &Arc<Link<T>>,
    held: BytesMut,
    hold: Hold,
    service: Arc<S>,
) -> Ended {
    let mut clock = Clock::default();
    let mut request = (held, hold);
    loop {
        if let Some(ended) = converse(link, request, &service, &mut clock).await {
            return ended;
        }
        match rest::until_request(link, &mut clock).await {
            Ok(next) => request = next,
            Err(ended) => return ended,
        }
    }
}

/// Serves requests until the connection ends, or has been idle for a moment (`None`).
async fn converse<T: Transport, S: Serve>(
    link: &Arc<Link<T>>,
    (held, hold): (BytesMut, Hold),
    service: &Arc<S>,
    clock: &mut Clock,
) -> Option<Ended> {
    let activity = hold.activity().clone();
    let io = framed::Framed::new(link.clone(), held, hold);
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(io, Counted::new(service.clone(), link, Protocol::Http1))
        .with_upgrades();
    let mut connection = Box::pin(connection); // not part of the task, which is there also while it rests
    let end = poll_fn(|cx| {
        link.record.waker.register(cx.waker());
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(finished(link, &result));
            }
            match poll_outside(link, clock, cx) {
                Poll::Ready(Some(end)) => return Poll::Ready(end),
                Poll::Ready(None) => {} // hyper is to look again
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    // The next hold begins before that of hyper's transport, dropped on return, ends.
    Some(match end {
        End::Answered => Ended::Answered(activity.hold()),
        End::Refused(refusal) => Ended::Refused(refusal, activity.hold()),
        End::Quiet => Ended::Quiet,
        End::Over => Ended::Over,
        End::Rest => return None,
    })
}

fn finished<T: Transport>(link: &Link<T>, result: &hyper::Result<()>) -> End {
    if let Some(refusal) = link.refusal() {
        return End::Refused(refusal);
    }
    let is_parse_error = result.as_ref().is_err_and(hyper::Error::is_parse);
    if is_parse_error || matches!(link.record.state(), State::New | State::Head) {
        count(&link.shared.tally.noise); // a request that never was
    }
    match result {
        _ if link.record.state() == State::Tunnel => End::Over,
        // Idle, it would be closed now anyway; held for, it would call the process back.
        Ok(()) if link.record.state() == State::Idle && link.shared.closes_idle() => End::Quiet,
        Ok(()) => End::Answered,
        // hyper has answered a head it could not parse by itself; the client is to read that.
        Err(_) if is_parse_error => End::Answered,
        Err(error) => {
            tracing::debug!(peer = %link.record.who(), %error, "connection broken");
            End::Over
        }
    }
}

/// What comes from outside while hyper waits: the keeper's orders, limits, the client's end.
fn poll_outside<T: Transport>(link: &Link<T>, clock: &mut Clock, cx: &mut Context<'_>) -> Poll<Option<End>> {
    if link.shared.stage() == Stage::Cut {
        return Poll::Ready(Some(End::Over));
    }
    let is_idle = link.record.state() == State::Idle;
    if is_idle && link.is_to_leave() && link.leave_if_quiet() == Leave::HalfClosed {
        return Poll::Ready(Some(End::Quiet));
    }
    if is_idle && link.record.is_asked_to_rest() {
        return Poll::Ready(Some(End::Rest));
    }
    match clock.poll_overdue(cx, link) {
        Poll::Ready(overdue) => poll_overdue(link, overdue),
        Poll::Pending => poll_gone(link, cx),
    }
}

fn poll_overdue<T: Transport>(link: &Link<T>, overdue: Overdue) -> Poll<Option<End>> {
    match overdue {
        Overdue::Head => Poll::Ready(Some(End::Refused(Refusal::HeadTimeout))),
        Overdue::Body => {
            link.time_out_body();
            // Told once: a hyper that reads no more of the body would be asked for ever.
            link.record.reading_since.store(0, Relaxed);
            Poll::Ready(None)
        }
        Overdue::Write => {
            tracing::debug!(peer = %link.record.who(), "client takes nothing (timeouts.write), cut");
            Poll::Ready(Some(End::Over))
        }
        Overdue::FirstByte | Overdue::KeepAlive => {
            let had_no_request = link.record.state() == State::New;
            if link.leave_if_quiet() == Leave::Stay {
                return Poll::Pending; // bytes came at the last moment: the poller is about to tell
            }
            if had_no_request {
                count(&link.shared.tally.noise); // empty lines were all it said
            }
            Poll::Ready(Some(End::Quiet))
        }
    }
}

/// hyper reads nothing while an answer is pending, or once nobody wants the request's body, so the client's end is
/// watched for here. A reset ends everything, also after a FIN; that alone may be a half-close, so the service decides.
fn poll_gone<T: Transport>(link: &Link<T>, cx: &mut Context<'_>) -> Poll<Option<End>> {
    let record = &link.record;
    while record.state() == State::Busy {
        if record.is_gone() {
            ready!(link.transport.poll_reset(cx));
            return Poll::Ready(Some(End::Over));
        }
        match ready!(link.transport.poll_peer(cx)) {
            // Of its body, perhaps: hyper looks again, if it still reads that.
            PeerEvent::Sent if record.reading_since.load(Relaxed) != 0 => return Poll::Ready(None),
            PeerEvent::Sent => {}
            PeerEvent::Closed => {
                record.set_gone();
                return Poll::Ready(None);
            }
            PeerEvent::Reset => {
                record.set_gone();
                return Poll::Ready(Some(End::Over));
            }
        }
    }
    Poll::Pending
}

//! An idle HTTP/1 connection that keeps nothing but its socket.
//!
//! hyper keeps two buffers of 8 KiB for each connection, asked for or not. So it is let go once a connection has been idle
//! for a moment, and made anew for the next request: nothing of one request outlives it there. Under load nobody is idle
//! for that long. When many connections come at once the moment is short, so that their buffers serve those that follow.

use std::future::poll_fn;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::clock::Clock;
use super::connection::Ended;
use super::link::{Leave, Link};
use super::record::State;
use super::shared::{Shared, Stage};
use super::transport::Transport;
use crate::lifecycle::Hold;
use crate::lifecycle::story::count;

/// How long a connection is idle before it rests; and when many come.
const AFTER: Duration = Duration::from_secs(1);
const AFTER_IN_CROWD: Duration = Duration::from_millis(20);

/// With every so many newcomers those that can rest are asked to.
const CROWD: u64 = 128;

/// Asks those to rest that have been idle for a moment; called once a second.
pub fn ask_idle(shared: &Shared) {
    ask(shared, AFTER);
}

/// Another connection was accepted, `count` of them by now.
pub fn note_newcomer(shared: &Shared, count: u64) {
    if count.is_multiple_of(CROWD) {
        ask(shared, AFTER_IN_CROWD);
    }
}

fn ask(shared: &Shared, after: Duration) {
    let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
    let Some(longest) = shared.activity.since_origin().checked_sub(after) else { return };
    shared.roll.each(|record| {
        if record.state() == State::Idle && record.idle_since() <= longest && !record.is_asked_to_rest() {
            record.ask_to_rest();
        }
    });
}

/// Waits for the first bytes of the next request, and holds from then on; or how the connection ended instead.
pub async fn until_request<T: Transport>(
    link: &Link<T>,
    clock: &mut Clock,
) -> Result<(BytesMut, Hold), Ended> {
    count(&link.shared.tally.rested);
    let Link { record, shared, .. } = link;
    let mut held = BytesMut::new();
    poll_fn(|cx| {
        record.waker.register(cx.waker());
        if shared.stage() == Stage::Cut {
            return Poll::Ready(Err(Ended::Over));
        }
        while let Poll::Ready(read) = link.poll_read_more(cx, &mut held) {
            let begun = match read {
                Ok(1..) => record.skip_empty_lines(&held).map(|taken| held.advance(taken)),
                _ => return Poll::Ready(Err(Ended::Over)), // the client's end, or a reset
            };
            if begun.is_ok() && held.is_empty() {
                continue; // empty lines alone change nothing
            }
            let hold = shared.activity.hold();
            return Poll::Ready(match (begun, hold) {
                (Err(refusal), hold) => Err(Ended::Refused(refusal, hold)),
                (_, None) => Err(Ended::Over),
                (_, Some(hold)) => {
                    record.reading_since.store(shared.activity.since_origin(), Relaxed);
                    record.set_state(State::Head);
                    Ok((std::mem::take(&mut held), hold))
                }
            });
        }
        if link.is_to_leave() && link.leave_if_quiet() == Leave::HalfClosed {
            return Poll::Ready(Err(Ended::Quiet));
        }
        ready!(clock.poll_overdue(cx, link));
        match link.leave_if_quiet() {
            Leave::HalfClosed => Poll::Ready(Err(Ended::Quiet)),
            Leave::Stay => Poll::Pending, // bytes came at the last moment: the poller is about to tell
        }
    })
    .await
}

//! An idle HTTP/1 connection that keeps nothing but its socket.
//!
//! hyper keeps two buffers of 8 KiB for each connection, asked for or not. So it is let go once a connection has been idle
//! for a moment, and made anew for the next request: nothing of one request outlives it there. Under load nobody is idle
//! for that long.

use std::future::poll_fn;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::BytesMut;

use super::clock::Clock;
use super::connection::Ended;
use super::link::{Leave, Link, after};
use super::record::State;
use super::shared::Stage;
use super::transport::Transport;
use crate::lifecycle::Hold;
use crate::lifecycle::story::count;

/// How long a connection is idle before it rests.
const AFTER: Duration = Duration::from_secs(1);

/// When it rests if nothing comes, in the activity's nanoseconds.
pub fn begins<T: Transport>(link: &Link<T>) -> Option<u64> {
    (link.record.state() == State::Idle).then(|| after(link.record.idle_since(), Some(AFTER)))?
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
        if let Poll::Ready(read) = link.poll_read_more(cx, &mut held) {
            return Poll::Ready(match (read, shared.activity.hold()) {
                (Ok(1..), Some(hold)) => {
                    record.reading_since.store(shared.activity.since_origin(), Relaxed);
                    record.set_state(State::Head);
                    Ok((std::mem::take(&mut held), hold))
                }
                _ => Err(Ended::Over), // the client's end, or a reset
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

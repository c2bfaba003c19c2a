//! How long a connection waits for its peer: the next moment at which it runs into a limit, and which.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::link::Link;
use super::record::State;
use super::shared::{Settings, Stage, Timeouts};
use super::transport::Transport;
use crate::lifecycle::Sleep;

/// How long an HTTP/2 peer has to answer the PING between the two GOAWAYs.
const GOAWAY_LIMIT: Duration = Duration::from_secs(5);

/// The longest a silent connection may delay a drain: a restart waits for it.
const SILENT_IN_DRAIN: Duration = Duration::from_secs(1);

/// How much longer than any of its streams an HTTP/2 connection waits for a body: it ends them all at once, so whoever
/// answers one that stalls is to come first.
const AFTER_STREAMS: Duration = Duration::from_secs(5);

/// Which limit a peer has run into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// It has said nothing.
    FirstByte,
    /// It has not finished its head.
    Head,
    /// It sends no more of its body.
    Body,
    /// It takes nothing of its answer.
    Write,
    /// It makes no further request.
    KeepAlive,
}

impl<T: Transport> Link<T> {
    /// The next moment at which this connection runs into a limit, in the activity's nanoseconds, and which.
    pub fn deadline(&self) -> Option<(u64, Overdue)> {
        self.shared.with_settings(|settings| self.deadline_under(settings))
    }

    fn deadline_under(&self, settings: &Settings) -> Option<(u64, Overdue)> {
        let (record, timeouts) = (&self.record, &settings.timeouts);
        let writing = after(record.writing_since.load(Relaxed), timeouts.write);
        let writing = writing.map(|at| (at, Overdue::Write));
        [self.goodbye_deadline(), self.drain_deadline(&settings.sleep), self.read_deadline(timeouts), writing]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    fn read_deadline(&self, timeouts: &Timeouts) -> Option<(u64, Overdue)> {
        let since = self.record.reading_since.load(Relaxed);
        if since == 0 {
            return None;
        }
        let (limit, overdue) = match self.record.state() {
            State::New => (timeouts.first_byte, Overdue::FirstByte),
            State::Head => (timeouts.head, Overdue::Head),
            State::Busy if self.awaits_head.load(Relaxed) => (timeouts.head, Overdue::Head),
            State::Busy => (self.body_limit(timeouts.body), Overdue::Body),
            State::Idle if self.has_said_goodbye() => (None, Overdue::KeepAlive),
            State::Idle => (timeouts.keep_alive, Overdue::KeepAlive),
            State::Lingering | State::Tunnel => (None, Overdue::Body),
        };
        after(since, limit).map(|at| (at, overdue))
    }

    /// That of the request in hand, or what the longest of several comes to.
    fn body_limit(&self, default: Option<Duration>) -> Option<Duration> {
        let longest = self.record.in_hand.body_limit(default)?;
        let more = if self.is_http2.load(Relaxed) { AFTER_STREAMS } else { Duration::ZERO };
        Some(longest.saturating_add(more))
    }

    fn goodbye_deadline(&self) -> Option<(u64, Overdue)> {
        let at = after(self.goodbye_since.load(Relaxed), Some(GOAWAY_LIMIT))?;
        (self.record.state() == State::Idle).then_some((at, Overdue::KeepAlive))
    }

    /// In a drain idle connections have the grace, silent ones a second.
    fn drain_deadline(&self, sleep: &Sleep) -> Option<(u64, Overdue)> {
        if self.shared.stage() != Stage::Drain || self.has_said_goodbye() {
            return None;
        }
        let since = self.shared.stage_since().max(self.record.reading_since.load(Relaxed));
        match self.record.state() {
            State::Idle => Some((after(since, Some(sleep.grace))?, Overdue::KeepAlive)),
            State::New => Some((after(since, Some(sleep.grace.max(SILENT_IN_DRAIN)))?, Overdue::KeepAlive)),
            _ => None,
        }
    }
}

/// Nanoseconds after the same origin; `None` when nothing is waited for, or for ever.
pub fn after(since: u64, limit: Option<Duration>) -> Option<u64> {
    let limit = u64::try_from(limit?.as_nanos()).ok()?;
    if since == 0 { None } else { since.checked_add(limit) }
}

#[cfg(test)]
mod tests {
    use std::io::{self, IoSlice};
    use std::mem::MaybeUninit;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Poll, Wake};

    use hyper::Method;

    use super::*;
    use crate::activation::Peer;
    use crate::server::Exchange;
    use crate::server::in_flight::InFlight;
    use crate::server::shared::Shared;
    use crate::server::transport::{PeerEvent, Unread};

    /// A peer that does nothing.
    struct Mute;

    impl Transport for Mute {
        fn poll_read(&self, _: &mut Context<'_>, _: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
        fn poll_write(&self, _: &mut Context<'_>, _: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
        fn unread(&self) -> Unread {
            Unread::Nothing
        }
        fn half_close(&self) -> io::Result<()> {
            Ok(())
        }
        fn poll_peer(&self, _: &mut Context<'_>) -> Poll<PeerEvent> {
            Poll::Pending
        }
        fn poll_reset(&self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }

    const SECOND: u64 = 1_000_000_000;

    /// A connection with the default limits that waits for its client since the first nanosecond.
    fn waiting(state: State) -> Arc<Link<Mute>> {
        let shared = Shared::new(Settings::default(), true);
        let record = shared.roll.enter(Peer::Unix(None), "web".into(), 1);
        record.set_state(state);
        Link::new(Mute, record, shared)
    }

    fn request(link: &Link<Mute>) -> InFlight {
        InFlight::begin(Exchange::new(link.record.clone(), link.shared.clone(), Method::POST), None)
    }

    fn body_deadline(link: &Link<Mute>) -> Option<u64> {
        link.deadline().map(|(at, overdue)| {
            assert_eq!(overdue, Overdue::Body);
            (at - 1) / SECOND
        })
    }

    #[test]
    fn a_request_may_have_its_own_limit_for_its_body_and_the_next_has_not() {
        let link = waiting(State::Busy);
        assert_eq!(body_deadline(&link), Some(30));
        let one = request(&link);
        one.exchange().set_body_timeout(Some(Duration::from_secs(7)));
        assert_eq!(body_deadline(&link), Some(7));
        one.exchange().set_body_timeout(None);
        assert_eq!(body_deadline(&link), None);
        one.exchange().set_body_timeout(Some(Duration::ZERO));
        assert_eq!(body_deadline(&link), Some(0), "at once is not never");
        drop(one);
        let _next = request(&link);
        assert_eq!(body_deadline(&link), Some(30));
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    #[test]
    fn a_limit_set_while_the_client_is_waited_for_is_looked_at() {
        for (since, is_woken) in [(1, true), (0, false)] {
            let link = waiting(State::Busy);
            link.record.reading_since.store(since, Relaxed);
            let woken = Arc::new(Woken::default());
            link.record.waker.register(&woken.clone().into());
            request(&link).exchange().set_body_timeout(Some(Duration::from_secs(1)));
            assert_eq!(woken.0.load(Relaxed), is_woken);
        }
    }

    #[test]
    fn an_http2_connection_outwaits_all_its_streams() {
        let link = waiting(State::Busy);
        link.is_http2.store(true, Relaxed);
        assert_eq!(body_deadline(&link), Some(35));
        let (short, long) = (request(&link), request(&link));
        short.exchange().set_body_timeout(Some(Duration::from_secs(1)));
        long.exchange().set_body_timeout(Some(Duration::from_secs(60)));
        assert_eq!(body_deadline(&link), Some(65));
        drop(long);
        assert_eq!(body_deadline(&link), Some(6));
        let plain = request(&link);
        assert_eq!(body_deadline(&link), Some(35));
        short.exchange().set_body_timeout(None);
        assert_eq!(body_deadline(&link), None, "one of them may take for ever");
        drop(plain);
    }

    #[test]
    fn a_head_among_streams_has_the_limit_of_a_head() {
        let link = waiting(State::Busy);
        link.is_http2.store(true, Relaxed);
        let endless = request(&link);
        endless.exchange().set_body_timeout(None);
        link.awaits_head.store(true, Relaxed);
        assert_eq!(link.deadline(), Some((10 * SECOND + 1, Overdue::Head)));
    }

    #[test]
    fn nobody_waited_for_is_overdue() {
        for state in [State::New, State::Head, State::Busy, State::Idle, State::Tunnel] {
            let link = waiting(state);
            link.record.reading_since.store(0, Relaxed);
            assert_eq!(link.deadline(), None, "{state:?}");
        }
    }
}

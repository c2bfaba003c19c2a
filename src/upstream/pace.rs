//! `rate`: an upstream that is to be asked only so often. Requests wait their turn.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::schema::rate::Rate;

/// How many requests may wait for their turn at most; more are refused.
const MOST_WAITING: u32 = 1000;

/// When the next request may go out.
#[derive(Debug)]
pub struct Pace {
    rate: Rate,
    /// When the last one that has a turn is to go, and a bit of the past: an idle upstream may be asked `count` at once.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// Nobody has been asked yet.
    pub fn new(rate: Rate) -> Self {
        Self { rate, next: Mutex::default() }
    }

    /// Waits for a turn, in the order of coming; `false` when too many wait already. A turn that is not waited for is
    /// lost: who leaves does not make others come earlier.
    pub async fn turn(&self) -> bool {
        let Some(at) = self.book(Instant::now()) else { return false };
        sleep_until(at).await;
        true
    }

    /// The turn of a request that comes now.
    fn book(&self, now: Instant) -> Option<Instant> {
        let interval = self.rate.interval();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // The generic cell rate algorithm: turns are an interval apart, those of an idle time at most `count` at once.
        let burst = interval.saturating_mul(self.rate.count.saturating_sub(1));
        let due = next.map_or(now, |next| next.max(now));
        let at = due.checked_sub(burst).map_or(now, |at| at.max(now));
        if at.duration_since(now) > longest_wait(interval) {
            return None;
        }
        *next = due.checked_add(interval);
        Some(at)
    }
}

fn longest_wait(interval: Duration) -> Duration {
    interval.saturating_mul(MOST_WAITING)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pace(count: u32, secs: u64) -> Pace {
        Pace::new(Rate { count, period: Duration::from_secs(secs) })
    }

    #[tokio::test(start_paused = true)]
    async fn they_go_one_after_the_other() {
        let (pace, begun) = (pace(1, 2), Instant::now());
        for turn in 0..3 {
            assert!(pace.turn().await);
            assert_eq!(begun.elapsed(), Duration::from_secs(2 * turn));
        }
    }

    #[test]
    fn the_queue_has_an_end() {
        let (pace, now) = (pace(1, 1), Instant::now());
        let booked = (0..2000).filter(|_| pace.book(now).is_some()).count();
        assert_eq!(booked, MOST_WAITING as usize + 1);
    }

    proptest! {
        #[test]
        fn no_period_sees_more_than_twice_its_share(
            count in 1u32..20,
            gaps in proptest::collection::vec(0u64..3000, 1..100),
        ) {
            let pace = pace(count, 1);
            let mut now = Instant::now();
            let mut turns = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                turns.extend(pace.book(now));
            }
            for (index, from) in turns.iter().enumerate() {
                prop_assert!(index == 0 || turns[index - 1] <= *from, "in the order of coming");
                let within = turns[index..].iter().filter(|at| at.duration_since(*from) < Duration::from_secs(1));
                prop_assert!(within.count() <= 2 * count as usize);
            }
        }
    }
}

//! The time of day as people read it: local.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Shown as `14:02:57`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeOfDay {
    seconds: u32,
}

/// A day of the calendar, shown as `2026-11-22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    year: i32,
    month: i32,
    day: i32,
}

/// The local time of day (`TZ`, else /etc/localtime); UTC when that cannot be told.
pub fn time_of_day(at: SystemTime) -> TimeOfDay {
    let seconds = match local(at) {
        Some(parts) => u64::try_from(parts.tm_hour * 60 * 60 + parts.tm_min * 60 + parts.tm_sec).unwrap_or(0),
        None => since_epoch(at).rem_euclid(24 * 60 * 60),
    };
    TimeOfDay { seconds: u32::try_from(seconds).unwrap_or_default() }
}

/// The local day, likewise; `None` when it cannot be told.
pub fn day(at: SystemTime) -> Option<Day> {
    let parts = local(at)?;
    Some(Day { year: parts.tm_year + 1900, month: parts.tm_mon + 1, day: parts.tm_mday })
}

fn since_epoch(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn local(at: SystemTime) -> Option<libc::tm> {
    let at = libc::time_t::try_from(since_epoch(at)).ok()?;
    let mut parts = std::mem::MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call, and `parts` is read only when it was filled. It reads TZ; this
    // program changes its environment only before it starts a thread.
    #[allow(unsafe_code)]
    unsafe {
        if libc::localtime_r(&at, parts.as_mut_ptr()).is_null() {
            return None;
        }
        Some(parts.assume_init())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds } = self;
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_two_digits_each() {
        assert_eq!(TimeOfDay { seconds: 14 * 3600 + 2 * 60 + 7 }.to_string(), "14:02:07");
        assert_eq!(TimeOfDay { seconds: 0 }.to_string(), "00:00:00");
    }

    #[test]
    fn a_day_is_a_day_in_every_zone() {
        let noon = UNIX_EPOCH + std::time::Duration::from_secs(20_000 * 86_400 + 12 * 3600);
        let next = noon + std::time::Duration::from_secs(86_400);
        assert_ne!(day(noon), day(next));
        assert_eq!(Day { year: 2026, month: 2, day: 3 }.to_string(), "2026-02-03");
    }

    #[test]
    fn a_minute_is_a_minute_in_every_zone() {
        let noon = UNIX_EPOCH + std::time::Duration::from_secs(20_000 * 86_400);
        let later = noon + std::time::Duration::from_secs(59);
        assert_eq!(time_of_day(noon).seconds + 59, time_of_day(later).seconds);
    }
}

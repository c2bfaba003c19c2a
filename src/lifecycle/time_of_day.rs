//! The time of day as people read it: local.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Shown as `14:02:57`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeOfDay {
    seconds: u32,
}

/// The local time of day (`TZ`, else /etc/localtime); UTC when that cannot be told.
pub fn time_of_day(at: SystemTime) -> TimeOfDay {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = local_seconds(since_epoch).unwrap_or(since_epoch.rem_euclid(24 * 60 * 60));
    TimeOfDay { seconds: u32::try_from(seconds).unwrap_or_default() }
}

/// Seconds since the local midnight.
fn local_seconds(since_epoch: u64) -> Option<u64> {
    let at = libc::time_t::try_from(since_epoch).ok()?;
    let mut parts = std::mem::MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call, and `parts` is read only when it was filled. It reads TZ; this
    // program changes its environment only before it starts a thread.
    #[allow(unsafe_code)]
    let parts = unsafe {
        if libc::localtime_r(&at, parts.as_mut_ptr()).is_null() {
            return None;
        }
        parts.assume_init()
    };
    u64::try_from(parts.tm_hour * 60 * 60 + parts.tm_min * 60 + parts.tm_sec).ok()
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
    fn a_minute_is_a_minute_in_every_zone() {
        let noon = UNIX_EPOCH + std::time::Duration::from_secs(20_000 * 86_400);
        let later = noon + std::time::Duration::from_secs(59);
        assert_eq!(time_of_day(noon).seconds + 59, time_of_day(later).seconds);
    }
}

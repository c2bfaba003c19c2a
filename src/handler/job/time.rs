//! Times as JSON has them: RFC 3339, in UTC.

use crate::store::Millis;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// `2026-11-25T21:52:41.123Z`.
pub(super) fn rfc3339(at: Millis) -> String {
    let (seconds, millis) = (at / 1000, at % 1000);
    let (days, second) = (seconds / SECONDS_A_DAY, seconds % SECONDS_A_DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The date of a day after 1970-01-01. Years begin in March here, so that a leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let is_next = month >= 10;
    (era * 400 + year_of_era + u64::from(is_next), if is_next { month - 9 } else { month + 3 }, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn some_times() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_007), "2000-02-29T00:00:00.007Z");
        assert_eq!(rfc3339(1_795_643_561_123), "2026-11-25T21:52:41.123Z");
    }

    proptest! {
        #[test]
        fn it_is_what_http_says(seconds in 0..4_000_000_000_u64) {
            let http = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            let ours = rfc3339(seconds * 1000);
            let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
            let month: usize = ours[5..7].parse().expect("a month");
            let expected = format!("{} {} {} {}", &ours[8..10], months[month - 1], &ours[..4], &ours[11..19]);
            prop_assert!(http.contains(&expected), "{} {}", http, ours);
        }
    }
}

//! A moment as people and programs read it.

use std::fmt;

/// Seconds since 1970, shown as RFC 3339 in UTC: `2026-11-21T08:49:37Z`.
pub struct Stamp(pub i64);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0.div_euclid(86_400));
        let second = self.0.rem_euclid(86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar (Hinnant, `civil_from_days`): years
/// begin in March, so that the leap day is their last, and 400 of them always have 146,097 days.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468; // from 0000-03-01
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        for (secs, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (784_111_777, "1994-11-06T08:49:37Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(Stamp(secs).to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_http_dates(secs in 0_u32..) {
            let http = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(secs.into()));
            let stamp = Stamp(secs.into()).to_string();
            prop_assert_eq!((&stamp[..4], &stamp[8..10], &stamp[11..19]), (&http[12..16], &http[5..7], &http[17..25]));
        }

        #[test]
        fn any_moment_is_shown(secs in -(1_i64 << 40)..1 << 40) {
            prop_assert!(Stamp(secs).to_string().ends_with('Z'));
        }
    }
}

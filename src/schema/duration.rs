//! Lengths of time as people write them: `700ms`, `30s`, `1h 30m`, `7 days`.

use std::time::Duration;

use thiserror::Error;

/// Longer makes no sense for anything here, and would overflow clocks.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Every unit with its names, shortest first; the first name is how [`text`] writes it.
const UNITS: [(Duration, &[&str]); 6] = [
    (Duration::from_millis(1), &["ms", "msec", "millisecond", "milliseconds"]),
    (Duration::from_secs(1), &["s", "sec", "secs", "second", "seconds"]),
    (Duration::from_secs(60), &["m", "min", "mins", "minute", "minutes"]),
    (Duration::from_secs(3_600), &["h", "hr", "hour", "hours"]),
    (Duration::from_secs(86_400), &["d", "day", "days"]),
    (Duration::from_secs(7 * 86_400), &["w", "week", "weeks"]),
];

/// Why something is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// No digits where a number should begin.
    #[error("{0:?} is not a number with a unit")]
    NoNumber(String),
    /// `30`
    #[error("{0:?} has no unit (ms, s, m, h, days)")]
    NoUnit(String),
    /// `30 parsecs`
    #[error("{0:?} is not a unit; there are ms, s, m, h, days and weeks")]
    UnknownUnit(String),
    /// More than a hundred years.
    #[error("that is over a hundred years")]
    TooLong,
}

/// Reads a length of time: whole numbers with units, spaces as you like, the units in any order.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Empty);
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit());
        if number.is_empty() {
            return Err(DurationError::NoNumber(rest.to_owned()));
        }
        let (unit, after) = split(after.trim_start(), char::is_alphabetic);
        if unit.is_empty() {
            return Err(if after.is_empty() {
                DurationError::NoUnit(number.to_owned())
            } else {
                DurationError::NoNumber(rest.to_owned())
            });
        }
        let unit = unit_named(unit).ok_or_else(|| DurationError::UnknownUnit(unit.to_owned()))?;
        let count: u32 = number.parse().map_err(|_| DurationError::TooLong)?;
        sum = unit.checked_mul(count).and_then(|part| sum.checked_add(part)).ok_or(DurationError::TooLong)?;
        rest = after.trim_start();
    }
    if sum > LONGEST { Err(DurationError::TooLong) } else { Ok(sum) }
}

fn unit_named(name: &str) -> Option<Duration> {
    UNITS.iter().find(|(_, names)| names.contains(&name)).map(|(unit, _)| *unit)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// Writes a length of time so that [`parse`] reads it again, to the millisecond: `1h 30m`.
pub fn text(length: Duration) -> String {
    let mut rest = length.as_millis();
    let mut parts = Vec::new();
    for (unit, names) in UNITS.iter().rev() {
        let unit = unit.as_millis();
        if rest >= unit {
            parts.push(format!("{}{}", rest / unit, names[0]));
            rest %= unit;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_of_the_manual() {
        let millis = |text| parse(text).map(|length| length.as_millis());
        assert_eq!(millis("700ms"), Ok(700));
        assert_eq!(millis("30s"), Ok(30_000));
        assert_eq!(millis("10m"), Ok(600_000));
        assert_eq!(millis("1h"), Ok(3_600_000));
        assert_eq!(millis(" 7 days "), Ok(604_800_000));
        assert_eq!(millis("1h 30m"), Ok(5_400_000));
        assert_eq!(millis("1min30s"), Ok(90_000));
        assert_eq!(millis("0s"), Ok(0));
    }

    #[test]
    fn what_is_no_length_says_why() {
        assert_eq!(parse("30"), Err(DurationError::NoUnit("30".into())));
        assert_eq!(parse("30 m 5"), Err(DurationError::NoUnit("5".into())));
        assert_eq!(parse("5 parsecs"), Err(DurationError::UnknownUnit("parsecs".into())));
        assert_eq!(parse("soon"), Err(DurationError::NoNumber("soon".into())));
        assert_eq!(parse("-5s"), Err(DurationError::NoNumber("-5s".into())));
        assert_eq!(parse("1.5s"), Err(DurationError::NoNumber("1.5s".into())));
        assert_eq!(parse(""), Err(DurationError::Empty));
        assert_eq!(parse("99999999999999999999s"), Err(DurationError::TooLong));
        assert_eq!(parse("4294967295 weeks"), Err(DurationError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(millis in 0..=LONGEST.as_millis() as u64) {
            let length = Duration::from_millis(millis);
            prop_assert_eq!(parse(&text(length)), Ok(length));
        }

        #[test]
        fn no_text_panics(text in "\\PC*|[0-9a-z ]*") {
            let _ = parse(&text);
        }
    }
}

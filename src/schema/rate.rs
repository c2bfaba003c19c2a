//! So many in so long, as people write it: `1/2s`, `100/min`, `20 / 1h`.

use std::time::Duration;

use thiserror::Error;

use super::duration::{self, DurationError};

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// At least one.
    pub count: u32,
    /// Above zero.
    pub period: Duration,
}

impl Rate {
    /// The time that belongs to one.
    pub fn interval(self) -> Duration {
        self.period / self.count
    }
}

/// Why something is not a rate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RateError {
    /// No slash.
    #[error("it has no slash between the number and the time")]
    NoSlash,
    /// Not a whole number, or 0.
    #[error("{0:?} is not a whole number above zero")]
    NoCount(String),
    /// What follows the slash.
    #[error("after the slash, {0}")]
    Period(#[from] DurationError),
    /// `1/0s`
    #[error("after the slash stands no time at all")]
    NoTime,
}

/// Reads a rate. A unit without a number is one of it: `100/min`.
pub fn parse(text: &str) -> Result<Rate, RateError> {
    let (count, period) = text.split_once('/').ok_or(RateError::NoSlash)?;
    let number = count.trim().parse().ok().filter(|count| *count > 0);
    let count = number.ok_or_else(|| RateError::NoCount(count.trim().to_owned()))?;
    let period = period.trim();
    let is_unit = period.starts_with(|c: char| c.is_alphabetic());
    let period = duration::parse(&if is_unit { format!("1{period}") } else { period.to_owned() })?;
    if period.is_zero() { Err(RateError::NoTime) } else { Ok(Rate { count, period }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_of_the_manual() {
        let rate = |count, secs| Ok(Rate { count, period: Duration::from_secs(secs) });
        assert_eq!(parse("1/2s"), rate(1, 2));
        assert_eq!(parse(" 100 / min "), rate(100, 60));
        assert_eq!(parse("20/1h"), rate(20, 3600));
        assert_eq!(parse("4/s").map(Rate::interval), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_no_rate_says_why() {
        assert_eq!(parse("5"), Err(RateError::NoSlash));
        assert_eq!(parse("0/s"), Err(RateError::NoCount("0".into())));
        assert_eq!(parse("-1/s"), Err(RateError::NoCount("-1".into())));
        assert_eq!(parse("1/0s"), Err(RateError::NoTime));
        assert_eq!(parse("1/"), Err(RateError::Period(DurationError::Empty)));
        assert_eq!(parse("1/5"), Err(RateError::Period(DurationError::NoUnit("5".into()))));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|[0-9a-z/ ]*") {
            let _ = parse(&text).map(Rate::interval);
        }
    }
}

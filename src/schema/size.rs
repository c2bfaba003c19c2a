//! Numbers of bytes as people write them: `512 B`, `64 KiB`, `1 MiB`, `2 GiB`.

use thiserror::Error;

/// Every unit, in bytes.
const UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Why something is not a size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SizeError {
    /// No whole number at the start.
    #[error("{0:?} does not begin with a whole number")]
    NoNumber(String),
    /// `1000`
    #[error("{0:?} has no unit (B, KiB, MiB, GiB)")]
    NoUnit(String),
    /// `1 MB`
    #[error("{0:?} is not a unit; there are B, KiB, MiB and GiB")]
    UnknownUnit(String),
    /// Does not fit 63 bits, the longest a file can be.
    #[error("that is larger than any file")]
    TooLarge,
}

/// Reads a size: one whole number with one unit, a space between them or not.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    if number.is_empty() {
        return Err(SizeError::NoNumber(text.to_owned()));
    }
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Err(SizeError::NoUnit(number.to_owned()));
    }
    let bytes = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes);
    let bytes = bytes.ok_or_else(|| SizeError::UnknownUnit(unit.to_owned()))?;
    let count: u64 = number.parse().map_err(|_| SizeError::TooLarge)?;
    count.checked_mul(bytes).filter(|size| *size <= i64::MAX as u64).ok_or(SizeError::TooLarge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_of_the_manual() {
        assert_eq!(parse("0 B"), Ok(0));
        assert_eq!(parse("512B"), Ok(512));
        assert_eq!(parse("64 KiB"), Ok(65_536));
        assert_eq!(parse("1 MiB"), Ok(1_048_576));
        assert_eq!(parse("2GiB"), Ok(2_147_483_648));
    }

    #[test]
    fn what_is_no_size_says_why() {
        assert_eq!(parse("1000"), Err(SizeError::NoUnit("1000".into())));
        assert_eq!(parse("1 MB"), Err(SizeError::UnknownUnit("MB".into())));
        assert_eq!(parse("1.5 MiB"), Err(SizeError::UnknownUnit(".5 MiB".into())));
        assert_eq!(parse("many"), Err(SizeError::NoNumber("many".into())));
        assert_eq!(parse("9999999999999 GiB"), Err(SizeError::TooLarge));
        assert_eq!(parse("99999999999999999999 B"), Err(SizeError::TooLarge));
    }

    proptest! {
        #[test]
        fn unit_and_number_multiply(count in 0_u32.., unit in 0_usize..4, space in " ?") {
            let (name, bytes) = UNITS[unit];
            prop_assert_eq!(parse(&format!("{count}{space}{name}")), Ok(u64::from(count) * bytes));
        }

        #[test]
        fn no_text_panics(text in "\\PC*|[0-9a-zA-Z ]*") {
            let _ = parse(&text);
        }
    }
}

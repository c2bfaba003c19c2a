//! The name of a job: 26 characters that sort by time.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use super::{Millis, now};

/// Crockford's base 32: no `i`, `l`, `o`, `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters of an id in text: 128 bits, five each.
const LENGTH: usize = 26;

/// How many bits are random; those above are the time.
const RANDOM_BITS: u32 = 80;

/// The id of a job: 48 bits of Unix milliseconds, then 80 that cannot be guessed (the layout of a ULID).
///
/// Those of one process ascend, even within a millisecond and when the clock is set back. In text it is 26 characters
/// of `0-9` and `a-z`, safe in a URL and as the name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u128);

/// The text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that is not the id of a job, which has 26 characters of 0-9 and a-z without i, l, o and u")]
pub struct NoId;

impl JobId {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "no two are equal")]
    pub fn new() -> Self {
        static LAST: Mutex<u128> = Mutex::new(0);
        let made = made_of(now(), random());
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        *last = made.max(last.wrapping_add(1));
        Self(*last)
    }

    /// When it was made.
    pub fn created(self) -> Millis {
        u64::try_from(self.0 >> RANDOM_BITS).unwrap_or(Millis::MAX)
    }

    pub(super) fn number(self) -> u128 {
        self.0
    }

    pub(super) fn of_number(number: u128) -> Self {
        Self(number)
    }
}

fn made_of(millis: u64, random: [u8; 16]) -> u128 {
    // The time's upper 16 bits fall off the top.
    u128::from(millis) << RANDOM_BITS | u128::from_be_bytes(random) >> (u128::BITS - RANDOM_BITS)
}

/// What nobody can guess.
pub(crate) fn random() -> [u8; 16] {
    use rustix::rand::{GetRandomFlags, getrandom};
    let mut bytes = [0; 16];
    // So few come whole or not at all; at most, early at boot, the kernel waits for them, which a signal can end.
    rustix::io::retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty()))
        .expect("every kernel since 3.17 gives random bytes");
    bytes
}

impl fmt::Display for JobId {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: [u8; LENGTH] = std::array::from_fn(|at| {
            let shift = 5 * (LENGTH - 1 - at);
            ALPHABET[(self.0 >> shift) as usize & 31]
        });
        to.pad(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for JobId {
    type Err = NoId;

    /// Takes only what [`Display`](fmt::Display) writes: an id has one spelling.
    fn from_str(text: &str) -> Result<Self, NoId> {
        // Two bits less than the characters have room for.
        if text.len() != LENGTH || text.as_bytes()[0] > b'7' {
            return Err(NoId);
        }
        text.bytes().try_fold(0, |number, byte| digit(byte).map(|digit| number << 5 | digit)).map(Self)
    }
}

fn digit(byte: u8) -> Result<u128, NoId> {
    ALPHABET.iter().position(|known| *known == byte).map(|at| at as u128).ok_or(NoId)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn they_ascend_and_carry_the_time() {
        let before = now();
        let ids: Vec<_> = (0..1000).map(|_| JobId::new()).collect();
        assert!(ids.is_sorted_by(|earlier, later| earlier < later));
        let millis = (ids[0].number() >> RANDOM_BITS) as u64;
        assert!((before..=now()).contains(&millis), "{millis}");
        let text: Vec<_> = ids.iter().map(ToString::to_string).collect();
        assert!(text.is_sorted(), "text sorts as the ids do");
    }

    #[test]
    fn the_lower_bits_are_not_the_same_twice() {
        let random: std::collections::HashSet<_> = (0..100).map(|_| random()).collect();
        assert_eq!(random.len(), 100);
    }

    #[test]
    fn one_spelling_and_no_other() {
        assert_eq!(JobId(0).to_string(), "00000000000000000000000000");
        assert_eq!(JobId(u128::MAX).to_string(), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        let wrong = [
            "",
            "0",
            "000000000000000000000000000",
            "80000000000000000000000000",
            "0000000000000000000000000i",
            "0000000000000000000000000A",
            "0000000000000000000000000/",
            "000000000000000000000000é",
            "é0000000000000000000000000",
        ];
        for text in wrong {
            assert_eq!(text.parse::<JobId>(), Err(NoId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number in any::<u128>()) {
            let text = JobId(number).to_string();
            prop_assert_eq!((text.len(), text.parse()), (LENGTH, Ok(JobId(number))));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "[0-7][0-9a-z]{25}|.{0,30}") {
            if let Ok(id) = text.parse::<JobId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}

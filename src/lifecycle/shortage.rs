//! When nothing more can be accepted: said once when it begins and once when it is over, however often it comes and
//! goes. Pure: what happened and `now` in, what to say out.

use std::time::{Duration, Instant};

/// A shortage that comes and goes is told at most this often.
const APART: Duration = Duration::from_secs(60);

/// What is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nothing: it is known, or was told a moment ago.
    Nothing,
    /// It has begun, so many times since it was last told.
    Begun(u64),
    /// It is over.
    Over,
}

/// One kind of shortage.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shortage {
    is_now: bool,
    /// Its beginning was told, and its end not yet.
    is_told: bool,
    told_at: Option<Instant>,
    /// How often it began since it was last told.
    untold: u64,
}

impl Shortage {
    /// It is there: again, or still.
    pub fn is_met(&mut self, now: Instant) -> Word {
        if !std::mem::replace(&mut self.is_now, true) {
            self.untold += 1;
        }
        let is_recent = self.told_at.is_some_and(|at| now.saturating_duration_since(at) < APART);
        if self.is_told || is_recent {
            return Word::Nothing;
        }
        (self.is_told, self.told_at) = (true, Some(now));
        Word::Begun(std::mem::take(&mut self.untold))
    }

    /// It is not there, or no more.
    pub fn is_over(&mut self) -> Word {
        self.is_now = false;
        if std::mem::take(&mut self.is_told) { Word::Over } else { Word::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_lasts_is_told_twice() {
        let (mut shortage, now) = (Shortage::default(), Instant::now());
        assert_eq!(shortage.is_over(), Word::Nothing);
        assert_eq!(shortage.is_met(now), Word::Begun(1));
        for later in 1..1000 {
            assert_eq!(shortage.is_met(now + Duration::from_secs(later)), Word::Nothing);
        }
        assert_eq!(shortage.is_over(), Word::Over);
        assert_eq!(shortage.is_over(), Word::Nothing);
    }

    #[test]
    fn one_that_comes_and_goes_is_told_once_a_minute_with_how_often() {
        let (mut shortage, now) = (Shortage::default(), Instant::now());
        let mut told = Vec::new();
        for tenth in 0..1250 {
            told.push(shortage.is_met(now + Duration::from_millis(tenth * 100)));
            told.push(shortage.is_over());
        }
        told.retain(|word| *word != Word::Nothing);
        let pairs = [Word::Begun(1), Word::Begun(600), Word::Begun(600)];
        assert_eq!(told, pairs.map(|begun| [begun, Word::Over]).concat());
    }

    #[test]
    fn one_that_comes_back_to_stay_is_told_late_but_told() {
        let (mut shortage, now) = (Shortage::default(), Instant::now());
        shortage.is_met(now);
        shortage.is_over();
        assert_eq!(shortage.is_met(now + APART / 2), Word::Nothing);
        assert_eq!(shortage.is_met(now + APART), Word::Begun(1));
    }
}

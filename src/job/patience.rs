//! How often a store that fails is asked again.

use std::time::Duration;

/// The first wait, and the longest: each time is a line in the journal, and the store may fail for days.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// How long who asks has waited already.
#[derive(Debug, Default)]
pub(super) struct Patience {
    last: Duration,
}

impl Patience {
    /// It has failed once more: how long to wait now, twice as long as the last time.
    pub fn wait(&mut self) -> Duration {
        self.last = (self.last * 2).clamp(FIRST, LONGEST);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_soon_and_never_often() {
        let mut patience = Patience::default();
        let waits: Vec<_> = (0..9).map(|_| patience.wait().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30, 30]);
    }
}

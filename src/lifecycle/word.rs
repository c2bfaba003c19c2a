//! The one atomic word that counts holds: all hand-made concurrency of the lifecycle, checked with loom.
//!
//! Two counts and four flags share the word, so that counting and being refused, or counting and being told, are one
//! exchange. The second count is for holds begun after a drain started: the drain goes on accepting only while the
//! older ones last.

#[cfg(dormouse_loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(dormouse_loom))]
use std::sync::atomic::{AtomicU64, Ordering};

/// One hold begun before a drain.
const OLDER: u64 = 1;
/// One hold begun during a drain.
const NEWER: u64 = 1 << 28;
const LANE: u64 = NEWER - 1;

/// The process has committed to leave: nothing begins any more.
const COMMITTED: u64 = 1 << 63;
/// A drain has begun: holds count as newer.
const DRAINING: u64 = 1 << 62;
/// The keeper wants to hear of a hold that begins.
const TELL_BEGIN: u64 = 1 << 61;
/// The keeper wants to hear when a count falls to zero.
const TELL_END: u64 = 1 << 60;

/// Counts holds; commits only at zero.
#[derive(Debug)]
pub struct Word(AtomicU64);

/// What [`Word::begin`] counted; given back to [`Word::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit(u64);

/// What a change asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// Nothing.
    Nobody,
    /// The keeper waits for this.
    Keeper,
}

/// Holds at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Begun before the drain, or at all when there is none.
    pub older: u64,
    /// Begun during the drain.
    pub newer: u64,
}

impl Counts {
    fn of(word: u64) -> Self {
        Self { older: word & LANE, newer: (word / NEWER) & LANE }
    }

    /// All holds.
    pub fn all(self) -> u64 {
        self.older + self.newer
    }
}

/// What the keeper wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nothing: the hot path tells nobody.
    ToNothing,
    /// A hold that begins (while idle connections are being closed).
    ToBegins,
    /// A count that falls to zero (the quiet is over but something holds; or a drain).
    ToEnds,
}

impl Default for Word {
    fn default() -> Self {
        Self::new()
    }
}

impl Word {
    /// Nothing held, nobody told.
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Admits and counts in one step, or refuses because the process has committed to leave.
    pub fn begin(&self) -> Option<(Unit, Tell)> {
        let before = self.0.fetch_add(OLDER, Ordering::AcqRel);
        if before & COMMITTED != 0 {
            self.0.fetch_sub(OLDER, Ordering::AcqRel);
            return None;
        }
        let unit = if before & DRAINING == 0 {
            OLDER
        } else {
            // Counted as older for an instant: the drain sees one hold too many, never one too few.
            self.0.fetch_add(NEWER - OLDER, Ordering::AcqRel);
            NEWER
        };
        let tell = if before & TELL_BEGIN == 0 { Tell::Nobody } else { Tell::Keeper };
        Some((Unit(unit), tell))
    }

    /// Ends what [`Word::begin`] counted.
    pub fn end(&self, unit: Unit) -> Tell {
        let before = self.0.fetch_sub(unit.0, Ordering::AcqRel);
        let left = Counts::of(before - unit.0);
        let of_note = left.all() == 0 || (unit.0 == OLDER && left.older == 0);
        if before & TELL_END != 0 && of_note { Tell::Keeper } else { Tell::Nobody }
    }

    /// Sets what the keeper wants to hear of from now on. Look at [`Word::counts`] *after* it, never only before: a
    /// change in between told nobody.
    pub fn listen(&self, to: Listen) {
        let flag = match to {
            Listen::ToNothing => 0,
            Listen::ToBegins => TELL_BEGIN,
            Listen::ToEnds => TELL_END,
        };
        let other = (TELL_BEGIN | TELL_END) & !flag;
        self.0.fetch_or(flag, Ordering::AcqRel);
        self.0.fetch_and(!other, Ordering::AcqRel);
    }

    /// Holds begun from now on are newer.
    pub fn begin_drain(&self) {
        self.0.fetch_or(DRAINING, Ordering::AcqRel);
    }

    /// Zero to committed in one exchange: true only if nothing is held.
    pub fn try_commit(&self) -> bool {
        let word = self.0.load(Ordering::Acquire);
        Counts::of(word).all() == 0
            && self.0.compare_exchange(word, word | COMMITTED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Holds now.
    pub fn counts(&self) -> Counts {
        Counts::of(self.0.load(Ordering::Acquire))
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn commits_only_at_zero_and_admits_nothing_after() {
        let word = Word::new();
        let (unit, _) = word.begin().expect("not committed");
        assert!(!word.try_commit());
        word.end(unit);
        assert!(word.try_commit());
        assert_eq!(word.begin(), None);
        assert_eq!(word.counts(), Counts::default());
    }

    #[test]
    fn a_drain_tells_older_from_newer() {
        let word = Word::new();
        let (older, _) = word.begin().expect("open");
        word.begin_drain();
        let (newer, _) = word.begin().expect("open");
        assert_eq!(word.counts(), Counts { older: 1, newer: 1 });
        word.listen(Listen::ToEnds);
        assert_eq!(word.end(older), Tell::Keeper, "the last older one is of note though a newer one runs");
        assert_eq!(word.end(newer), Tell::Keeper);
    }

    #[test]
    fn tells_only_what_was_asked() {
        let word = Word::new();
        let (first, tell) = word.begin().expect("open");
        assert_eq!(tell, Tell::Nobody);
        word.listen(Listen::ToEnds);
        let (second, tell) = word.begin().expect("open");
        assert_eq!(tell, Tell::Nobody);
        assert_eq!(word.end(first), Tell::Nobody, "one is left");
        assert_eq!(word.end(second), Tell::Keeper);
        word.listen(Listen::ToBegins);
        assert_eq!(word.begin().expect("open").1, Tell::Keeper);
    }
}

#[cfg(all(test, dormouse_loom))]
mod model {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn nothing_begins_once_committed() {
        loom::model(|| {
            let word = Arc::new(Word::new());
            let other = word.clone();
            let worker = thread::spawn(move || other.begin().map(|(unit, _)| other.end(unit)).is_some());
            let committed = word.try_commit();
            let began = worker.join().expect("no panic");
            if committed {
                assert!(word.begin().is_none());
                assert_eq!(word.counts(), Counts::default());
            } else {
                assert!(began, "refused though nobody committed");
            }
        });
    }

    #[test]
    fn the_last_end_is_told_or_seen() {
        loom::model(|| {
            let word = Arc::new(Word::new());
            let (unit, _) = word.begin().expect("open");
            let other = word.clone();
            let worker = thread::spawn(move || other.end(unit));
            word.listen(Listen::ToEnds);
            let seen = word.counts().all() == 0;
            let told = worker.join().expect("no panic") == Tell::Keeper;
            assert!(seen || told, "the keeper would wait for ever");
        });
    }

    #[test]
    fn a_begin_while_closing_is_told_or_seen() {
        loom::model(|| {
            let word = Arc::new(Word::new());
            let other = word.clone();
            let worker = thread::spawn(move || other.begin());
            word.listen(Listen::ToBegins);
            let committed = word.try_commit();
            let began = worker.join().expect("no panic");
            match began {
                None => assert!(committed),
                Some(_) => assert!(!committed, "committed over a hold"),
            }
        });
    }

    #[test]
    fn a_drain_never_misses_an_older_hold() {
        loom::model(|| {
            let word = Arc::new(Word::new());
            let (older, _) = word.begin().expect("open");
            let other = word.clone();
            let worker = thread::spawn(move || {
                let (unit, _) = other.begin().expect("nobody commits");
                other.end(unit);
            });
            word.begin_drain();
            assert!(word.counts().older >= 1);
            worker.join().expect("no panic");
            word.end(older);
            assert_eq!(word.counts(), Counts::default());
        });
    }
}

//! Places for connections: how many there are, and who leaves when they are all taken.
//!
//! Whoever has been idle longest is asked to leave, and does so as it would to let the process sleep: with a look at the
//! kernel and a half-close in the same breath, so that a request that is there is served instead. A connection that has
//! not made a request yet, or is making one, is never asked; then newcomers wait in the kernel.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rustix::process::{Resource, getrlimit};

use super::record::{Record, Roll, State};

/// Descriptors that are not for connections: listeners, files, what the program opens.
const SPARE_DESCRIPTORS: usize = 256;

/// How many are asked to leave at once: so many, and no more than this part of the idle ones.
const ASKED: usize = 32;
const SHARE_OF_IDLE: usize = 8;

/// How many places there are by default: the open-files limit less 256, or half of a small one.
pub fn default_places() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    descriptors.saturating_sub(SPARE_DESCRIPTORS).max(descriptors / 2).max(1)
}

/// Asks those that have been idle longest to leave, unless enough are leaving already.
pub fn make(roll: &Roll) {
    let (mut idle, mut leaving) = (Vec::new(), 0);
    roll.each(|record| match record.state() {
        State::Idle if record.is_asked_to_leave() => leaving += 1,
        State::Idle => idle.push(record.clone()),
        // Others linger for longer, and whoever likes to.
        State::Lingering if record.is_quiet.load(Relaxed) => leaving += 1,
        State::Lingering | State::New | State::Head | State::Busy | State::Tunnel => {}
    });
    for record in longest_idle(&mut idle, leaving) {
        record.ask_to_leave();
    }
}

/// Those of the idle ones to ask when so many are leaving.
fn longest_idle(idle: &mut [Arc<Record>], leaving: usize) -> &[Arc<Record>] {
    let wanted = (idle.len() / SHARE_OF_IDLE).clamp(1, ASKED).saturating_sub(leaving).min(idle.len());
    if wanted == 0 {
        return &[];
    }
    idle.select_nth_unstable_by_key(wanted - 1, |record| record.idle_since());
    &idle[..wanted]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::Peer;

    fn idle(roll: &Roll, since: u64) -> Arc<Record> {
        let record = roll.enter(Peer::Unix(None), "web".into(), since);
        record.set_state(State::Idle);
        record
    }

    #[test]
    fn the_longest_idle_leave_first_and_not_too_many_at_once() {
        let roll = Roll::default();
        let records: Vec<_> = (1..=80).rev().map(|since| idle(&roll, since)).collect();
        let asked = || records.iter().filter(|record| record.is_asked_to_leave()).count();
        records[75].set_state(State::Busy);
        make(&roll);
        let asked_since: Vec<_> = records
            .iter()
            .filter(|record| record.is_asked_to_leave())
            .map(|record| record.idle_since())
            .collect();
        assert_eq!(asked_since, [10, 9, 8, 7, 6, 4, 3, 2, 1], "5 is busy");
        make(&roll);
        assert_eq!(asked(), 9, "they are still leaving");
    }

    #[test]
    fn a_request_in_between_takes_the_asking_back() {
        let roll = Roll::default();
        let record = idle(&roll, 5);
        make(&roll);
        assert!(record.is_asked_to_leave());
        record.reading_since.store(6, Relaxed);
        assert!(!record.is_asked_to_leave(), "it is idle anew");
    }

    #[test]
    fn nobody_idle_nobody_asked() {
        let roll = Roll::default();
        let record = roll.enter(Peer::Unix(None), "web".into(), 1);
        make(&roll);
        assert!(!record.is_asked_to_leave());
    }
}

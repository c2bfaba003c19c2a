//! How many jobs of each queue wait and run: in memory, as of the last commit.

use std::collections::BTreeMap;

use super::job::State;

/// The counts of queues that have jobs which are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts(BTreeMap<String, Count>);

/// Those of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub queued: u64,
    pub running: u64,
}

impl Counts {
    pub fn of(&self, queue: &str) -> Count {
        self.0.get(queue).copied().unwrap_or_default()
    }

    pub fn all(&self) -> impl Iterator<Item = (&str, Count)> {
        self.0.iter().map(|(queue, count)| (queue.as_str(), *count))
    }

    /// A job of this queue goes from one state to another; `None` is before it came, and after it is forgotten.
    pub fn change(&mut self, queue: &str, from: Option<State>, to: Option<State>) {
        if from == to || (!is_counted(from) && !is_counted(to)) {
            return;
        }
        let count = self.0.entry(queue.to_owned()).or_default();
        if let Some(number) = from.and_then(|from| count.of(from)) {
            *number = number.saturating_sub(1);
        }
        if let Some(number) = to.and_then(|to| count.of(to)) {
            *number += 1;
        }
        if *count == Count::default() {
            self.0.remove(queue);
        }
    }
}

impl Count {
    fn of(&mut self, state: State) -> Option<&mut u64> {
        match state {
            State::Queued => Some(&mut self.queued),
            State::Running => Some(&mut self.running),
            State::Done | State::Failed | State::Cancelled => None,
        }
    }
}

fn is_counted(state: Option<State>) -> bool {
    state.is_some_and(|state| !state.is_over())
}

//! Who runs now: for the status, and for a process that leaves only after them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The programs that run now.
#[derive(Debug, Default)]
pub struct Roster {
    entries: Mutex<Entries>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    all: BTreeMap<u64, (String, Instant)>,
    next: u64,
}

/// One of them, until dropped.
#[derive(Debug)]
pub struct Entry {
    roster: Arc<Roster>,
    number: u64,
}

impl Roster {
    /// One more, by its name for people: `command /deploy`.
    pub fn enter(self: &Arc<Self>, name: String) -> Entry {
        let mut entries = self.entries();
        let number = entries.next;
        entries.next += 1;
        entries.all.insert(number, (name, Instant::now()));
        Entry { roster: self.clone(), number }
    }

    /// Their names, the longest running first; of many with the same name, the name once with their number.
    pub fn names(&self) -> Vec<String> {
        let mut counted: Vec<(String, usize)> = Vec::new();
        for (name, _) in self.entries().all.values() {
            match counted.iter_mut().find(|(other, _)| other == name) {
                Some((_, count)) => *count += 1,
                None => counted.push((name.clone(), 1)),
            }
        }
        let text = |(name, count)| if count == 1 { name } else { format!("{name} ({count} times)") };
        counted.into_iter().map(text).collect()
    }

    /// Their names, and for how long they have been running; the longest running first.
    pub fn all(&self) -> Vec<(String, Duration)> {
        self.entries().all.values().map(|(name, since)| (name.clone(), since.elapsed())).collect()
    }

    /// Waits until there is none.
    pub async fn empty(&self) {
        loop {
            let mut told = std::pin::pin!(self.changed.notified());
            told.as_mut().enable();
            if self.entries().all.is_empty() {
                return;
            }
            told.await;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner) // a map is whole after any panic
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.roster.entries().all.remove(&self.number);
        self.roster.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_one_s_end_is_told() {
        let roster = Arc::new(Roster::default());
        roster.empty().await;
        let entries = ["a", "b", "a"].map(|name| roster.enter(name.to_owned()));
        assert_eq!(roster.names(), ["a (2 times)", "b"]);
        assert_eq!(roster.all().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "a"]);
        let waiting = tokio::spawn({
            let roster = roster.clone();
            async move { roster.empty().await }
        });
        let [a, b, c] = entries;
        drop((a, b));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(c);
        waiting.await.expect("no panic");
    }
}

//! Who runs now: for the status, and for a process that leaves only after them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The programs that run now, each with a hold of its own.
#[derive(Debug, Default)]
pub struct Roster {
    entries: Mutex<Entries>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    all: BTreeMap<u64, Known>,
    next: u64,
}

#[derive(Debug)]
struct Known {
    what: &'static str,
    route: Arc<str>,
    since: Instant,
}

/// One of them, until dropped.
#[derive(Debug)]
pub struct Entry {
    roster: Arc<Roster>,
    number: u64,
}

/// What there is to tell of one.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `command`, `job`.
    pub what: &'static str,
    /// The path of its route, as written.
    pub route: Arc<str>,
    /// For how long it has run.
    pub age: Duration,
}

impl Roster {
    /// One more.
    pub fn enter(self: &Arc<Self>, what: &'static str, route: Arc<str>) -> Entry {
        let mut entries = self.entries();
        let number = entries.next;
        entries.next += 1;
        entries.all.insert(number, Known { what, route, since: Instant::now() });
        Entry { roster: self.clone(), number }
    }

    /// All of them, the longest running first.
    pub fn seen(&self) -> Vec<Seen> {
        let seen =
            |known: &Known| Seen { what: known.what, route: known.route.clone(), age: known.since.elapsed() };
        self.entries().all.values().map(seen).collect()
    }

    /// Their names for people, the longest running first: `command /deploy`; of several of one route their number.
    pub fn names(&self) -> Vec<String> {
        let mut counted: Vec<(&'static str, Arc<str>, usize)> = Vec::new();
        for Known { what, route, .. } in self.entries().all.values() {
            match counted.iter_mut().find(|(other, path, _)| other == what && path == route) {
                Some((.., count)) => *count += 1,
                None => counted.push((what, route.clone(), 1)),
            }
        }
        let text = |(what, route, count)| match count {
            1 => format!("{what} {route}"),
            count => format!("{count} {what}s {route}"),
        };
        counted.into_iter().map(text).collect()
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
        let [a, b, c] = [("command", "/a"), ("job", "/a"), ("command", "/a")]
            .map(|(what, route)| roster.enter(what, route.into()));
        assert_eq!(roster.names(), ["2 commands /a", "job /a"]);
        assert_eq!(roster.seen().len(), 3);
        let waiting = tokio::spawn({
            let roster = roster.clone();
            async move { roster.empty().await }
        });
        drop((a, b));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(c);
        waiting.await.expect("no panic");
    }
}

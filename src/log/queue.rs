//! The bounded queue between those who log and the one thread that writes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::record::Record;

/// How many records may wait. Some hundred KiB when full of access records.
pub const CAPACITY: usize = 1024;

/// Records that wait to be written. The lock is held to push or to swap, never while anything is written.
pub struct Queue {
    state: Mutex<State>,
    /// There is something for the writer to do.
    work: Condvar,
    /// A flush is done.
    flushed: Condvar,
}

#[derive(Default)]
struct State {
    records: VecDeque<Record>,
    dropped: u64,
    writer: WriterState,
    /// Flushes are numbered; one settles all before it.
    wanted_flush: u64,
    done_flush: u64,
    done_in_full: bool,
    flush_until: Option<Instant>,
}

/// What is left to do for who logged.
#[derive(Debug, PartialEq)]
pub enum Pushed {
    Done,
    /// There is no writer; this caller, and no other, starts it.
    StartWriter,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum WriterState {
    #[default]
    None,
    Running,
}

/// What the writer has to do in one turn, in this order. It is kept from turn to turn, for its memory.
#[derive(Default)]
pub struct Batch {
    /// Dropped before these records, because the queue was full.
    pub dropped: u64,
    /// To be written.
    pub records: VecDeque<Record>,
    /// Asked for after all these records were logged.
    pub flush: Option<Flush>,
}

/// Somebody waits until everything is written, and no longer than `until`.
#[derive(Clone, Copy, Debug)]
pub struct Flush {
    pub number: u64,
    pub until: Instant,
}

impl Queue {
    pub fn new() -> Self {
        Self { state: Mutex::default(), work: Condvar::new(), flushed: Condvar::new() }
    }

    /// Adds a record. When the queue is full, the oldest is dropped and counted: the newest may be the last of all.
    /// Never waits.
    pub fn push(&self, record: Record) -> Pushed {
        let mut state = self.lock();
        if state.records.len() >= CAPACITY {
            state.records.pop_front();
            state.dropped += 1;
        }
        state.records.push_back(record);
        match std::mem::replace(&mut state.writer, WriterState::Running) {
            WriterState::None => Pushed::StartWriter,
            WriterState::Running => {
                self.work.notify_one();
                Pushed::Done
            }
        }
    }

    /// Waits for work, and takes all of it.
    pub fn take(&self, batch: &mut Batch) {
        let mut state = self.lock();
        while !state.has_work() {
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.give(batch);
    }

    /// Takes all there is.
    pub fn take_now(&self, batch: &mut Batch) {
        self.lock().give(batch);
    }

    /// The writer could not be started: the next who logs has to try again.
    pub fn abandon_writer(&self) {
        self.lock().writer = WriterState::None;
    }

    /// True while nothing was ever logged, or no thread can be had.
    pub fn lacks_writer(&self) -> bool {
        self.lock().writer == WriterState::None
    }

    /// Waits until the writer has done all that was logged before; `false` if that took too long.
    pub fn flush(&self, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        let mut state = self.lock();
        state.wanted_flush += 1;
        let number = state.wanted_flush;
        state.flush_until = state.flush_until.max(Some(until));
        self.work.notify_one();
        let (state, timeout) = self
            .flushed
            .wait_timeout_while(state, deadline, |state| state.done_flush < number)
            .unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out() && state.done_in_full
    }

    /// The writer's answer to a [`Flush`].
    pub fn flushed(&self, flush: Flush, in_full: bool) {
        let mut state = self.lock();
        state.done_flush = flush.number;
        state.done_in_full = in_full;
        self.flushed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between two steps of a push leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_work(&self) -> bool {
        !self.records.is_empty() || self.flush_until.is_some()
    }

    fn give(&mut self, batch: &mut Batch) {
        batch.records.clear();
        std::mem::swap(&mut self.records, &mut batch.records);
        batch.dropped = std::mem::take(&mut self.dropped);
        batch.flush = self.flush_until.take().map(|until| Flush { number: self.wanted_flush, until });
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::record::Captured;
    use super::super::record::tests::records_of;
    use super::*;

    fn record(number: u64) -> Record {
        records_of(|| tracing::info!(number)).remove(0)
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts() {
        let queue = Queue::new();
        let mut batch = Batch::default();
        for number in 0..CAPACITY as u64 + 3 {
            queue.push(record(number));
        }
        queue.take(&mut batch);
        assert_eq!((batch.records.len(), batch.dropped), (CAPACITY, 3));
        assert_eq!(batch.records[0].value("number"), Some(&Captured::Unsigned(3)));
        queue.push(record(0));
        queue.take(&mut batch);
        assert_eq!((batch.records.len(), batch.dropped), (1, 0));
    }

    #[test]
    fn a_flush_comes_with_what_was_logged_before_it() {
        let queue = Queue::new();
        queue.push(record(0));
        thread::scope(|scope| {
            let flush = scope.spawn(|| queue.flush(Duration::from_secs(60)));
            let mut batch = Batch::default();
            let mut records = 0;
            let asked = loop {
                queue.take(&mut batch);
                records += batch.records.len();
                if let Some(asked) = batch.flush {
                    break asked;
                }
            };
            assert_eq!(records, 1);
            queue.flushed(asked, true);
            assert!(flush.join().expect("flush does not panic"));
        });
    }

    #[test]
    fn a_flush_gives_up_on_a_stuck_writer() {
        assert!(!Queue::new().flush(Duration::from_millis(1)));
    }

    #[test]
    fn one_caller_starts_the_writer() {
        let queue = Queue::new();
        assert!(queue.lacks_writer());
        assert_eq!(queue.push(record(0)), Pushed::StartWriter);
        assert_eq!(queue.push(record(0)), Pushed::Done);
        queue.abandon_writer();
        assert_eq!(queue.push(record(0)), Pushed::StartWriter);
    }
}

//! Calls that may block: off the serving thread, one after another in the order they were made.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Call = Box<dyn FnOnce() + Send>;

/// A queue of calls, and whether somebody is at it.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Call>,
    is_at_work: bool,
}

impl Calls {
    /// Adds a call, to be made at the next [`Calls::work`].
    pub fn add(&self, call: impl FnOnce() + Send + 'static) {
        self.lock().waiting.push_back(Box::new(call));
    }

    /// Has what waits done on the blocking pool. Needs a runtime.
    pub fn work(&self) {
        let mut queue = self.lock();
        if queue.waiting.is_empty() || std::mem::replace(&mut queue.is_at_work, true) {
            return;
        }
        drop(queue);
        let calls = self.clone();
        tokio::task::spawn_blocking(move || {
            while let Some(call) = calls.next() {
                // The panic hook has told of it; the next call is no worse for it.
                let _ = catch_unwind(AssertUnwindSafe(call));
            }
        });
    }

    fn next(&self) -> Option<Call> {
        let mut queue = self.lock();
        let call = queue.waiting.pop_front();
        queue.is_at_work = call.is_some();
        call
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // nothing panics while it is held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn they_are_made_in_order_and_a_panic_stops_none() {
        let calls = Calls::default();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..100 {
            let sender = sender.clone();
            calls.add(move || {
                sender.send(number).expect("the test listens");
                assert_ne!(number, 50, "as asked");
            });
            if number % 10 == 0 {
                calls.work();
            }
        }
        calls.work();
        for number in 0..100 {
            assert_eq!(receiver.recv().await, Some(number));
        }
    }
}

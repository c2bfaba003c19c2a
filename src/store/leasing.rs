//! A lease on its way to its worker: if the worker is gone when it comes, it is given back.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::call::{Answer, Change, Message, Undo, answer};
use super::error::StoreError;
use super::job::{Job, Lease, Millis};
use super::tables::{Made, Tables};

/// The call for a lease.
pub(super) struct Leasing {
    pub queue: String,
    pub now: Millis,
    pub lease: Option<Lease>,
    pub made: Option<Option<Job>>,
    pub returns: Arc<Returns>,
    pub to: Answer<Given>,
}

impl Change for Leasing {
    fn make(&mut self, tables: &mut Tables<'_>) -> Made<()> {
        self.made = Some(tables.lease(&self.queue, self.now, self.lease.as_ref())?);
        Ok(())
    }

    fn answer(self: Box<Self>, fate: Result<(), StoreError>) {
        let Self { made, returns, to, .. } = *self;
        // Not wrapped before it is on disk: only then there is something to give back.
        let made = made.filter(|_| fate.is_ok());
        answer(to, made.map(|job| Given { job, returns }), fate);
    }

    fn undo(&self) -> Option<Undo> {
        self.made.as_ref()?.as_ref().map(undo_of)
    }
}

/// A job for a worker; back it goes, when it is dropped and not taken.
pub(super) struct Given {
    job: Option<Job>,
    returns: Arc<Returns>,
}

impl Given {
    pub fn take(mut self) -> Option<Job> {
        self.job.take()
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            self.returns.put(undo_of(&job));
        }
    }
}

fn undo_of(job: &Job) -> Undo {
    Undo::Release(job.id, job.lease.as_ref().map(|lease| lease.token.clone()))
}

/// What was given back, until the thread gets to it.
#[derive(Debug)]
pub(super) struct Returns {
    waiting: Mutex<Vec<Undo>>,
    /// Not one that keeps the thread running.
    thread: mpsc::WeakSender<Message>,
}

impl Returns {
    pub fn new(thread: mpsc::WeakSender<Message>) -> Self {
        Self { waiting: Mutex::default(), thread }
    }

    fn put(&self, undo: Undo) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(undo);
        if let Some(thread) = self.thread.upgrade() {
            let _ = thread.try_send(Message::Wake); // full, it is about to look anyway
        }
    }

    /// As changes of the next batch.
    pub fn take(self: &Arc<Self>) -> Vec<Box<dyn Change>> {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let back = |undo| Box::new(Back { undo, returns: self.clone() }) as Box<dyn Change>;
        waiting.into_iter().map(back).collect()
    }
}

/// One that goes back.
struct Back {
    undo: Undo,
    returns: Arc<Returns>,
}

impl Change for Back {
    fn make(&mut self, tables: &mut Tables<'_>) -> Made<()> {
        self.undo.make(tables)
    }

    fn answer(self: Box<Self>, fate: Result<(), StoreError>) {
        if fate.is_err() {
            // With the next batch, whenever it comes: a worker's next attempt to lease, at the latest.
            self.returns.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(self.undo);
        }
    }
}

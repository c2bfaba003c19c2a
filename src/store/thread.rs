//! The thread that has the file: it takes all calls that wait, commits them as one, and answers.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::call::{Change, Look, Message};
use super::error::{Fault, StoreError};
use super::keeper::{Failed, Keeper};
use super::leasing::Returns;

/// The most calls that share a commit.
const MOST_AT_ONCE: usize = 512;

/// The thread's state.
pub(super) struct Worker {
    pub path: PathBuf,
    pub keeper: Keeper,
    pub returns: Arc<Returns>,
}

/// What is done in one go.
#[derive(Default)]
struct Batch {
    changes: Vec<Box<dyn Change>>,
    looks: Vec<Box<dyn Look>>,
    /// The last thing taken, so that what came before it is done first, and what comes after opens the file again.
    close: Option<oneshot::Sender<()>>,
}

impl Batch {
    fn take(&mut self, message: Message) {
        match message {
            Message::Change(change) => self.changes.push(change),
            Message::Look(look) => self.looks.push(look),
            Message::Close(closed) => self.close = Some(closed),
            Message::Wake => {}
        }
    }

    fn is_full(&self) -> bool {
        self.close.is_some() || self.changes.len() + self.looks.len() >= MOST_AT_ONCE
    }
}

impl Worker {
    /// Until nobody can call any more.
    pub fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.blocking_recv() {
            let mut batch = Batch::default();
            batch.take(message);
            while !batch.is_full()
                && let Ok(message) = messages.try_recv()
            {
                batch.take(message);
            }
            self.serve(batch);
        }
        self.keeper.close();
    }

    fn serve(&mut self, batch: Batch) {
        let mut changes = self.returns.take();
        changes.extend(batch.changes);
        if !changes.is_empty() {
            self.change(changes);
        }
        // After the changes: who asks sees what was sent before.
        for look in batch.looks {
            self.look(look);
        }
        if let Some(closed) = batch.close {
            self.keeper.close();
            let _ = closed.send(());
        }
    }

    fn change(&mut self, mut changes: Vec<Box<dyn Change>>) {
        let mut is_first = true;
        let fate = loop {
            match self.try_change(&mut changes) {
                Ok(()) => break Ok(()),
                Err(Failed::Open(fault)) => break Err(fault.told(&self.path)),
                Err(Failed::Commit(fault)) => {
                    if !std::mem::take(&mut is_first) || !self.can_repeat(&fault, &mut changes) {
                        break Err(fault.told(&self.path));
                    }
                }
            }
        };
        answer_all(changes, &fate);
    }

    fn try_change(&mut self, changes: &mut Vec<Box<dyn Change>>) -> Result<(), Failed> {
        self.keeper.open().map_err(Failed::Open)?;
        if changes.iter().any(|change| change.is_addition())
            && let Err(error) = self.keeper.reserve.hold()
        {
            self.refuse_additions(changes, Fault::Io(error).told(&self.path));
        }
        if changes.is_empty() { Ok(()) } else { self.keeper.commit(changes) }
    }

    /// Whether a batch that came to nothing is worth another try, perhaps without some of it.
    fn can_repeat(&mut self, fault: &Fault, changes: &mut Vec<Box<dyn Change>>) -> bool {
        self.keeper.suspect(fault);
        match self.keeper.open() {
            Ok(was_committed) if !was_committed => {}
            // It is on disk after all, or may be: what was not told is undone, the rest must not be made twice.
            Ok(_) | Err(_) => return false,
        }
        match fault {
            Fault::Damaged(_) | Fault::Internal(_) => true,
            Fault::Io(error) if fault.is_full() => {
                let error = std::io::Error::from_raw_os_error(error.raw_os_error().unwrap_or_default());
                self.refuse_additions(changes, Fault::Io(error).told(&self.path));
                !changes.is_empty() && self.keeper.reserve.hand_over(&self.path)
            }
            Fault::Io(_) | Fault::InUse | Fault::Newer(_) => false,
        }
    }

    fn refuse_additions(&self, changes: &mut Vec<Box<dyn Change>>, error: StoreError) {
        let additions = changes.extract_if(.., |change| change.is_addition()).collect();
        answer_all(additions, &Err(error));
    }

    fn look(&mut self, mut look: Box<dyn Look>) {
        let mut fate = self.keeper.look(&mut *look);
        if let Err(fault @ (Fault::Damaged(_) | Fault::Internal(_))) = &fate {
            self.keeper.suspect(fault);
            fate = self.keeper.look(&mut *look);
        }
        look.answer(fate.map_err(|fault| fault.told(&self.path)));
    }
}

fn answer_all(changes: Vec<Box<dyn Change>>, fate: &Result<(), StoreError>) {
    for change in changes {
        change.answer(fate.clone());
    }
}

//! One call on its way through the thread: the work, and where the answer goes.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::JobId;
use super::changes::Key;
use super::error::StoreError;
use super::job::{NewJob, Submitted};
use super::looks::Snapshot;
use super::tables::{Made, Tables};

/// What goes to the thread.
pub(super) enum Message {
    Change(Box<dyn Change>),
    Look(Box<dyn Look>),
    /// Closes the file, then says so.
    Close(oneshot::Sender<()>),
    /// There is something given back.
    Wake,
}

/// A change, one of a batch. It may be made more than once before it is answered: a batch that comes to nothing is tried
/// again.
pub(super) trait Change: Send {
    /// Makes it.
    fn make(&mut self, tables: &mut Tables<'_>) -> Made<()>;

    /// Tells what became of the batch.
    fn answer(self: Box<Self>, fate: Result<(), StoreError>);

    /// Whether it adds a job; only that can be refused for want of room.
    fn is_addition(&self) -> bool {
        false
    }

    /// What has to be undone if it turns out to be on disk although it was answered with an error.
    fn undo(&self) -> Option<Undo> {
        None
    }
}

/// A question.
pub(super) trait Look: Send {
    fn look(&mut self, snapshot: &Snapshot<'_>) -> Made<()>;
    fn answer(self: Box<Self>, fate: Result<(), StoreError>);
}

/// What takes back a change that nobody was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Undo {
    /// A submission.
    Withdraw(JobId),
    /// A lease, and its token.
    Release(JobId, Option<String>),
}

impl Undo {
    pub fn make(&self, tables: &mut Tables<'_>) -> Made<()> {
        match self {
            Self::Withdraw(id) => tables.withdraw(*id),
            Self::Release(id, token) => tables.release(*id, token.as_deref()),
        }
    }
}

/// The answer to a call.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A call whose answer is what its work gives.
pub(super) struct Call<F, T> {
    pub work: F,
    pub made: Option<T>,
    pub to: Answer<T>,
}

impl<F, T> Call<F, T> {
    pub fn new(work: F, to: Answer<T>) -> Self {
        Self { work, made: None, to }
    }
}

/// Sends what was made, if the batch is on disk. Whoever asked may have left.
pub(super) fn answer<T>(to: Answer<T>, made: Option<T>, fate: Result<(), StoreError>) {
    let answer = match (fate, made) {
        (Ok(()), Some(made)) => Ok(made),
        (Ok(()), None) => return, // never: what is well has been made
        (Err(error), _) => Err(error),
    };
    let _ = to.send(answer);
}

impl<F, T> Change for Call<F, T>
where
    F: FnMut(&mut Tables<'_>) -> Made<T> + Send,
    T: Send,
{
    fn make(&mut self, tables: &mut Tables<'_>) -> Made<()> {
        self.made = Some((self.work)(tables)?);
        Ok(())
    }

    fn answer(self: Box<Self>, fate: Result<(), StoreError>) {
        answer(self.to, self.made, fate);
    }
}

impl<F, T> Look for Call<F, T>
where
    F: FnMut(&Snapshot<'_>) -> Made<T> + Send,
    T: Send,
{
    fn look(&mut self, snapshot: &Snapshot<'_>) -> Made<()> {
        self.made = Some((self.work)(snapshot)?);
        Ok(())
    }

    fn answer(self: Box<Self>, fate: Result<(), StoreError>) {
        answer(self.to, self.made, fate);
    }
}

/// A submission.
pub(super) struct Submission {
    pub new: NewJob,
    pub input: Option<Bytes>,
    pub key: Option<Key>,
    pub most_queued: u64,
    pub made: Option<Submitted>,
    pub to: Answer<Submitted>,
}

impl Change for Submission {
    fn make(&mut self, tables: &mut Tables<'_>) -> Made<()> {
        let input = self.input.as_deref();
        self.made = Some(tables.submit(&self.new, input, self.key.as_ref(), self.most_queued)?);
        Ok(())
    }

    fn answer(self: Box<Self>, fate: Result<(), StoreError>) {
        answer(self.to, self.made, fate);
    }

    fn is_addition(&self) -> bool {
        true
    }

    fn undo(&self) -> Option<Undo> {
        matches!(self.made, Some(Submitted::Accepted(_))).then_some(Undo::Withdraw(self.new.id))
    }
}

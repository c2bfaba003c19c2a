//! Word of a job's changes, for whoever follows it.

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Tells of one job's changes. Without listeners there is none.
#[derive(Debug, Default)]
pub struct Watched(Notify);

impl Watched {
    /// The next change after this call.
    pub fn changed(&self) -> Notified<'_> {
        self.0.notified()
    }

    pub(super) fn tell(&self) {
        self.0.notify_waiters();
    }
}

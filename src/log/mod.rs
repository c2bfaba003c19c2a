//! Logs: to the journal as structured fields, or to stderr for people; never in the way of a request.
//!
//! An event is captured into an owned record and put on a bounded queue, which takes a microsecond and never waits.
//! One thread, started by the first event, writes. When the queue is full, its oldest records are dropped and counted,
//! and the count is logged in their place.
//!
//! ```text
//! tracing::info!(..)  ->  subscriber  ->  queue  ->  writer thread  ->  journal, or stderr
//!                         capture         bounded     replay
//! ```
//!
//! # Fields
//!
//! Field names are snake case, without a prefix, and name one thing each across the program: `woken_by` is `WOKEN_BY`
//! in the journal. Not to be used, because the journal gives them a meaning of its own: `message` (the text itself),
//! `priority`, `target`, `code_*`, `syslog_*`, `unit`, `errno`, `tid`.
//!
//! A field `message_id` is the journal's `MESSAGE_ID`, by which the catalog finds its explanation. Its text must tell
//! the whole story: people at a terminal see the fields of other lines, but not of these.
//!
//! # Levels
//!
//! `info` and above, unless the environment says otherwise: `DORMOUSE_LOG=debug`, or by module,
//! `DORMOUSE_LOG=dormouse::lifecycle=debug,info`.

mod dropped;
mod filter;
mod journal;
mod panics;
mod queue;
mod record;
mod sink;
mod subscriber;
mod text;
mod writer;

use std::sync::OnceLock;
use std::time::Duration;

use self::queue::Queue;
use self::sink::Target;
use self::subscriber::Collector;

/// How long [`flush`] may wait when leaving: far more than a healthy journal needs, far less than a second.
pub const FLUSH_DEADLINE: Duration = Duration::from_millis(500);

/// The process's one log.
static LOG: OnceLock<Log> = OnceLock::new();

/// What all parts of logging share: where records wait, and where they go.
struct Log {
    queue: Queue,
    target: Target,
    identifier: String,
}

/// Makes `tracing` events of this process log lines, and its panics too.
///
/// `identifier` is the journal's `SYSLOG_IDENTIFIER`, which `journalctl` shows before each line: `dormouse`, or the
/// instance's name. Where lines go is decided here, once; no thread is started before the first event. A second call,
/// or one after somebody else set a global subscriber, changes nothing.
pub fn start(identifier: &str) {
    let (filter, complaint) = filter::from_environment();
    let log = LOG.get_or_init(|| Log {
        queue: Queue::new(),
        target: sink::target_of_stderr(),
        identifier: identifier.to_owned(),
    });
    if tracing::subscriber::set_global_default(Collector::new(filter, log)).is_err() {
        return;
    }
    panics::install();
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Waits until all that was logged before is written; for the journal, until it has taken it in completely. Called
/// before the process exits, or the last lines may be lost, or lack their unit's name: the journal looks the sender up
/// while it is still there.
///
/// It blocks the calling thread for at most `deadline`, usually well under a millisecond; `false` when that was not
/// enough. See [`FLUSH_DEADLINE`].
pub fn flush(deadline: Duration) -> bool {
    LOG.get().is_none_or(|log| writer::flush(log, deadline))
}

//! One life of the process as a value: what the journal tells of it, and what is kept of it across sleeps.

use std::time::{Duration, SystemTime};

use super::phase::Exit;

/// From the start of a process to its end, or to the instant of the look while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its process id.
    pub pid: u32,
    /// When the process began.
    pub began: SystemTime,
    /// Whoever was waiting when it became ready (`127.0.0.1:4711 on http`); or what else it was started for; nobody when it was
    /// started by hand.
    pub woken_by: Option<String>,
    /// From its beginning until it accepted.
    pub ready_in: Duration,
    /// Since then. Of two looks at the same life the later one has the longer time.
    pub awake_for: Duration,
    /// Since something that counts last ended, or since it was ready.
    pub quiet_for: Duration,
    /// What it did.
    pub figures: Figures,
    /// How it ended, if it has.
    pub end: End,
    /// Why, in a few words: `quiet for 30.0 s`, `SIGTERM`; empty while it runs.
    pub why: String,
}

/// What was counted in one life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests answered that counted.
    pub served: u64,
    /// Requests answered that did not count (probes, refusals), and connections that never made one.
    pub noise: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Datagrams read and dropped.
    pub datagrams: u64,
    /// Bytes that came after an idle connection was half-closed, and could not be answered.
    pub late_bytes: u64,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has not.
    Running,
    /// Asleep: quiet for long enough.
    Asleep,
    /// Stopped by a signal, with everything accepted answered.
    Stopped,
    /// Stopped by a signal; the drain's time was over, and what still ran was cut.
    Overdue,
    /// Cut by a second signal.
    Cut,
    /// Without a word: killed, or crashed. Only the next life can know.
    Lost,
}

impl End {
    /// All of them, for those who read names.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Asleep, Self::Stopped, Self::Overdue, Self::Cut, Self::Lost];

    /// One word: in the journal, in files, in `why --json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Asleep => "asleep",
            Self::Stopped => "stopped",
            Self::Overdue => "overdue",
            Self::Cut => "cut",
            Self::Lost => "lost",
        }
    }
}

impl From<Exit> for End {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Asleep => Self::Asleep,
            Exit::Drained => Self::Stopped,
            Exit::Overdue => Self::Overdue,
            Exit::Cut => Self::Cut,
        }
    }
}

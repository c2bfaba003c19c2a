//! Where a program's input comes from, and where its output goes.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::mpsc;

/// The three streams of a program.
#[derive(Debug)]
pub struct Streams {
    /// What it reads.
    pub stdin: Stdin,
    /// What becomes of what it prints.
    pub stdout: Way,
    /// What becomes of what it complains of. Its last lines are kept in any case.
    pub stderr: Way,
}

impl Streams {
    /// Nothing to read, and everything goes to the log.
    pub const fn logged() -> Self {
        Self { stdin: Stdin::Empty, stdout: Way::Log, stderr: Way::Log }
    }
}

/// What a program reads.
#[derive(Debug)]
pub enum Stdin {
    /// Nothing.
    Empty,
    /// What is written to [`super::Started::stdin`].
    Pipe,
    /// A file, from where it stands.
    File(File),
}

/// What becomes of a stream that a program writes.
#[derive(Debug)]
pub enum Way {
    /// Each line goes to the log.
    Log,
    /// Each line goes there; the program waits while there is no room. When nobody takes them any more they are dropped.
    Lines(mpsc::Sender<Line>),
    /// Both.
    LogAndLines(mpsc::Sender<Line>),
    /// Its bytes are read from [`super::Started::stdout`]; of stderr it means nothing, and is as `Log`.
    Bytes,
}

impl Stdin {
    /// What the program gets, and what is ours of it.
    pub(super) fn open(self) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
        match self {
            Self::Empty => Ok((File::open("/dev/null")?.into(), None)),
            Self::Pipe => {
                pipe_with(PipeFlags::CLOEXEC).map(|(reads, ours)| (reads, Some(ours))).map_err(Into::into)
            }
            Self::File(file) => Ok((file.into(), None)),
        }
    }
}

impl Way {
    /// Whether lines go to the log, and to whom else.
    pub(super) fn split(self) -> (bool, Option<mpsc::Sender<Line>>) {
        match self {
            Self::Log | Self::Bytes => (true, None),
            Self::Lines(to) => (false, Some(to)),
            Self::LogAndLines(to) => (true, Some(to)),
        }
    }
}

/// One of the two streams that a program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// What it prints.
    Stdout,
    /// What it complains of.
    Stderr,
}

impl Source {
    /// As in C.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A line of a program's output, without its end; longer ones than 8 KiB come in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it was written.
    pub source: Source,
    /// What was written.
    pub bytes: Vec<u8>,
}

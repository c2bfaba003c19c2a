//! Where log lines go.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use rustix::fs::{FileType, Stat};

use super::Log;
use super::journal::Journal;
use super::record::Record;
use super::text::{self, Style};

/// Where this process's stderr leads, and so its log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// systemd connected stderr to the journal: structured fields go there directly.
    Journal,
    /// systemd gave some other stream whose reader understands `<N>` priorities (`StandardError=kmsg`).
    Prefixed,
    /// A terminal, a file, another program: lines for people.
    People(Style),
}

/// Looks at stderr and the variables systemd sets.
pub fn target_of_stderr() -> Target {
    let stat = rustix::fs::fstat(rustix::stdio::stderr()).ok();
    let terminal = io::stderr().is_terminal();
    target(stat.as_ref(), terminal, std::process::id(), |name| std::env::var_os(name))
}

/// The journal only if stderr still is the stream that `JOURNAL_STREAM` names: variables are inherited by processes
/// whose stderr goes elsewhere. For the same reason `SYSTEMD_EXEC_PID` must be this very process.
fn target(
    stderr: Option<&Stat>,
    terminal: bool,
    pid: u32,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Target {
    let names_stderr = |stream: &OsStr| {
        stderr.is_some_and(|stat| stream.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino)))
    };
    if variable("JOURNAL_STREAM").is_some_and(|stream| names_stderr(&stream)) {
        return Target::Journal;
    }
    let by_systemd = variable("SYSTEMD_EXEC_PID").is_some_and(|value| value == *pid.to_string());
    let is_stream = stderr.is_some_and(|stat| {
        matches!(FileType::from_raw_mode(stat.st_mode), FileType::Socket | FileType::CharacterDevice)
    });
    if by_systemd && is_stream && !terminal {
        return Target::Prefixed;
    }
    let wants_colour = variable("NO_COLOR").is_none_or(|value| value.is_empty());
    Target::People(if terminal && wants_colour { Style::Colour } else { Style::Plain })
}

/// The open end of a [`Target`]; the writer's alone.
pub struct Sink {
    log: &'static Log,
    journal: Option<Journal>,
    line: String,
}

impl Sink {
    pub fn new(log: &'static Log) -> Self {
        Self { log, journal: None, line: String::new() }
    }

    /// Before each batch: the journal may have come back, or gone away.
    pub fn begin(&mut self) {
        if self.log.target == Target::Journal && !self.journal.as_ref().is_some_and(Journal::is_there) {
            self.journal = Journal::open(&self.log.identifier).ok();
        }
    }

    /// Writes one record. What stderr does not take is lost; there is nobody left to tell.
    pub fn write(&mut self, record: &Record) {
        if let Some(journal) = &self.journal {
            return journal.write(record);
        }
        self.line.clear();
        match self.log.target {
            Target::Journal | Target::Prefixed => text::prefixed(&mut self.line, record),
            Target::People(style) => text::for_people(&mut self.line, record, style),
        }
        // In one piece: others may write to the same stream.
        let _ = io::stderr().write_all(self.line.as_bytes());
    }

    /// Waits until the other end has taken in all that was written, at most until `until`.
    pub fn settle(&self, until: Instant) -> bool {
        self.journal.as_ref().is_none_or(|journal| journal.settle(until))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn stat_of(file: impl AsFd) -> Stat {
        rustix::fs::fstat(file).expect("an open file has a stat")
    }

    fn with<'v>(variables: &'v [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + 'v {
        |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    }

    #[test]
    fn the_journal_needs_stderr_to_be_its_stream() {
        let (stream, _peer) = UnixStream::pair().expect("a socket pair");
        let stat = stat_of(&stream);
        let here = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert_eq!(target(Some(&stat), false, 7, with(&[("JOURNAL_STREAM", &here)])), Target::Journal);
        let other = format!("{}:{}", stat.st_dev, stat.st_ino + 1);
        assert_eq!(
            target(Some(&stat), false, 7, with(&[("JOURNAL_STREAM", &other)])),
            Target::People(Style::Plain)
        );
    }

    #[test]
    fn a_stream_given_by_systemd_gets_priorities() {
        let (stream, _peer) = UnixStream::pair().expect("a socket pair");
        let stat = stat_of(&stream);
        assert_eq!(target(Some(&stat), false, 7, with(&[("SYSTEMD_EXEC_PID", "7")])), Target::Prefixed);
        // A process further down, and a file that people will read.
        let plain = Target::People(Style::Plain);
        assert_eq!(target(Some(&stat), false, 8, with(&[("SYSTEMD_EXEC_PID", "7")])), plain);
        let file = stat_of(std::fs::File::open(file!()).expect("this source"));
        assert_eq!(target(Some(&file), false, 7, with(&[("SYSTEMD_EXEC_PID", "7")])), plain);
    }

    #[test]
    fn only_a_terminal_gets_colour_unless_told_otherwise() {
        assert_eq!(target(None, true, 7, with(&[])), Target::People(Style::Colour));
        assert_eq!(target(None, true, 7, with(&[("NO_COLOR", "1")])), Target::People(Style::Plain));
        assert_eq!(target(None, false, 7, with(&[])), Target::People(Style::Plain));
    }
}

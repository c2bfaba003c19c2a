//! What the engine is told: every setting with its default filled in.

use std::time::Duration;

use super::{sleep, timeouts};
use crate::schema::{Faults, Reader, Section, Table};

/// Every table of settings. Adding one is a new file and a line here, beside its field in [`Settings`].
pub(super) const SECTIONS: &[&Section] = &[&sleep::SECTION, &timeouts::SECTION];

/// A config's settings. The default is that of an empty file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `[sleep]`
    pub sleep: Sleep,
    /// `[timeouts]`
    pub timeouts: Timeouts,
}

/// `[sleep]`: when to leave, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sleep {
    /// Leave after this much quiet; `None` is never. Default 30 s.
    pub after: Option<Duration>,
    /// Stay at least this long, even if nothing that counts has come. Default 2 s.
    pub min_awake: Duration,
    /// How long idle connections are listened to after their half-close. Default 200 ms.
    pub grace: Duration,
    /// How long requests may take to end after SIGTERM. Default 20 s.
    pub drain: Duration,
}

/// `[timeouts]`: how long to wait for what; `None` is for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the first byte of a connection. Default 10 s.
    pub first_byte: Option<Duration>,
    /// For a head, from its first byte to its last. Default 10 s.
    pub head: Option<Duration>,
    /// Between two reads of a request's body. Default 30 s.
    pub body: Option<Duration>,
    /// From a request until the first byte of its answer. Default 30 s.
    pub request: Option<Duration>,
    /// For a whole exchange. Default never.
    pub total: Option<Duration>,
    /// For a client that takes nothing. Default 30 s.
    pub write: Option<Duration>,
    /// For the next request on a connection. Default 60 s.
    pub keep_alive: Option<Duration>,
}

impl Settings {
    /// Reads the tables that are there.
    pub(super) fn read<'t>(section: impl Fn(&str) -> &'t Table, faults: &mut Faults) -> Self {
        Self {
            sleep: sleep::read(&mut Reader::new(section(sleep::SECTION.name), faults)),
            timeouts: timeouts::read(&mut Reader::new(section(timeouts::SECTION.name), faults)),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let empty = Table::default();
        Self::read(|_| &empty, &mut Faults::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_manual() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let Settings { sleep, timeouts } = Settings::default();
        let expected = Sleep {
            after: seconds(30),
            min_awake: Duration::from_secs(2),
            grace: Duration::from_millis(200),
            drain: Duration::from_secs(20),
        };
        assert_eq!(sleep, expected);
        let expected = Timeouts {
            first_byte: seconds(10),
            head: seconds(10),
            body: seconds(30),
            request: seconds(30),
            total: None,
            write: seconds(30),
            keep_alive: seconds(60),
        };
        assert_eq!(timeouts, expected);
    }
}

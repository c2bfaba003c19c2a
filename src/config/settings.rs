//! The tables of settings: what they declare, and what becomes of them.

use super::{limits, sleep, timeouts, trust};
use crate::guard::{Limits, OfServer};
use crate::schema::{Faults, Reader, Section, Table};
use crate::server::Settings;

/// Every table of settings. Adding one is a new file and a line here, and one where it is [`read`].
pub(super) const SECTIONS: &[&Section] =
    &[&sleep::SECTION, &limits::SECTION, &timeouts::SECTION, &trust::SECTION];

/// Reads the tables that are there: for the engine, for requests as a whole, and for routes that say nothing else.
pub(super) fn read<'t>(
    section: impl Fn(&str) -> &'t Table,
    faults: &mut Faults,
) -> (Settings, Limits, OfServer) {
    let sleep = sleep::read(&mut Reader::new(section(sleep::SECTION.name), faults));
    let (connections, limits) = limits::read(&mut Reader::new(section(limits::SECTION.name), faults));
    let (timeouts, waits) = timeouts::read(&mut Reader::new(section(timeouts::SECTION.name), faults));
    let trust = trust::read(&mut Reader::new(section(trust::SECTION.name), faults));
    let settings = Settings { sleep, timeouts, connections, trust };
    (settings, limits, OfServer { largest_body: limits.body, waits })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::guard::Waits;

    #[test]
    fn an_empty_file_has_the_defaults_of_the_manual_and_of_the_engine() {
        let empty = Table::default();
        let mut faults = Faults::default();
        let (settings, limits, of_server) = read(|_| &empty, &mut faults);
        assert!(faults.is_empty());
        assert_eq!(settings, Settings::default());
        assert_eq!(limits, Limits::default());
        let secs = |secs| Some(Duration::from_secs(secs));
        let waits =
            Waits { body: secs(30), request: secs(30), total: None, connect: secs(5), idle: secs(60) };
        assert_eq!((of_server.largest_body, of_server.waits), (None, waits));
    }
}

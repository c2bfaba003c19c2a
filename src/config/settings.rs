//! The tables of settings: what they declare, and what becomes of them.

use super::{limits, sleep, timeouts};
use crate::guard::Limits;
use crate::schema::{Faults, Reader, Section, Table};
use crate::server::Settings;

/// Every table of settings. Adding one is a new file and a line here, and one where it is [`read`].
pub(super) const SECTIONS: &[&Section] = &[&sleep::SECTION, &limits::SECTION, &timeouts::SECTION];

/// Reads the tables that are there, for the engine and for the site.
pub(super) fn read<'t>(section: impl Fn(&str) -> &'t Table, faults: &mut Faults) -> (Settings, Limits) {
    let sleep = sleep::read(&mut Reader::new(section(sleep::SECTION.name), faults));
    let connections = limits::read(&mut Reader::new(section(limits::SECTION.name), faults));
    let (timeouts, limits) = timeouts::read(&mut Reader::new(section(timeouts::SECTION.name), faults));
    (Settings { sleep, timeouts, connections, ..Settings::default() }, limits)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_empty_file_has_the_defaults_of_the_manual_and_of_the_engine() {
        let empty = Table::default();
        let mut faults = Faults::default();
        let (settings, limits) = read(|_| &empty, &mut faults);
        assert!(faults.is_empty());
        assert_eq!(settings, Settings::default());
        assert_eq!(limits, Limits { request: Some(Duration::from_secs(30)), total: None });
    }
}

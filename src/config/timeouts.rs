//! `[timeouts]`.

use crate::guard::Waits;
use crate::guard::waits;
use crate::schema::{Key, Kind, Reader, Section};
use crate::server::Timeouts;

const fn timeout(name: &'static str, default: &'static str, help: &'static str) -> Key {
    Key::new(name, Kind::DurationOrNever, help).default(default)
}

const FIRST_BYTE: Key = timeout("first_byte", "10s", "For a connection to say anything.");
const HEAD: Key = timeout("head", "10s", "For a request's head, once it has begun.");
const WRITE: Key = timeout("write", "30s", "For a client that takes nothing.");
const KEEP_ALIVE: Key = timeout("keep_alive", "60s", "For the next request on a connection.");
const OF_EXCHANGES: [Key; 5] = waits::KEYS;

pub(super) const SECTION: Section = Section {
    name: "timeouts",
    about: "How long dormouse waits for what. A route may have `timeouts` of its own.",
    keys: &[
        FIRST_BYTE,
        HEAD,
        OF_EXCHANGES[0],
        OF_EXCHANGES[1],
        OF_EXCHANGES[2],
        OF_EXCHANGES[3],
        OF_EXCHANGES[4],
        WRITE,
        KEEP_ALIVE,
    ],
};

/// What the engine waits for, and what one exchange may take.
pub(super) fn read(reader: &mut Reader<'_>) -> (Timeouts, Waits) {
    let waits = Waits::read(reader);
    let timeouts = Timeouts {
        first_byte: reader.duration_or_never(&FIRST_BYTE),
        head: reader.duration_or_never(&HEAD),
        body: waits.body,
        write: reader.duration_or_never(&WRITE),
        keep_alive: reader.duration_or_never(&KEEP_ALIVE),
    };
    (timeouts, waits)
}

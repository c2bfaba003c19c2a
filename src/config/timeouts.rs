//! `[timeouts]`.

use crate::guard::Limits;
use crate::schema::{Key, Kind, Reader, Section};
use crate::server::Timeouts;

const fn timeout(name: &'static str, default: &'static str, help: &'static str) -> Key {
    Key::new(name, Kind::DurationOrNever, help).default(default)
}

const FIRST_BYTE: Key = timeout("first_byte", "10s", "For a connection to say anything.");
const HEAD: Key = timeout("head", "10s", "For a request's head, once it has begun.");
const BODY: Key = timeout("body", "30s", "Between two reads of a request's body.");
const REQUEST: Key =
    timeout("request", "30s", "From the request until the first byte of the answer; over, it is a 504.");
const TOTAL: Key = timeout("total", "never", "For a whole exchange, the answer's body included.");
const WRITE: Key = timeout("write", "30s", "For a client that takes nothing.");
const KEEP_ALIVE: Key = timeout("keep_alive", "60s", "For the next request on a connection.");

pub(super) const SECTION: Section = Section {
    name: "timeouts",
    about: "How long dormouse waits for what.",
    keys: &[FIRST_BYTE, HEAD, BODY, REQUEST, TOTAL, WRITE, KEEP_ALIVE],
};

/// What the engine waits for, and what one exchange may take.
pub(super) fn read(reader: &mut Reader<'_>) -> (Timeouts, Limits) {
    let timeouts = Timeouts {
        first_byte: reader.duration_or_never(&FIRST_BYTE),
        head: reader.duration_or_never(&HEAD),
        body: reader.duration_or_never(&BODY),
        write: reader.duration_or_never(&WRITE),
        keep_alive: reader.duration_or_never(&KEEP_ALIVE),
    };
    let limits =
        Limits { request: reader.duration_or_never(&REQUEST), total: reader.duration_or_never(&TOTAL) };
    (timeouts, limits)
}

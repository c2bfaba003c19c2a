//! `[limits]`.

use crate::guard::{Limits, limits};
use crate::schema::{Key, Kind, Reader, Section};

/// More than a process can have descriptors (sysctl fs.nr_open).
const MOST: i64 = 1 << 30;

const CONNECTIONS: Key = Key::new(
    "connections",
    Kind::Integer { least: 1, most: MOST },
    "Most connections at once; by default LimitNOFILE= of the unit less 256. When all are taken, the longest idle is \
     closed for a newcomer; if none is idle, newcomers wait.",
)
.example("4096");
const OF_REQUESTS: [Key; 3] = limits::KEYS;

pub(super) const SECTION: Section = Section {
    name: "limits",
    about: "How much at once, for the whole server. A route may have `limits` of its own.",
    keys: &[CONNECTIONS, OF_REQUESTS[0], OF_REQUESTS[1], OF_REQUESTS[2]],
};

/// Most connections at once, and what is said of requests.
pub(super) fn read(reader: &mut Reader<'_>) -> (Option<usize>, Limits) {
    let connections = reader.integer(&CONNECTIONS).and_then(|number| usize::try_from(number).ok());
    (connections, Limits::of_server(reader))
}

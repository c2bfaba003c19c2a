//! `[limits]`.

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

pub(super) const SECTION: Section =
    Section { name: "limits", about: "How much at once, for the whole server.", keys: &[CONNECTIONS] };

/// Most connections at once.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<usize> {
    reader.integer(&CONNECTIONS).and_then(|number| usize::try_from(number).ok())
}

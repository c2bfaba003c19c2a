//! `[sleep]`.

use std::time::Duration;

use crate::lifecycle::Sleep;
use crate::schema::{Key, Kind, Reader, Section};

const ANY: Kind = Kind::Duration { least: Duration::ZERO };

const AFTER: Key =
    Key::new("after", Kind::DurationOrNever, "Leave after this much quiet.").default("30s").example("10m");
const MIN_AWAKE: Key =
    Key::new("min_awake", ANY, "Stay at least this long, even if nothing comes that counts.").default("2s");
const GRACE: Key =
    Key::new("grace", ANY, "When leaving, wait this long for idle clients to close.").default("200ms");
const DRAIN: Key =
    Key::new("drain", ANY, "After SIGTERM, let requests run this long. Keep it below TimeoutStopSec=.")
        .default("20s");

pub(super) const SECTION: Section = Section {
    name: "sleep",
    about: "When dormouse leaves, and how. Requests, streams and jobs keep it awake; idle connections, probes and \
            refusals do not. It sleeps only if systemd holds the sockets: nobody else would wake it.",
    keys: &[AFTER, MIN_AWAKE, GRACE, DRAIN],
};

pub(super) fn read(reader: &mut Reader<'_>) -> Sleep {
    Sleep {
        after: reader.duration_or_never(&AFTER),
        min_awake: reader.duration(&MIN_AWAKE),
        grace: reader.duration(&GRACE),
        drain: reader.duration(&DRAIN),
    }
}

//! `limits`: how much at once, of one route or of the server.

use super::places::Room;
use crate::schema::{Fault, Key, Kind, Reader};

/// More than a process can have descriptors (sysctl fs.nr_open).
const MOST: i64 = 1 << 30;

/// As many requests at once as the server answers unless it is told otherwise.
const IN_FLIGHT_BY_DEFAULT: usize = 1024;

const IN_FLIGHT: Key = Key::new(
    "in_flight",
    Kind::Integer { least: 1, most: MOST },
    "Requests at once, until their answers' last bytes; more are answered 503 with Retry-After. Upgraded connections do \
     not count.",
)
.example("256");
const QUEUE: Key = Key::new(
    "queue",
    Kind::Integer { least: 0, most: MOST },
    "How many more may wait for a place, within timeouts.request, before that 503.",
)
.example("100");
const BODY: Key = Key::new(
    "body",
    Kind::Size,
    "The largest body of a request; more is answered 413. By default there is no limit where it is passed on as it comes \
     (proxy, app, run), 1 MiB where `run` or `job` have to read it first, 1 GiB for `job` else, and other verbs read none.",
);

/// Those of `[limits]` that may stand in a route too.
pub const KEYS: [Key; 3] = [IN_FLIGHT.default("1024"), QUEUE.default("0"), BODY];

/// The same in a route.
pub(super) const OF_ROUTE: Key = Key::new(
    "limits",
    Kind::Table(&[IN_FLIGHT, QUEUE, BODY]),
    "How much at once on this route, within what the server as a whole takes ([limits]).",
)
.example(r#"{ in_flight = 10, queue = 100, body = "10 MiB" }"#);

/// What `limits` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests at once; `None`: no limit of its own.
    pub room: Option<Room>,
    /// The largest body of a request, in bytes.
    pub body: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { room: Some(Room { in_flight: IN_FLIGHT_BY_DEFAULT, queue: 0 }), body: None }
    }
}

impl Limits {
    /// Reads `[limits]`, or a route's.
    fn read(reader: &mut Reader<'_>, default_in_flight: Option<usize>) -> Self {
        let count = |number: Option<i64>| number.and_then(|number| usize::try_from(number).ok());
        let in_flight = count(reader.integer(&IN_FLIGHT)).or(default_in_flight);
        let queue = count(reader.integer(&QUEUE)).unwrap_or(0);
        if in_flight.is_none() && reader.has(&QUEUE) {
            let fault = Fault::new(&reader.place(&QUEUE), "a queue for what? `in_flight` is not there");
            reader.fault(fault.help(format!("add for example: {}", IN_FLIGHT.line())));
        }
        Self { room: in_flight.map(|in_flight| Room { in_flight, queue }), body: reader.size(&BODY) }
    }

    /// Those of the server: [`Limits::default`] where nothing is said.
    pub fn of_server(reader: &mut Reader<'_>) -> Self {
        Self::read(reader, Some(IN_FLIGHT_BY_DEFAULT))
    }

    /// A route's own, if it has any.
    pub(super) fn of_route(reader: &mut Reader<'_>) -> Option<Self> {
        reader.table(&OF_ROUTE).map(|mut table| Self::read(&mut table, None))
    }
}

//! The keys of `run`, and which of them mean nothing together.

use crate::command::keys;
use crate::schema::{Fault, Key, Kind, Reader};
use crate::verify;

pub(super) const RUN: Key = Key::new(
    "run",
    Kind::List,
    "Runs this program with these arguments for each request; no shell reads them. Without a slash the program is looked \
     for in PATH, a relative path begins at `dir`. Its output is the answer, and the request's body its input.",
)
.example(r#"["/usr/local/bin/report", "{query.month}"]"#);
const STREAM: Key = Key::new(
    "stream",
    Kind::BooleanOr(&["sse"]),
    "true: its output is sent as it comes. false: only when it has ended, with a status by its exit code. \"sse\": as \
     Server-Sent Events, a line of stdout as a message, one of stderr as `event: log`, its end as `event: exit`.",
)
.default("true")
.example("sse");
pub(super) const CGI: Key = Key::new(
    "cgi",
    Kind::Boolean,
    "Its output begins with a head, as that of CGI/1.1 programs does (RFC 3875): Status, Content-Type, Location and others.",
)
.default("false");
pub(super) const TYPE: Key =
    Key::new("type", Kind::Text, "The answer's Content-Type, where `cgi` does not say.")
        .default("text/plain; charset=utf-8")
        .example("application/json");
const OUTPUT: Key = Key::new(
    "output",
    Kind::Size,
    "With stream = false: the most it may print. One that prints more is ended, and the answer is a 500.",
)
.default("1 MiB");
pub(super) const EXIT_STATUS: Key = Key::new(
    "exit_status",
    Kind::Numbers { least: 200, most: 599 },
    "The answer's status by exit code; 0 is 200 and any other 500 unless it says otherwise. It holds while nothing has been \
     sent.",
)
.example("{ 2 = 404, 3 = 409 }");
pub(super) const AT_ONCE: Key = Key::new(
    "at_once",
    Kind::Integer { least: 1, most: 1 << 16 },
    "How many of it run at once; more requests wait in line.",
)
.default("16")
.example("1");
pub(super) const QUEUE: Key = Key::new(
    "queue",
    Kind::Integer { least: 0, most: 1 << 20 },
    "How many requests may wait in line; more are answered 503 with Retry-After.",
)
.default("64");
pub(super) const ON_DISCONNECT: Key = Key::new(
    "on_disconnect",
    Kind::OneOf(&["cancel", "finish"]),
    "What becomes of the program when its client leaves: it is ended with its whole process group (SIGTERM, SIGKILL after \
     5 s), or finishes without it; a request that is broken off is ended all the same.",
)
.default("cancel")
.example("finish");

pub(super) const KEYS: [Key; 14] = [
    STREAM,
    CGI,
    TYPE,
    OUTPUT,
    EXIT_STATUS,
    AT_ONCE,
    QUEUE,
    ON_DISCONNECT,
    keys::ALLOW,
    keys::WHEN,
    keys::ENV,
    keys::DIR,
    keys::NICE,
    verify::VERIFY,
];

/// How the output becomes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// As it comes.
    Stream,
    /// All at once, and no more than so many bytes.
    Whole(usize),
    /// Line by line.
    Events,
}

/// Reads `stream` and `output`.
pub(super) fn mode(reader: &mut Reader<'_>) -> Option<Mode> {
    let most = usize::try_from(reader.size(&OUTPUT)?).unwrap_or(usize::MAX);
    let mode = match reader.text(&STREAM)? {
        "true" => Mode::Stream,
        "sse" => Mode::Events,
        _ => Mode::Whole(most),
    };
    if reader.has(&OUTPUT) && !matches!(mode, Mode::Whole(_)) {
        let fault = Fault::new(&reader.place(&OUTPUT), "what is sent as it comes has no limit");
        reader.fault(fault.help("leave it out, or write stream = false"));
    }
    Some(mode)
}

/// Complains of keys that have no part in an answer of this kind.
pub(super) fn refuse_ignored(reader: &mut Reader<'_>, mode: Option<Mode>, is_cgi: bool) {
    let is_events = mode == Some(Mode::Events);
    for (key, is_ignored, what) in [
        (CGI, is_events && is_cgi, "a stream of events has no head of the program's own"),
        (TYPE, is_events, "a stream of events has its own type"),
        (TYPE, is_cgi, "a CGI program says its type itself"),
        (EXIT_STATUS, is_events, "a stream of events has begun before there is an exit code"),
        (EXIT_STATUS, is_cgi, "a CGI program says its status itself"),
    ] {
        if is_ignored && reader.has(&key) {
            let fault = Fault::new(&reader.place(&key), what);
            let other = if is_events { "stream" } else { "cgi" };
            reader.fault(fault.help(format!("leave one of `{}` and `{other}` out", key.name)));
        }
    }
}

//! The keys of `[app.NAME]`.

use std::time::Duration;

use crate::schema::{Key, Kind, Section};

pub const RUN: Key = Key::new(
    "run",
    Kind::List,
    "The program and its arguments; no shell reads them. Without a slash the program is looked for in PATH, a relative \
     path begins at `dir`.",
)
    .example(r#"["/usr/bin/node", "/srv/wiki/server.js"]"#);
pub const ENV: Key = Key::new(
    "env",
    Kind::Map,
    "Its environment, beside PATH, HOME, USER and LANG. It gets nothing else of dormouse's.",
)
.example(r#"{ NODE_ENV = "production" }"#);
pub const DIR: Key =
    Key::new("dir", Kind::Path, "Where it runs, and its HOME; by default the state directory.")
        .example("/srv/wiki");
pub const SOCKET: Key = Key::new(
    "socket",
    Kind::OneOf(&["port", "unix", "pass"]),
    "How it gets its address. \"port\": a free port of 127.0.0.1, as {port} in `run` and `env` and as PORT in its \
     environment. \"unix\": the path of a socket, as {socket}. \"pass\": a socket that listens already, by LISTEN_FDS \
     (sd_listen_fds(3)): a Unix socket, or the one that `address` says.",
)
.default("port")
.example("pass");
/// `unit`.
pub const UNIT: Key = Key::new(
    "unit",
    Kind::Text,
    "Instead of `run`: a service of systemd's, which dormouse starts and stops. The rule that is installed with dormouse \
     allows it for dormouse-app-*.service; for others `dormouse check` prints the rule to install.",
)
.example("dormouse-app-wiki.service");
pub const ADDRESS: Key =
    Key::new("address", Kind::Text, "Where the unit listens; with socket = \"pass\", what to listen on.")
        .example("http://127.0.0.1:3000");
pub const READY: Key = Key::new(
    "ready",
    Kind::Text,
    "It is ready once this is answered with a status below 400; by default, once it can be connected to.",
)
.example("GET /healthz");
pub const START_WITHIN: Key = Key::new(
    "start_within",
    LENGTH,
    "How long it may take until it is ready; requests wait for it meanwhile.",
)
.default("30s");
pub const STOP_WITHIN: Key =
    Key::new("stop_within", LENGTH, "How long it may take to end after SIGTERM, before SIGKILL.")
        .default("10s");
pub const SLEEP_AFTER: Key = Key::new(
    "sleep_after",
    Kind::DurationOrNever,
    "Stop it after this much quiet; by default sleep.after. Until then dormouse stays awake.",
)
.example("10m");
pub const BUSY: Key = Key::new(
    "busy",
    Kind::Text,
    "Asked before it is stopped: the status 200 means that it is busy, and it is asked again later.",
)
.example("GET /busy");
pub const BUSY_AT_MOST: Key =
    Key::new("busy_at_most", LENGTH, "For how long `busy` may put off its stop.").default("1h");
pub const QUEUE: Key = Key::new(
    "queue",
    Kind::Integer { least: 1, most: 1 << 20 },
    "How many requests may wait while it starts; more are answered 503 with Retry-After.",
)
.default("1000");
pub const WAITING: Key = Key::new(
    "waiting",
    Kind::OneOf(&["hold", "page"]),
    "What a browser sees that opens a page while it starts: nothing until it is there, or after a moment a page that \
     loads itself again. Everybody else waits.",
)
.default("hold")
.example("page");
pub const NEVER_WAKE: Key = Key::new(
    "never_wake",
    Kind::Texts,
    "Requests that do not start it, and keep neither it nor dormouse awake: a path (/healthz), all below one (/api/*), or \
     a part of the User-Agent (UptimeRobot). While it sleeps they are answered by dormouse itself.",
)
.example(r#"["/healthz", "UptimeRobot"]"#);
pub const ASLEEP_STATUS: Key =
    Key::new("asleep_status", Kind::Status { least: 200, most: 599 }, "The status of those answers.")
        .default("200")
        .example("503");

const LENGTH: Kind = Kind::Duration { least: Duration::from_millis(1) };

/// `[app.NAME]`.
pub const SECTION: Section = Section {
    name: "app",
    about: "Apps, each in a table of its own, [app.NAME], that routes name by app = \"NAME\". Dormouse starts an app for \
            the first request, holds that until the app is ready, and stops it when nobody has asked for a while.",
    keys: &[
        RUN,
        ENV,
        DIR,
        SOCKET,
        UNIT,
        ADDRESS,
        READY,
        START_WITHIN,
        STOP_WITHIN,
        SLEEP_AFTER,
        BUSY,
        BUSY_AT_MOST,
        QUEUE,
        WAITING,
        NEVER_WAKE,
        ASLEEP_STATUS,
    ],
};

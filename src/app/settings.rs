//! `[app.NAME]`: what an app is, and how it is treated.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::{
    ADDRESS, ASLEEP_STATUS, BUSY, BUSY_AT_MOST, DIR, ENV, NEVER_WAKE, QUEUE, READY, RUN, SLEEP_AFTER, SOCKET,
    START_WITHIN, STOP_WITHIN, UNIT, WAITING,
};
use super::unit;
use crate::schema::{Fault, Key, Placed, Reader};
use crate::upstream::Origin;

/// What an app is, and how it is treated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppSettings {
    /// Its name.
    pub name: String,
    /// What is started.
    pub kind: AppKind,
    /// The path whose answer says that it is ready; `None`: a connection does.
    pub ready: Option<String>,
    /// Until it is ready.
    pub start_within: Duration,
    /// From SIGTERM to SIGKILL.
    pub stop_within: Duration,
    /// `None`: never.
    pub sleep_after: Option<Duration>,
    /// The path whose answer says that it is busy.
    pub busy: Option<String>,
    /// For how long that is believed.
    pub busy_at_most: Duration,
    /// How many requests wait while it starts.
    pub queue: usize,
    /// Whether browsers get a page meanwhile.
    pub shows_page: bool,
    /// What does not wake it.
    pub never_wake: Vec<Exempt>,
    /// What those are answered while it sleeps.
    pub asleep_status: u16,
}

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AppKind {
    /// A program.
    Program(ProgramSettings),
    /// A unit of systemd's.
    Unit {
        /// Its name.
        unit: String,
        /// Where it listens.
        origin: Origin,
    },
}

/// A program that dormouse runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProgramSettings {
    /// The program and its arguments.
    pub run: Vec<String>,
    /// Added to its environment.
    pub env: Vec<(String, String)>,
    /// Where it runs; `None`: the state directory.
    pub dir: Option<PathBuf>,
    /// How it gets its address.
    pub socket: SocketKind,
}

/// How a program gets its address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SocketKind {
    /// A free port.
    Port,
    /// The path of a Unix socket.
    Unix,
    /// A socket that listens already: there, or on a path of our own.
    Pass(Option<Origin>),
}

/// Requests that do not wake an app.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Exempt {
    /// For exactly this path.
    Path(String),
    /// For all that begin so.
    Below(String),
    /// From those whose User-Agent has this in it, in lower case.
    Agent(String),
}

impl AppSettings {
    /// Reads `[app.NAME]`; `None` if something is wrong, which the reader has been told.
    pub fn read(name: &str, reader: &mut Reader<'_>, after: Option<Duration>) -> Option<Self> {
        let kind = kind(reader);
        let ready = path_asked(reader, &READY);
        let busy = path_asked(reader, &BUSY);
        let sleep_after =
            if reader.has(&SLEEP_AFTER) { reader.duration_or_never(&SLEEP_AFTER) } else { after };
        let never_wake = never_wake(reader);
        no_effect(reader, sleep_after);
        let settings = Self {
            name: name.to_owned(),
            kind: kind?,
            ready: ready?,
            start_within: reader.duration(&START_WITHIN),
            stop_within: reader.duration(&STOP_WITHIN),
            sleep_after,
            busy: busy?,
            busy_at_most: reader.duration(&BUSY_AT_MOST),
            queue: usize::try_from(reader.integer(&QUEUE)?).ok()?,
            shows_page: reader.text(&WAITING)? == "page",
            never_wake,
            asleep_status: reader.status(&ASLEEP_STATUS)?.as_u16(),
        };
        Some(settings)
    }
}

fn kind(reader: &mut Reader<'_>) -> Option<AppKind> {
    match (reader.has(&RUN), reader.has(&UNIT)) {
        (true, false) => program(reader),
        (false, true) => of_unit(reader),
        (false, false) => {
            let fault = Fault::absence(&reader.place(&RUN), "this app says neither `run` nor `unit`");
            reader.fault(fault.help(format!("for example: {}", RUN.line())));
            None
        }
        (true, true) => {
            let fault = Fault::new(&reader.place(&UNIT), "an app is a program or a unit: `run` or `unit`");
            reader.fault(fault.other(&reader.place(&RUN), "the other one").help("leave one out"));
            None
        }
    }
}

fn program(reader: &mut Reader<'_>) -> Option<AppKind> {
    let run = reader.texts(&RUN)?;
    let env = reader.map(&ENV);
    let socket = match reader.text(&SOCKET)? {
        "pass" if reader.has(&ADDRESS) => SocketKind::Pass(Some(address(reader)?)),
        "pass" => SocketKind::Pass(None),
        word => {
            if reader.has(&ADDRESS) {
                let fault = Fault::new(&reader.place(&ADDRESS), "the program is given its address");
                reader.fault(fault.help(r#"leave it out, or write socket = "pass""#));
            }
            if word == "unix" { SocketKind::Unix } else { SocketKind::Port }
        }
    };
    let texts = run.iter().chain(env.iter().map(|(_, value)| value));
    let mut is_told = false;
    for text in texts {
        is_told |= placeholders(reader, *text, &socket);
    }
    if socket == SocketKind::Unix && !is_told {
        let fault = Fault::new(&reader.place(&RUN), "nothing tells the program the path of its socket");
        reader.fault(fault.help("write {socket} where it belongs in `run` or `env`"));
    }
    if let Some(first) = run.first().filter(|first| first.text.is_empty()) {
        let fault = Fault::new(first.place, "the first of `run` is the program, and this one has no name");
        reader.fault(fault.help(format!("for example: {}", RUN.line())));
    }
    for text in run.iter().chain(env.iter().map(|(_, value)| value)).filter(|it| it.text.contains('\0')) {
        reader.fault(Fault::new(text.place, "no argument or variable holds a NUL").help("leave it out"));
    }
    for (name, value) in &env {
        variable(reader, *name, *value, (&socket, is_told));
    }
    let dir = reader.path(&DIR).map(PathBuf::from);
    let run = run.into_iter().map(|argument| argument.text.to_owned()).collect();
    let env = env.into_iter().map(|(name, value)| (name.text.to_owned(), value.text.to_owned())).collect();
    Some(AppKind::Program(ProgramSettings { run, env, dir, socket }))
}

/// Complains of a variable that cannot be, or that will not do what it seems to.
fn variable(
    reader: &mut Reader<'_>,
    name: Placed<'_>,
    value: Placed<'_>,
    (socket, is_told): (&SocketKind, bool),
) {
    if name.text.is_empty() || name.text.contains(['=', '\0']) {
        reader.fault(Fault::new(name.place, format!("{:?} is no name for a variable", name.text)));
    }
    if name.text == "PORT" && *socket == SocketKind::Port && !is_told {
        let fault =
            Fault::new(value.place, "the port is chosen at each start, and nothing tells the program");
        reader.fault(fault.help("leave PORT out, and it is set; or write {port} where it belongs"));
    }
    if matches!(name.text, "LISTEN_FDS" | "LISTEN_PID") && matches!(socket, SocketKind::Pass(_)) {
        let fault = Fault::new(name.place, format!("{} is set with the socket", name.text));
        reader.fault(fault.help("leave it out"));
    }
}

/// Whether the address is told there; a placeholder that will not be filled in is a mistake.
fn placeholders(reader: &mut Reader<'_>, text: Placed<'_>, socket: &SocketKind) -> bool {
    let (own, other) = match socket {
        SocketKind::Port => (Some("{port}"), &["{socket}"][..]),
        SocketKind::Unix => (Some("{socket}"), &["{port}"][..]),
        SocketKind::Pass(_) => (None, &["{socket}", "{port}"][..]),
    };
    for wrong in other.iter().filter(|wrong| text.text.contains(**wrong)) {
        let fault = Fault::new(text.place, format!("{wrong} stands for nothing with this `socket`"));
        let needed = if *wrong == "{port}" { "port" } else { "unix" };
        reader.fault(fault.help(format!("write socket = {needed:?}, or leave it out")));
    }
    own.is_some_and(|own| text.text.contains(own))
}

fn of_unit(reader: &mut Reader<'_>) -> Option<AppKind> {
    let unit = reader.text(&UNIT)?;
    if let Err(error) = unit::Unit::new(unit) {
        let fault = Fault::new(&reader.place(&UNIT), error.to_string());
        reader.fault(fault.help(format!("for example: {}", UNIT.line())));
    }
    for key in [ENV, DIR, SOCKET] {
        if reader.has(&key) {
            let fault = Fault::new(&reader.place(&key), format!("`{}` is the unit's own business", key.name));
            reader.fault(fault.help("leave it out"));
        }
    }
    if !reader.has(&ADDRESS) {
        let fault =
            Fault::absence(&reader.place(&UNIT), "where does this unit listen? `address` is not there");
        reader.fault(fault.help(format!("for example: {}", ADDRESS.line())));
    }
    Some(AppKind::Unit { unit: unit.to_owned(), origin: address(reader)? })
}

fn address(reader: &mut Reader<'_>) -> Option<Origin> {
    let text = reader.text(&ADDRESS)?;
    match Origin::parse(text) {
        Ok(origin) => Some(origin),
        Err(error) => {
            let fault = Fault::new(&reader.place(&ADDRESS), error.to_string());
            reader.fault(fault.help(error.help()));
            None
        }
    }
}

/// `GET /path`; nothing if the key is absent, `None` if it says something else.
fn path_asked(reader: &mut Reader<'_>, key: &Key) -> Option<Option<String>> {
    if !reader.has(key) {
        return Some(None);
    }
    let text = reader.text(key)?;
    let path = text.strip_prefix("GET ").map(str::trim_start);
    let path = path.filter(|path| path.starts_with('/') && path.parse::<hyper::Uri>().is_ok());
    if path.is_none() {
        let fault = Fault::new(&reader.place(key), format!("{text:?} is nothing that can be asked"));
        reader.fault(fault.help(format!("for example: {}", key.line())));
    }
    path.map(|path| Some(path.to_owned()))
}

/// Complains of keys that do nothing without another one.
fn no_effect(reader: &mut Reader<'_>, sleep_after: Option<Duration>) {
    for (key, needed) in [(BUSY_AT_MOST, BUSY), (ASLEEP_STATUS, NEVER_WAKE)] {
        if reader.has(&key) && !reader.has(&needed) {
            let what = format!("`{}` has no effect without `{}`", key.name, needed.name);
            let fault = Fault::absence(&reader.place(&key), what);
            reader.fault(fault.help(format!("leave it out, or add for example: {}", needed.line())));
        }
    }
    if reader.has(&BUSY) && sleep_after.is_none() {
        let fault =
            Fault::new(&reader.place(&BUSY), "this app never sleeps, so nobody asks whether it is busy");
        reader.fault(fault.help(format!("leave it out, or write for example: {}", SLEEP_AFTER.line())));
    }
}

fn never_wake(reader: &mut Reader<'_>) -> Vec<Exempt> {
    let texts = reader.texts(&NEVER_WAKE).unwrap_or_default();
    for text in &texts {
        if text.text.is_empty() || (!text.text.starts_with('/') && text.text.contains('*')) {
            let what = format!("{:?} is neither a path nor a part of a User-Agent", text.text);
            let fault = Fault::new(text.place, what);
            reader.fault(fault.help(format!("for example: {}", NEVER_WAKE.line())));
        }
    }
    texts.into_iter().map(|entry| exempt(entry.text)).collect()
}

fn exempt(text: &str) -> Exempt {
    match text.strip_suffix('*') {
        Some(below) if below.starts_with('/') => Exempt::Below(below.to_owned()),
        _ if text.starts_with('/') => Exempt::Path(text.to_owned()),
        _ => Exempt::Agent(text.to_lowercase()),
    }
}

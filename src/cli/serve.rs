//! `dormouse serve`: sockets, config, engine, and how it ended.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Serve, code, daemon, places};
use crate::activation::Sockets;
use crate::app::Folders;
use crate::config::{Colour, Outcome, Source};
use crate::lasting::Lasting;
use crate::lifecycle::{Exit, footprint};
use crate::log;
use crate::schema::duration;
use crate::server::Engine;

/// Why it did not come to serving, with the exit code that says so.
struct Failure(u8, String);

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(code::SOFTWARE, format!("cannot start: {error}"))
    }
}

/// Serves until it is time to leave; the exit code. `started` is when the process began.
///
/// It runs first thing in `main`: taking the sockets changes the environment, which no other thread may read then.
pub fn run(arguments: &Serve, started: Instant) -> u8 {
    footprint::tune_allocator();
    let sockets = Sockets::inherited();
    log::start(&identifier(arguments.config.as_deref()));
    let exit = sockets.map_err(|error| Failure(code::SOFTWARE, log::chain(&error)));
    let exit = exit.and_then(|sockets| serve(arguments, sockets, started));
    let code = match exit {
        Ok(Exit::Cut) => code::CUT,
        Ok(Exit::Asleep | Exit::Drained | Exit::Overdue) => code::OK,
        Err(Failure(code, message)) => {
            tracing::error!("{message}");
            code
        }
    };
    log::flush(log::FLUSH_DEADLINE);
    code
}

fn serve(arguments: &Serve, sockets: Sockets, started: Instant) -> Result<Exit, Failure> {
    let sockets = with_bound(sockets, &arguments.listen)?;
    let after = arguments.sleep_after.as_deref().map(sleep_after).transpose()?;
    let is_activated = sockets.any_inherited();
    let source = source(arguments.config.as_deref(), &sockets, after);
    let mut engine = Engine::new(sockets).started(started);
    if after.is_some() {
        engine = engine.sleep_unasked();
    }
    engine.run(async |control| {
        let outcome = source.load();
        if let (false, Outcome::LastGood(diagnostics, _) | Outcome::Unavailable(diagnostics, _)) =
            (is_activated, &outcome)
        {
            // Somebody sits there and can mend it; nobody's port depends on it.
            return Err(Failure(code::CONFIG, diagnostics.render(Colour::No)));
        }
        Ok(daemon::program(source, outcome, control))
    })
}

/// The sockets with those of `--listen`; there must be one.
fn with_bound(mut sockets: Sockets, listen: &[String]) -> Result<Sockets, Failure> {
    for address in listen {
        sockets.bind(address).map_err(|error| Failure(code::SOFTWARE, log::chain(&error)))?;
    }
    if sockets.is_empty() {
        let message = "there is no socket to serve: systemd passed none (start dormouse.socket, not the service, or \
                       see `dormouse try`), and no --listen ADDR:PORT was given";
        return Err(Failure(code::USAGE, message.to_owned()));
    }
    Ok(sockets)
}

fn source(config: Option<&Path>, sockets: &Sockets, after: Option<Option<Duration>>) -> Source {
    let names = sockets.names().into_iter().map(str::to_owned).collect();
    let folders = Folders { state: places::state_directory(), runtime: places::runtime_directory() };
    let mut source = Source::new(config).with_sockets(names).with_lasting(Arc::new(Lasting::new(folders)));
    if let Some(directory) = places::state_directory() {
        source = source.with_state(&directory);
    }
    match after {
        Some(after) => source.with_after(after),
        None => source,
    }
}

fn sleep_after(text: &str) -> Result<Option<Duration>, Failure> {
    if text == "never" {
        return Ok(None);
    }
    let usage = |why: String| Failure(code::USAGE, format!("--sleep-after {text:?}: {why}"));
    match duration::parse(text).map_err(|error| usage(error.to_string()))? {
        Duration::ZERO => Err(usage("0 would mean to leave at once; give at least 1ms, or never".to_owned())),
        after => Ok(Some(after)),
    }
}

/// What `journalctl -t` finds its lines by: `dormouse`, or the instance's name.
fn identifier(config: Option<&Path>) -> String {
    let stem = config.and_then(Path::file_stem).map(|stem| stem.to_string_lossy());
    stem.map_or_else(
        || "dormouse".to_owned(),
        |stem| if stem == "dormouse" { stem.into() } else { format!("dormouse@{stem}") },
    )
}

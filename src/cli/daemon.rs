//! The daemon between the engine and the config: start, reload, a bad config and its mending.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::{Diagnostics, Loaded, Outcome, Source};
use crate::lifecycle::Hooks;
use crate::log;
use crate::server::Control;
use crate::server::engine::Program;
use crate::site::Live;

/// How long falling asleep may wait for the log; the last flush, before the exit, is the one that must not lose.
const FLUSH_BEFORE_SLEEP: Duration = Duration::from_millis(50);

/// What SIGHUP, the status and a mended config need.
#[derive(Clone)]
struct Daemon(Arc<Inner>);

struct Inner {
    source: Source,
    control: Control,
    /// What is wrong with the config, in one line.
    problem: Mutex<Option<String>>,
}

/// Makes the program the engine runs: the site of `outcome`, under `source` for whatever comes later.
pub fn program(source: Source, outcome: Outcome, control: &Control) -> Program<Live> {
    let daemon = Daemon(Arc::new(Inner { source, control: control.clone(), problem: Mutex::new(None) }));
    let (loaded, diagnostics) = outcome.into_parts();
    daemon.note(diagnostics.as_ref());
    control.set_settings(loaded.settings);
    let renewing = daemon.clone();
    let live = Live::new(loaded.site, move || renewing.renew().map(|loaded| loaded.site));
    Program { service: live.clone(), hooks: Arc::new(Reloading { daemon, live }) }
}

impl Daemon {
    /// Reads the config again if it has changed since it was found bad.
    fn renew(&self) -> Option<Loaded> {
        let (loaded, diagnostics) = self.0.source.look()?.into_parts();
        self.note(diagnostics.as_ref());
        if diagnostics.is_none() {
            tracing::info!(file = %self.0.source.file().display(), "the config is taken up");
        }
        self.0.control.set_settings(loaded.settings.clone());
        Some(loaded)
    }

    /// Tells the journal and the status what is wrong, or that all is well.
    fn note(&self, diagnostics: Option<&Diagnostics>) {
        if let Some(diagnostics) = diagnostics {
            tell(diagnostics);
        }
        let mut problem = self.0.problem.lock().unwrap_or_else(PoisonError::into_inner);
        *problem = diagnostics.map(|diagnostics| format!("bad config: {}", diagnostics.summary()));
    }
}

fn tell(diagnostics: &Diagnostics) {
    for line in diagnostics.lines() {
        tracing::error!("{line}");
    }
}

struct Reloading {
    daemon: Daemon,
    live: Live,
}

impl Hooks for Reloading {
    fn reload(&self) {
        let Inner { source, control, .. } = &*self.daemon.0;
        match source.read() {
            Ok(loaded) => {
                control.set_settings(loaded.settings);
                self.live.swap(loaded.site);
                self.daemon.note(None);
                tracing::info!(file = %source.file().display(), "config reloaded");
            }
            Err(diagnostics) => {
                self.daemon.note(Some(&diagnostics));
                tracing::error!("the config is bad, the one before stays in force");
            }
        }
    }

    fn before_sleep(&self) {
        log::flush(FLUSH_BEFORE_SLEEP);
    }

    fn problem(&self) -> Option<String> {
        self.daemon.0.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counts the wakes since boot in a file of the runtime directory, which systemd keeps over stops and clears at boot;
/// how many there are with this one. A file that cannot be read or written counts from 1: nothing depends on it.
pub fn count_wake(runtime_directory: &Path) -> u64 {
    let file = runtime_directory.join("wakes");
    let before: u64 =
        std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let wakes = before.saturating_add(1);
    if let Err(error) = std::fs::write(&file, format!("{wakes}\n")) {
        tracing::debug!(file = %file.display(), %error, "cannot count the wake");
    }
    wakes
}

//! The daemon between the engine and the config: start, reload, a bad config and its mending.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::places;
use crate::app::{self, AppKind, Sight};
use crate::carry::{self, Carry, Folder};
use crate::config::{Diagnostics, Loaded, Outcome, Source};
use crate::control::{self, Desk};
use crate::lifecycle::{Hold, Hooks, Life};
use crate::log;
use crate::server::Control;
use crate::server::engine::Program;
use crate::site::{Live, Site};

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
    /// Where systemd, or XDG, wants what goes on across sleeps.
    runtime_directory: Option<PathBuf>,
    /// What goes on across sleeps, once the process is ready; `None` within when there is no place for it.
    carry: OnceLock<Option<Carry>>,
}

/// Makes the program the engine runs: the site of `outcome`, under `source` for whatever comes later.
pub fn program(source: Source, outcome: Outcome, control: &Control) -> Program<Live> {
    let daemon = Daemon(Arc::new(Inner {
        source,
        control: control.clone(),
        problem: Mutex::new(None),
        runtime_directory: places::runtime_directory(),
        carry: OnceLock::new(),
    }));
    let weak = Arc::downgrade(&daemon.0); // the daemon has the control, and so this
    control.wakes_are_counted_by(move || {
        let daemon = weak.upgrade().map(Daemon);
        daemon.map_or(1, |daemon| daemon.wakes())
    });
    let (loaded, diagnostics) = outcome.into_parts();
    daemon.note(diagnostics.as_ref());
    control.set_settings(loaded.settings);
    daemon.in_force(&loaded.site);
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
        self.in_force(&loaded.site);
        Some(loaded)
    }

    /// What an earlier dormouse has left for this site: units that run, jobs that wait. Without any, this costs nothing.
    fn in_force(&self, site: &Site) {
        site.in_force();
        self.adopt_units();
        if let Some(jobs) = &self.0.source.lasting().jobs {
            jobs.in_force(&self.0.control);
        }
    }

    /// Takes over the units that an earlier dormouse has left running.
    fn adopt_units(&self) {
        for app in self.0.source.lasting().apps.configured() {
            if matches!(app.settings().kind, AppKind::Unit { .. }) {
                tokio::spawn(app::adopt(Arc::clone(&app), self.0.control.clone()));
            }
        }
    }

    fn apps_awake(&self) -> Vec<Sight> {
        self.0.source.lasting().apps.all().iter().filter_map(|app| app.sight()).collect()
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

/// What goes on across sleeps, and who asks about it.
impl Daemon {
    fn problem(&self) -> Option<String> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes down how this life stands.
    fn keep(&self, life: &Life) {
        if let Some(carry) = self.carry() {
            carry.note(life);
        }
    }

    /// Wakes since boot, this one included. Asked on the serving thread, so it does not wait for the carry-over file to be
    /// opened: until then its number is read as it lies there.
    fn wakes(&self) -> u64 {
        if let Some(carry) = self.0.carry.get() {
            return carry.as_ref().map_or(1, Carry::wakes);
        }
        let directory = self.0.runtime_directory.as_deref();
        let before = directory.and_then(|directory| carry::read(directory).ok()?);
        before.map_or(1, |before| before.wakes.saturating_add(1))
    }

    /// The carry-over file; the first to ask opens it, and counts the wake.
    fn carry(&self) -> Option<&Carry> {
        let open = || {
            let folder = take(self.0.runtime_directory.as_ref()?)?;
            Some(Carry::open(folder))
        };
        self.0.carry.get_or_init(open).as_ref()
    }

    /// Answers `dormouse why` from now on. Without a control socket it serves all the same.
    fn open_control_socket(&self) {
        let Some(carry) = self.carry() else { return };
        let path = carry.directory().join(control::SOCKET);
        match control::bind(&path) {
            Ok(listener) => {
                tokio::spawn(control::serve(listener, Arc::new(self.clone())));
            }
            Err(error) => tracing::warn!(
                path = %path.display(), %error,
                "no control socket at {}: `dormouse why` cannot ask this dormouse", path.display()
            ),
        }
    }

    fn close_control_socket(&self) {
        // Without a folder of our own there is none of ours.
        if let Some(Some(carry)) = self.0.carry.get() {
            let _ = std::fs::remove_file(carry.directory().join(control::SOCKET));
        }
    }
}

impl Desk for Daemon {
    fn hold(&self) -> Option<Hold> {
        self.0.control.hold()
    }

    fn why(&self) -> String {
        let lives = self.0.carry.get().and_then(Option::as_ref).map(Carry::lives).unwrap_or_default();
        let lasting = self.0.source.lasting();
        let parts = control::document::Parts {
            account: &self.0.control.account(),
            apps: &self.apps_awake(),
            programs: &lasting.commands.seen(),
            queues: &lasting.jobs.as_ref().map(|jobs| jobs.held_for()).unwrap_or_default(),
            lives: &lives,
            config: self.0.source.file().display().to_string(),
            problem: self.problem(),
        };
        control::document::document(&parts).to_string()
    }
}

/// The runtime directory, for this process alone; why not goes to the log.
fn take(directory: &Path) -> Option<Folder> {
    let path = directory.display();
    match Folder::take(directory) {
        Ok(Some(folder)) => return Some(folder),
        Ok(None) => tracing::warn!(
            directory = %path,
            "another dormouse uses {path}: this one keeps no history and `dormouse why` asks the other; \
             RUNTIME_DIRECTORY= names a directory of its own"
        ),
        Err(error) => tracing::warn!(
            directory = %path, %error,
            "cannot use {path}: wakes are not counted, and `dormouse why` cannot ask this dormouse"
        ),
    }
    None
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
                self.daemon.in_force(&loaded.site);
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

    fn cause(&self) -> Option<String> {
        let jobs = self.daemon.0.source.lasting().jobs.as_ref()?;
        jobs.is_due().then(|| "a job that is due".to_owned())
    }

    fn ready(&self, life: &Life) {
        self.daemon.keep(life);
        self.daemon.open_control_socket();
    }

    fn before_sleep(&self, life: &Life) {
        self.daemon.keep(life);
        log::flush(FLUSH_BEFORE_SLEEP);
    }

    fn called_back(&self, life: &Life) {
        self.daemon.keep(life);
    }

    fn left(&self, life: &Life) {
        self.daemon.close_control_socket();
        let lasting = self.daemon.0.source.lasting();
        lasting.folders.leave();
        if let Some(jobs) = &lasting.jobs {
            Handle::current().block_on(jobs.close());
        }
        self.daemon.keep(life);
    }

    fn work(&self) -> String {
        let lasting = self.daemon.0.source.lasting();
        let apps = self.daemon.apps_awake().into_iter().map(|app| format!("app {}", app.name));
        apps.chain(lasting.commands.names()).collect::<Vec<_>>().join(", ")
    }

    fn ending(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let lasting = self.daemon.0.source.lasting();
        let (apps, commands) = (lasting.apps.all(), lasting.commands.clone());
        Box::pin(async move {
            for app in apps {
                app.asleep().await;
            }
            commands.empty().await;
        })
    }

    fn problem(&self) -> Option<String> {
        self.daemon.problem()
    }
}

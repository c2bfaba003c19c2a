//! The public entry: sockets and a service in; served, asleep, an exit out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::account::{Account, Snapshot};
use super::connection;
use super::exchange::Serve;
use super::link::Link;
use super::record::State;
use super::rest;
use super::shared::{Settings, Shared, Stage};
use super::tower::Tower;
use super::transport::Socket;
use crate::activation::{Accepted, Sockets, limit};
use crate::lifecycle::keeper::Parts;
use crate::lifecycle::signals::Signals;
use crate::lifecycle::{Connections, Exit, Hold, Hooks, Keeper, Phase, Sleep};

/// The longest grace or drain that is taken as it is: a year.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// Puts a service to sleep when nobody asks, and loses no request on the way.
///
/// ```no_run
/// use dormouse::{Engine, Sockets};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sockets = Sockets::inherited()?.or_bind("127.0.0.1:3000")?;
/// # let app = axum::Router::<()>::new();
/// let exit = Engine::new(sockets).serve_tower(app)?; // any tower service
/// # let _ = exit;
/// # Ok(())
/// # }
/// ```
pub struct Engine {
    sockets: Sockets,
    settings: Settings,
    started: Instant,
    sleeps_unasked: bool,
}

/// The running engine, for the program around it.
#[derive(Clone, Debug)]
pub struct Control {
    shared: Arc<Shared>,
}

/// A service with what the program around it does at certain moments.
pub struct Program<S> {
    /// What answers requests.
    pub service: S,
    /// Reload, flush, problems.
    pub hooks: Arc<dyn Hooks>,
}

impl Engine {
    /// An engine on these sockets, with default [`Settings`].
    pub fn new(sockets: Sockets) -> Self {
        Self { sockets, settings: Settings::default(), started: Instant::now(), sleeps_unasked: false }
    }

    /// Uses these settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Sleeps after this much quiet. Default 30 s.
    #[must_use]
    pub fn sleep_after(mut self, after: Duration) -> Self {
        self.settings.sleep.after = Some(after);
        self
    }

    /// Sleeps even if no socket was inherited, so that nobody will start it again. By default it then never sleeps.
    #[must_use]
    pub fn sleep_unasked(mut self) -> Self {
        self.sleeps_unasked = true;
        self
    }

    /// When the process began, for the story of its wake. Default: when the engine was made.
    #[must_use]
    pub fn started(mut self, started: Instant) -> Self {
        self.started = started;
        self
    }

    /// Serves a tower service until it is time to leave.
    ///
    /// # Errors
    /// When the runtime, its poller or the signal handlers cannot be set up.
    pub fn serve_tower<S>(self, service: S) -> io::Result<Exit>
    where
        Tower<S>: Serve,
    {
        self.serve(Tower(service))
    }

    /// Serves until it is time to leave.
    ///
    /// # Errors
    /// When the runtime, its poller or the signal handlers cannot be set up.
    pub fn serve<S: Serve>(self, service: S) -> io::Result<Exit> {
        self.run(async |_| Ok(Program { service, hooks: Arc::new(()) }))
    }

    /// Serves what `build` makes once the runtime runs and signals are heard, until it is time to leave.
    ///
    /// # Errors
    /// Those of `build`, and when the runtime, its poller or the signal handlers cannot be set up.
    pub fn run<S: Serve, E: From<io::Error>>(
        self,
        build: impl AsyncFnOnce(&Control) -> Result<Program<S>, E>,
    ) -> Result<Exit, E> {
        limit::raise();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let exit = runtime.block_on(self.run_here(build));
        // What still runs was told or cut; a blocking call that hangs must not keep the process.
        runtime.shutdown_background();
        exit
    }

    async fn run_here<S: Serve, E: From<io::Error>>(
        self,
        build: impl AsyncFnOnce(&Control) -> Result<Program<S>, E>,
    ) -> Result<Exit, E> {
        let signals = Signals::install()?;
        let sleeps = self.sleeps_unasked || self.sockets.any_inherited();
        let control = Control { shared: Shared::new(Settings::default(), sleeps) };
        control.set_settings(self.settings);
        let Program { service, hooks } = build(&control).await?;
        if !sleeps {
            tracing::info!(
                "never sleeps: no socket was inherited, so nobody would wake it (see --sleep-after)"
            );
        }
        let keeper = Keeper::new(Parts {
            sockets: self.sockets,
            connections: Arc::new(Served { shared: control.shared.clone(), service: Arc::new(service) }),
            activity: control.shared.activity.clone(),
            tally: control.shared.tally.clone(),
            hooks,
            signals,
            started: self.started,
        })?;
        let _accepting = Accepting;
        Ok(keeper.keep().await)
    }
}

/// While this lives connections are accepted. A panic that ends that ends the process: left alive by whatever catches
/// the panic, or by a thread that hangs, it would keep systemd from starting another, and every client waiting.
struct Accepting;

impl Drop for Accepting {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort(); // the panic hook has told why
        }
    }
}

impl Control {
    /// Replaces the settings; the quiet under way is measured by the new ones.
    pub fn set_settings(&self, mut settings: Settings) {
        let sleep = &mut settings.sleep;
        if !self.shared.sleeps {
            sleep.after = None;
        }
        // Clocks cannot be set beyond the end of time.
        sleep.grace = sleep.grace.min(LONGEST);
        sleep.drain = sleep.drain.min(LONGEST);
        self.shared.set_settings(settings);
    }

    /// Who counts how many times the service was woken since boot, this one included. It is asked on the serving thread,
    /// each time somebody wants to know; only the first call matters.
    pub fn wakes_are_counted_by(&self, count: impl Fn() -> u64 + Send + Sync + 'static) {
        self.shared.wakes.counted_by(count);
    }

    /// The state of the engine now.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// The state of the engine now, with everybody who keeps it awake.
    pub fn account(&self) -> Account {
        self.shared.account()
    }

    pub(super) fn of(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Whether the process is on its way out (SIGTERM).
    pub fn is_draining(&self) -> bool {
        matches!(self.shared.stage(), Stage::Drain | Stage::Cut)
    }

    /// Resolves once [`Control::is_draining`].
    pub async fn draining(&self) {
        self.until(Self::is_draining).await;
    }

    /// Whether the time of a drain is over, or a second signal has come: what still runs is cut.
    pub fn is_cut(&self) -> bool {
        self.shared.stage() == Stage::Cut
    }

    /// Resolves once [`Control::is_cut`].
    pub async fn cut(&self) {
        self.until(Self::is_cut).await;
    }

    async fn until(&self, is_so: fn(&Self) -> bool) {
        loop {
            let mut told = std::pin::pin!(self.shared.draining.notified());
            told.as_mut().enable(); // what changes from here on is told
            if is_so(self) {
                return;
            }
            told.await;
        }
    }

    /// An id to find a failure by, in the journal.
    pub fn new_id(&self) -> String {
        self.shared.new_id()
    }

    /// Keeps the process awake until dropped; the end does not restart the clock. `None` when the process has committed
    /// to leave.
    pub fn hold(&self) -> Option<Hold> {
        self.shared.activity.hold()
    }
}

/// The connections of the engine, as the keeper knows them.
struct Served<S> {
    shared: Arc<Shared>,
    service: Arc<S>,
}

impl<S: Serve> Connections for Served<S> {
    fn accepted(&self, accepted: Accepted, hold: Hold) {
        let Accepted { fd, peer, socket } = accepted;
        let transport = match Socket::new(fd) {
            Ok(transport) => transport,
            Err(error) => {
                tracing::error!(%error, %peer, "cannot watch a connection, closed");
                return;
            }
        };
        let record = self.shared.roll.enter(peer, socket, self.shared.activity.since_origin());
        rest::note_newcomer(&self.shared, self.shared.tally.accepted.load(Relaxed));
        let link = Link::new(transport, record, self.shared.clone());
        tokio::spawn(connection::serve(link, self.service.clone(), hold));
    }

    fn phase_changed(&self, phase: Phase) {
        self.shared.set_phase(phase);
        let stage = match phase {
            Phase::Starting | Phase::Serving => Stage::Open,
            Phase::Closing { .. } | Phase::Committed => Stage::CloseIdle,
            Phase::Draining { .. } => Stage::Drain,
            Phase::Gone(_) => Stage::Cut,
        };
        if stage != self.shared.stage() {
            self.shared.enter_stage(stage);
        }
    }

    fn cut(&self) -> Vec<String> {
        let mut cut = Vec::new();
        self.shared.roll.each(|record| {
            let what = match (record.state(), record.in_flight.load(Relaxed)) {
                (State::Tunnel, _) => "an upgraded connection".to_owned(),
                (State::Head, 0) => "half a request".to_owned(),
                (State::Busy, 0 | 1) => "a request".to_owned(),
                (_, 0) => return,
                (_, several) => format!("{several} requests"),
            };
            cut.push(format!("{what} of {} on {}", record.who(), record.socket));
        });
        self.shared.enter_stage(Stage::Cut);
        cut
    }

    fn open(&self) -> usize {
        self.shared.roll.open()
    }

    fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    fn make_room(&self) {
        self.shared.make_room();
    }

    fn tick(&self) {
        rest::ask_idle(&self.shared);
    }

    fn describe(&self) -> String {
        let census = self.shared.roll.census();
        // An answer may be out of the service's hands and still on its way.
        let requests = self.shared.in_flight.load(Relaxed).max(census.busy);
        let waiting = self.shared.waiting.load(Relaxed);
        let parts = [
            (requests.saturating_sub(waiting), "request", "requests"),
            (waiting, "waiting request", "waiting requests"),
            (census.new, "connection with no request yet", "connections with no request yet"),
            (census.tunnels, "upgraded connection", "upgraded connections"),
            (census.lingering, "closing connection", "closing connections"),
            (census.idle, "idle connection", "idle connections"),
        ];
        let parts = parts.iter().filter(|(count, ..)| *count > 0);
        let parts =
            parts.map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }));
        parts.collect::<Vec<_>>().join(", ")
    }

    fn sleep(&self) -> Sleep {
        self.shared.settings().sleep.clone()
    }
}

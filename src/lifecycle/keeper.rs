//! The one task that owns the listeners, accepts, and alone decides to leave.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::time::{self, MissedTickBehavior};

use super::activity::Activity;
use super::calls::Calls;
use super::doors::{Arrival, Doors};
use super::life::{End, Life};
use super::phase::{Accepting, Event, Exit, Facts, Machine, Phase, Step};
use super::signals::{Request, Signals};
use super::status::{self, Status};
use super::story::{self, Story, Tally, count};
use super::word::Listen;
use super::{Connections, Hooks, footprint, notify};
use crate::activation::Sockets;

/// How often the status is looked at while awake.
const TICK: Duration = Duration::from_secs(1);

/// When it is first looked at: the start, and mostly the first request, are over by then.
const FIRST_TICK: Duration = Duration::from_millis(100);

/// What systemd is asked for beyond the drain: children get 5 s after their TERM, then logs are flushed.
const STOP_MARGIN: Duration = Duration::from_secs(7);

/// How many connections are taken at most from the queues of listeners bound by hand before they are closed: more than
/// their backlog (4096) holds.
const LAST_SWEEP: u32 = 8192;

/// How long falling asleep waits for a flush that hangs.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// How long a drain that is out of time waits for what the program has started: five seconds after its SIGTERM.
const ENDING_LIMIT: Duration = Duration::from_millis(5500);

/// How long leaving waits for a last hook that hangs.
const LEFT_LIMIT: Duration = Duration::from_millis(200);

/// How long to wait for systemd to have read the last messages.
const BARRIER_LIMIT: Duration = Duration::from_millis(300);

/// The keeper's belongings.
pub struct Keeper<C> {
    doors: Doors,
    connections: Arc<C>,
    activity: Arc<Activity>,
    tally: Arc<Tally>,
    hooks: Arc<dyn Hooks>,
    /// Those of the hooks that may block.
    calls: Calls,
    machine: Machine,
    signals: Signals,
    status: Status,
    story: Story,
    listening: Listen,
    /// The flush before falling asleep.
    flush: Option<Flush>,
    stopped_by: Option<&'static str>,
    has_warned_of_datagrams: bool,
    /// How much work was done when memory was last given back.
    lean_since: Option<u64>,
}

/// A flush under way.
struct Flush {
    is_over: Arc<AtomicBool>,
    /// When to go on without it.
    until: Instant,
}

impl Flush {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire) || Instant::now() >= self.until
    }
}

/// What a keeper is made of.
pub struct Parts<C> {
    /// What to listen on.
    pub sockets: Sockets,
    /// Who owns the connections.
    pub connections: Arc<C>,
    /// What is held and what extends.
    pub activity: Arc<Activity>,
    /// What is counted for the story.
    pub tally: Arc<Tally>,
    /// The program around it.
    pub hooks: Arc<dyn Hooks>,
    /// Its signals, installed already.
    pub signals: Signals,
    /// When the process began.
    pub started: Instant,
}

impl<C: Connections> Keeper<C> {
    /// Registers the sockets; nothing is accepted yet.
    ///
    /// # Errors
    /// When the runtime's poller refuses a socket.
    pub fn new(parts: Parts<C>) -> io::Result<Self> {
        let sleep = parts.connections.sleep();
        Ok(Self {
            doors: Doors::open(parts.sockets)?,
            connections: parts.connections,
            activity: parts.activity,
            tally: parts.tally,
            hooks: parts.hooks,
            calls: Calls::default(),
            machine: Machine::new(sleep),
            signals: parts.signals,
            status: Status::default(),
            story: Story::new(parts.started),
            listening: Listen::ToNothing,
            flush: None,
            stopped_by: None,
            has_warned_of_datagrams: false,
            lean_since: None,
        })
    }

    /// Accepts until it is time to leave. When it returns everything accepted has been answered or, in a drain that
    /// ran out of time, cut; systemd knows; the story is told.
    pub async fn keep(mut self) -> Exit {
        self.start();
        let mut tick = time::interval_at(time::Instant::now() + FIRST_TICK, TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watchdog = notify::watchdog_period().map(time::interval);
        loop {
            if let Some(exit) = self.turn() {
                return self.leave(exit).await;
            }
            let facts = self.facts();
            let (listen, deadline) = self.machine.watch(&facts);
            if std::mem::replace(&mut self.listening, listen) != listen {
                self.activity.listen(listen);
                continue; // look again: a change before this told nobody
            }
            let deadline = self.flush_deadline().or(deadline);
            let is_accepting = self.is_accepting();
            tokio::select! {
                biased;
                request = self.signals.next() => self.obey(request),
                () = next_tick(&mut watchdog) => notify::watchdog(),
                _ = tick.tick() => self.tick(),
                () = self.activity.changed() => {}
                () = sleep_until(deadline) => {}
                // Last: connections may come faster than they are accepted, and would starve whatever stood below.
                arrival = poll_fn(|cx| self.doors.poll_arrival(cx, &*self.connections)), if is_accepting => {
                    self.admit(arrival);
                }
            }
        }
    }

    /// Ready is said once the listeners are polled and what waited is admitted, so that the story knows its cause.
    fn start(&mut self) {
        self.story.woken_by = match self.doors.sweep() {
            Ok(Some(arrival)) => {
                let by = describe(&arrival);
                self.admit(arrival);
                Some(by)
            }
            _ => self.hooks.cause(),
        };
        let facts = self.facts();
        self.machine.step(Event::Ready, &facts);
        self.connections.phase_changed(self.machine.phase());
        self.notify_with_status(notify::ready);
        let life = self.life(End::Running, String::new());
        story::tell_wake(&life);
        let (hooks, calls) = (self.hooks.clone(), self.calls.clone());
        self.calls.add(move || hooks.ready(&life));
        // From a task of its own: whoever woke us is served first.
        tokio::spawn(async move { calls.work() });
    }

    /// This life, as it is now or ends now.
    fn life(&self, end: End, why: String) -> Life {
        let facts = self.facts();
        self.story.life(facts.now, quiet_for(&facts), self.tally.figures(), end, why)
    }

    /// Steps until there is nothing more to do at once; how it ended, if it did.
    fn turn(&mut self) -> Option<Exit> {
        self.machine.set_sleep(self.connections.sleep());
        loop {
            let facts = self.facts();
            match self.machine.step(Event::Look, &facts) {
                Step::CloseIdle | Step::Reopen => {
                    self.forget_flush();
                    self.connections.phase_changed(self.machine.phase());
                }
                Step::Sweep if self.is_flushed() => self.sweep(),
                Step::Sweep => return None,
                Step::Drain => self.begin_drain(),
                Step::StopAccepting => self.stop_accepting(),
                Step::Cut => self.cut("at the end of the drain"),
                Step::Stay => match self.machine.phase() {
                    Phase::Gone(exit) => return Some(exit),
                    _ => return None,
                },
            }
        }
    }

    /// Flushes on the blocking pool, once each time idle connections were closed; true once that is over.
    fn is_flushed(&mut self) -> bool {
        if let Some(flush) = &self.flush {
            return flush.is_over();
        }
        let is_over = Arc::new(AtomicBool::new(false));
        self.flush = Some(Flush { is_over: is_over.clone(), until: Instant::now() + FLUSH_LIMIT });
        let (hooks, activity) = (self.hooks.clone(), self.activity.clone());
        let life = self.life(End::Asleep, quiet_text(&self.facts()));
        self.calls.add(move || {
            hooks.before_sleep(&life);
            is_over.store(true, Ordering::Release);
            activity.nudge();
        });
        self.calls.work();
        false
    }

    /// What was flushed said that it sleeps; it does not after all.
    fn forget_flush(&mut self) {
        if self.flush.take().is_some() {
            let (hooks, life) = (self.hooks.clone(), self.life(End::Running, String::new()));
            self.calls.add(move || hooks.called_back(&life));
            self.calls.work();
        }
    }

    /// While a flush runs its end is told; the moment it is waited for has passed already.
    fn flush_deadline(&self) -> Option<Instant> {
        let flush = self.flush.as_ref().filter(|flush| !flush.is_over())?;
        matches!(self.machine.phase(), Phase::Closing { .. }).then_some(flush.until)
    }

    /// The last look: what is found is admitted and means Serving; otherwise the exchange to committed decides.
    fn sweep(&mut self) {
        let event = match self.doors.sweep() {
            Ok(Some(arrival)) => {
                self.admit(arrival);
                Event::Found
            }
            // What cannot be accepted for want of descriptors waits in the kernel, and starts the next process.
            Ok(None) | Err(_) if self.activity.try_commit() => Event::Committed,
            Ok(None) | Err(_) => Event::Found,
        };
        if event == Event::Found {
            self.forget_flush();
        }
        let facts = self.facts();
        self.machine.step(event, &facts);
        self.connections.phase_changed(self.machine.phase());
    }

    fn admit(&mut self, arrival: Arrival) {
        let Some(hold) = self.activity.hold() else {
            debug_assert!(false, "only the keeper commits, and it accepts nothing afterwards");
            return;
        };
        match arrival {
            Arrival::Connection(accepted) => {
                count(&self.tally.accepted);
                self.connections.accepted(accepted, hold);
            }
            Arrival::Datagram { socket } => {
                count(&self.tally.datagrams);
                if !std::mem::replace(&mut self.has_warned_of_datagrams, true) {
                    tracing::warn!(
                        socket,
                        "a datagram on socket {socket:?} was read and dropped: no route handles datagrams; \
                         remove ListenDatagram= from the .socket unit (further ones are only counted)"
                    );
                }
            }
        }
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Reload => self.reload(),
            Request::Stop(signal) => {
                self.stopped_by = Some(signal);
                let facts = self.facts();
                match self.machine.step(Event::Signal, &facts) {
                    Step::Drain => self.begin_drain(),
                    Step::Cut => self.cut("by a second signal"),
                    _ => {}
                }
            }
        }
    }

    fn reload(&mut self) {
        let Some(hold) = self.activity.hold() else { return };
        notify::reloading();
        self.hooks.reload();
        // Leaving at once, it would be gone while systemd still waits for the reload: "Job canceled".
        self.activity.extend();
        drop(hold); // the status is about what remains
        self.notify_with_status(notify::ready);
    }

    fn begin_drain(&mut self) {
        self.forget_flush();
        self.activity.begin_drain();
        self.notify_with_status(notify::stopping);
        notify::extend_timeout(self.machine.sleep().drain.saturating_add(STOP_MARGIN));
        self.connections.phase_changed(self.machine.phase());
    }

    /// From here on what comes waits in the kernel for the next process; nobody comes after a listener of our own,
    /// so that one is emptied first: of all that was in the queue, and not of a flood that never ends.
    fn stop_accepting(&mut self) {
        let mut left = LAST_SWEEP;
        while self.doors.any_bound() {
            match self.doors.sweep() {
                Ok(Some(arrival)) if left > 0 => self.admit(arrival),
                Ok(Some(arrival)) => {
                    self.admit(arrival);
                    self.doors.close_bound();
                }
                _ => self.doors.close_bound(),
            }
            left = left.saturating_sub(1);
        }
        self.connections.phase_changed(self.machine.phase());
    }

    fn cut(&self, when: &str) {
        for what in self.connections.cut() {
            tracing::warn!(cut = %what, "cut {when}: {what}");
        }
    }

    /// Says goodbye: to systemd, to the program around it, and to the journal.
    async fn leave(&mut self, exit: Exit) -> Exit {
        let why = match (exit, self.stopped_by) {
            (Exit::Asleep, _) => quiet_text(&self.facts()),
            (_, signal) => signal.unwrap_or("signal").to_owned(),
        };
        if exit == Exit::Asleep {
            notify::stopping("asleep");
        }
        if exit == Exit::Overdue {
            // Who does not end by then is killed with the process.
            let _ = time::timeout(ENDING_LIMIT, self.hooks.ending()).await;
        }
        let life = self.life(exit.into(), why);
        story::tell_end(&life);
        let hooks = self.hooks.clone();
        let (done, left) = tokio::sync::oneshot::channel();
        self.calls.add(move || {
            hooks.left(&life);
            let _ = done.send(());
        });
        self.calls.work();
        if time::timeout(LEFT_LIMIT, left).await.is_err() {
            tracing::warn!("what was to be kept of this life takes too long to write, and may be lost");
        }
        notify::barrier(BARRIER_LIMIT);
        exit
    }

    fn is_accepting(&self) -> bool {
        !matches!(self.machine.phase(), Phase::Draining { accepting: Accepting::No, .. } | Phase::Gone(_))
    }

    /// Once a second while awake: memory, then the status.
    fn tick(&mut self) {
        self.connections.tick();
        let facts = self.facts();
        let work = self.tally.work();
        let is_first = self.lean_since.is_none();
        if is_first || (facts.holds == 0 && self.lean_since != Some(work)) {
            footprint::shrink();
            self.lean_since = Some(work);
        }
        let line = self.status_line(&facts);
        self.status.tell(line);
    }

    /// A message to systemd that carries the status of now.
    fn notify_with_status(&mut self, notify: fn(&str)) {
        let line = self.status_line(&self.facts());
        notify(&line);
        self.status.told(line);
    }

    fn status_line(&self, facts: &Facts) -> String {
        let problem = self.hooks.problem();
        let work = [self.connections.describe(), self.hooks.work()];
        let work = work.into_iter().filter(|work| !work.is_empty()).collect::<Vec<_>>().join(", ");
        status::line(&self.machine, facts, &work, problem.as_deref())
    }

    fn facts(&self) -> Facts {
        let counts = self.activity.counts();
        Facts {
            now: Instant::now(),
            ready: self.story.ready,
            holds: counts.all(),
            older: counts.older,
            connections: self.connections.open(),
            extended: self.activity.extended(),
        }
    }
}

fn quiet_for(facts: &Facts) -> Duration {
    facts.now.saturating_duration_since(facts.extended.unwrap_or(facts.ready))
}

fn quiet_text(facts: &Facts) -> String {
    format!("quiet for {:.1} s", quiet_for(facts).as_secs_f64())
}

fn describe(arrival: &Arrival) -> String {
    match arrival {
        Arrival::Connection(accepted) => format!("{} on {}", accepted.peer, accepted.socket),
        Arrival::Datagram { socket } => format!("a datagram on {socket}"),
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

async fn next_tick(interval: &mut Option<time::Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

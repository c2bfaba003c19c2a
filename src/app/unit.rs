//! A systemd unit that is an app: started, stopped, looked at.
//!
//! systemd is asked by `systemctl`, which speaks D-Bus for us: a D-Bus library would make the whole daemon half as large
//! again for a few calls an hour, each of which costs some milliseconds this way. dormouse runs as an ordinary user, so
//! polkit decides: [`rule`] has what it needs.

mod error;
pub mod rule;
mod systemctl;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::error::{NameError, UnitError, Verb};
pub use self::rule::{Rule, rule_for};
use self::systemctl::Systemctl;

/// How long systemd may take to tell about a unit: what is usual on D-Bus.
const TELL: Duration = Duration::from_secs(25);

/// How often a running unit's cgroup is looked for: one system call.
const LOOK: Duration = Duration::from_secs(1);

/// How often systemd is asked about a unit whose cgroup is not to be seen.
const ASK: Duration = Duration::from_secs(10);

/// Where the tree of cgroups may be: version 2, and the two ways of version 1.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];

/// A service unit. It holds nothing and keeps nothing running; what happens to the unit is up to systemd and all who
/// talk to it.
#[derive(Clone, Debug)]
pub struct Unit {
    name: Box<str>,
    systemctl: Systemctl,
    hierarchies: Vec<PathBuf>,
    look: Duration,
    ask: Duration,
}

/// What a unit does: `ActiveState` of org.freedesktop.systemd1(5), and whether there is such a unit at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitState {
    /// It runs, also while it reloads.
    Active,
    /// It starts, or systemd is about to restart it.
    Activating,
    /// It stops.
    Deactivating,
    /// It does not run.
    Inactive,
    /// It does not run, because it failed.
    Failed,
    /// It does not run, and systemd finds no file of it.
    NotFound,
}

impl UnitState {
    /// Whether nothing of it runs, nor will unless somebody starts it.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Inactive | Self::Failed | Self::NotFound)
    }
}

/// What systemd says of a unit; a property that it did not give is empty.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    id: String,
    load: String,
    active: String,
    result: String,
    cgroup: String,
}

impl Unit {
    /// The unit of that name: only what is a valid name of a service that can be started, since `systemctl` would take
    /// a pattern or an option for what it is.
    ///
    /// # Errors
    /// When it is no such name; whether systemd knows the unit is not looked at.
    pub fn new(name: &str) -> Result<Self, NameError> {
        error::check_name(name)?;
        Ok(Self {
            name: name.into(),
            systemctl: Systemctl::default(),
            hierarchies: HIERARCHIES.iter().map(PathBuf::from).collect(),
            look: LOOK,
            ask: ASK,
        })
    }

    /// Its name, with `.service`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it, and returns when systemd's job has ended: at once if it runs already; with `Type=notify` when it says
    /// that it is ready; with `Type=simple` when there is a process, which may not even be the program yet.
    ///
    /// Dropped, or over `limit`, the job goes on in systemd, whose own bound is `TimeoutStartSec=`.
    ///
    /// # Errors
    /// When the unit does not run for it.
    pub async fn start(&self, limit: Duration) -> Result<(), UnitError> {
        self.job(Verb::Start, limit).await
    }

    /// Stops it, and returns when nothing of it runs any more. A unit that does not run is stopped.
    ///
    /// Dropped, or over `limit`, the job goes on in systemd, whose own bound is `TimeoutStopSec=`.
    ///
    /// # Errors
    /// When it may go on running.
    pub async fn stop(&self, limit: Duration) -> Result<(), UnitError> {
        self.job(Verb::Stop, limit).await
    }

    /// What it does now. Anybody may ask that.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn state(&self) -> Result<UnitState, UnitError> {
        let facts = self.facts().await?;
        facts.state().ok_or_else(|| UnitError::Other {
            unit: self.name.clone(),
            verb: Verb::Show,
            said: format!("it is in the unknown state {:?}", facts.active),
        })
    }

    /// Returns when it has ended, whoever ended it, and how. It may take a second to notice, ten where no cgroup shows
    /// it; a unit that ended and was started again in between has not ended, nor has one that systemd cannot be asked
    /// about.
    pub async fn ended(&self) -> UnitState {
        let mut is_told = false;
        loop {
            let facts = match self.facts().await {
                Ok(facts) => facts,
                Err(error) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(unit = self.name(), %error, "whether {} still runs is not known: {error}", self.name());
                    }
                    tokio::time::sleep(self.ask).await;
                    continue;
                }
            };
            match facts.state() {
                Some(state) if state.has_ended() => return state,
                Some(UnitState::Active) | None => match self.cgroup(&facts.cgroup) {
                    Some(cgroup) => self.until_gone(&cgroup).await,
                    None => tokio::time::sleep(self.ask).await,
                },
                Some(_) => tokio::time::sleep(self.look).await,
            }
        }
    }

    async fn job(&self, verb: Verb, limit: Duration) -> Result<(), UnitError> {
        let said = match self.systemctl.run(&[verb.word()], &self.name, limit).await {
            Ok(said) if said.is_success() => return Ok(()),
            Ok(said) => said,
            Err(error) => return Err(UnitError::of_call(error, &self.name, verb, limit)),
        };
        Err(UnitError::of_job(&said, &self.name, verb, &self.facts().await?))
    }

    async fn facts(&self) -> Result<Facts, UnitError> {
        const SHOW: &[&str] = &["show", "--property=Id,LoadState,ActiveState,Result,ControlGroup"];
        match self.systemctl.run(SHOW, &self.name, TELL).await {
            Ok(said) if said.is_success() => Ok(Facts::parse(&said.out)),
            // It knows what to say of every name, so this is about systemd.
            Ok(said) => Err(UnitError::Unreachable { unit: self.name.clone(), said: said.why() }),
            Err(error) => Err(UnitError::of_call(error, &self.name, Verb::Show, TELL)),
        }
    }

    /// The directory of its cgroup, where it can be seen.
    fn cgroup(&self, path: &str) -> Option<PathBuf> {
        let below = path.strip_prefix('/').filter(|below| !below.is_empty())?;
        self.hierarchies.iter().map(|hierarchy| hierarchy.join(below)).find(|cgroup| cgroup.exists())
    }

    /// systemd removes a unit's cgroup when the last of its processes has ended. The look at it is no file access that
    /// could block: cgroups are in memory.
    async fn until_gone(&self, cgroup: &Path) {
        while cgroup.exists() {
            tokio::time::sleep(self.look).await;
        }
    }
}

impl Facts {
    /// From the `NAME=VALUE` lines of `systemctl show`, which come in any order.
    fn parse(text: &str) -> Self {
        let mut facts = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let fact = match name {
                "Id" => &mut facts.id,
                "LoadState" => &mut facts.load,
                "ActiveState" => &mut facts.active,
                "Result" => &mut facts.result,
                "ControlGroup" => &mut facts.cgroup,
                _ => continue,
            };
            value.clone_into(fact);
        }
        facts
    }

    /// `None` for a state that no systemd up to 262 has.
    fn state(&self) -> Option<UnitState> {
        Some(match self.active.as_str() {
            "active" | "reloading" | "refreshing" => UnitState::Active,
            "activating" => UnitState::Activating,
            "deactivating" => UnitState::Deactivating,
            "failed" => UnitState::Failed,
            // A unit whose file was removed while it ran is active and not found.
            "inactive" | "maintenance" if self.load == "not-found" => UnitState::NotFound,
            "inactive" | "maintenance" => UnitState::Inactive,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;

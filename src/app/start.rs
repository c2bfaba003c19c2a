//! From a program or unit to an address that answers.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use tokio::time::sleep;

use super::AppSettings;
use super::address::{Address, remove_stale};
use super::settings::{AppKind, ProgramSettings, SocketKind};
use super::unit::{Unit, UnitError};
use crate::guard::RequestBody;
use crate::log::chain;
use crate::process::{Child, Owner, Program};
use crate::schema::duration;
use crate::upstream::{Answered, Group, How, Origin, Upstream, UpstreamSettings};

/// How often an app that starts is asked whether it is ready: at first, and at last.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LAST_LOOK: Duration = Duration::from_millis(250);

/// How long one such question may take.
const LOOK_TAKES: Duration = Duration::from_secs(5);

/// Where apps run, and where their sockets are.
#[derive(Debug, Default)]
pub struct Folders {
    /// The state directory.
    pub state: Option<PathBuf>,
    /// The runtime directory.
    pub runtime: Option<PathBuf>,
}

impl Folders {
    /// Where sockets are made: the runtime directory, or a private folder of our own.
    pub(super) fn of_sockets(&self) -> io::Result<PathBuf> {
        let (folder, is_ours) = match &self.runtime {
            Some(runtime) => (runtime.clone(), false),
            None => (Self::own(), true),
        };
        match DirBuilder::new().recursive(!is_ours).mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = std::fs::symlink_metadata(&folder)?;
                let is_private = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
                if is_private { Ok(folder) } else { Err(error) }
            }
            made => made.map(|()| folder),
        }
    }

    /// A private folder of this process.
    fn own() -> PathBuf {
        std::env::temp_dir().join(format!("dormouse-apps-{}", std::process::id()))
    }

    /// The process leaves: a folder of its own goes with it, unless something is in it.
    pub fn leave(&self) {
        if self.runtime.is_none() {
            let _ = std::fs::remove_dir(Self::own()); // mostly there is none
        }
    }

    /// Where a program runs: where it says, or else in the state directory, made if it is not there.
    pub(crate) fn of_program(&self, dir: Option<&Path>) -> Result<PathBuf, String> {
        if let Some(dir) = dir {
            return Ok(dir.to_owned());
        }
        let Some(state) = &self.state else { return Ok("/".into()) };
        let made = std::fs::create_dir_all(state);
        made.map_err(|error| {
            format!("cannot make the state directory {}: {error}; see `dir`", state.display())
        })?;
        Ok(state.clone())
    }
}

/// A socket of dormouse's own that a program is passed, and the next one after it: what waits in its queue when the one
/// ends in order is the other's.
#[derive(Debug)]
pub struct Kept {
    origin: Origin,
    path: PathBuf,
    listener: Arc<OwnedFd>,
    traces: Arc<Traces>,
}

/// An app that runs.
#[derive(Debug)]
pub enum Running {
    /// A program below us, what goes with it, and whether its socket outlasts it.
    Child(Child, Arc<Traces>, bool),
    /// A unit.
    Unit(Unit),
}

/// What a program's end is to take with it.
#[derive(Debug, Default)]
pub struct Traces(pub(super) Option<PathBuf>);

impl Kept {
    fn address(&self) -> Address {
        Address {
            origin: self.origin.clone(),
            port: None,
            path: Some(self.path.clone()),
            passed: Some(self.listener.clone()),
            traces: self.traces.clone(),
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Unless the same app, under a newer config, listens there already. Already gone is as good.
            let _ = remove_stale(path);
        }
    }
}

/// Whom to ask, and what was started for it.
pub struct Started {
    /// Where it is asked.
    pub group: Arc<Group>,
    /// What runs.
    pub running: Running,
    /// It can be asked at once: its socket listens already.
    pub is_listening: bool,
}

/// Starts it; it need not be ready yet.
///
/// # Errors
/// In words for the journal.
pub async fn start(
    settings: &AppSettings,
    folders: &Folders,
    kept: &mut Option<Kept>,
) -> Result<Started, String> {
    match &settings.kind {
        AppKind::Unit { unit, origin } => {
            let unit = Unit::new(unit).map_err(|error| chain(&error))?;
            if let Err(error) = unit.start(settings.start_within).await {
                if matches!(error, UnitError::Overdue { .. }) {
                    let _ = unit.stop(settings.stop_within).await; // systemd would go on with it
                }
                return Err(chain(&error));
            }
            Ok(Started { group: group(origin), running: Running::Unit(unit), is_listening: false })
        }
        AppKind::Program(program) => start_program(settings, program, folders, kept).await,
    }
}

async fn start_program(
    settings: &AppSettings,
    program: &ProgramSettings,
    folders: &Folders,
    kept: &mut Option<Kept>,
) -> Result<Started, String> {
    let Address { origin, port, path, passed, traces } = match kept {
        Some(kept) => kept.address(),
        None => Address::make(settings, &program.socket, folders)
            .await
            .map_err(|error| format!("cannot make a socket for it: {error}"))?,
    };
    if let (SocketKind::Pass(None), Some(path), Some(listener)) = (&program.socket, &path, &passed) {
        let (path, listener) = (path.clone(), listener.clone());
        *kept = Some(Kept { origin: origin.clone(), path, listener, traces: traces.clone() });
    }
    let fill = |text: &str| fill(text, port, path.as_deref());
    let mut env: Vec<_> = program.env.iter().map(|(name, value)| (name.into(), fill(value).into())).collect();
    if let (Some(port), false) = (port, env.iter().any(|(name, _)| name == "PORT")) {
        env.push(("PORT".into(), port.to_string().into()));
    }
    let program = Program {
        owner: Owner::App(settings.name.as_str().into()),
        run: program.run.iter().map(|argument| fill(argument).into()).collect(),
        env,
        dir: folders.of_program(program.dir.as_deref())?,
        socket: passed,
        nice: None,
    };
    let child = Child::start(&program).map_err(|error| chain(&error))?;
    let is_listening = program.socket.is_some();
    let running = Running::Child(child, traces, kept.is_some());
    Ok(Started { group: group(&origin), running, is_listening })
}

fn fill(text: &str, port: Option<u16>, path: Option<&Path>) -> String {
    let mut text = text.to_owned();
    if let Some(port) = port {
        text = text.replace("{port}", &port.to_string());
    }
    if let Some(path) = path {
        text = text.replace("{socket}", &path.to_string_lossy());
    }
    text
}

/// Whom to ask where an app listens.
pub fn group(origin: &Origin) -> Arc<Group> {
    Arc::new(Group::new(vec![Upstream::new(&UpstreamSettings::by_default(origin.clone()))]))
}

/// Waits until it is ready.
pub async fn until_ready(settings: &AppSettings, group: &Group) {
    let mut wait = FIRST_LOOK;
    loop {
        if is_ready(settings, group).await {
            return;
        }
        sleep(wait).await;
        wait = wait.mul_f64(1.2).min(LAST_LOOK);
    }
}

/// Whether it is ready now.
pub async fn is_ready(settings: &AppSettings, group: &Group) -> bool {
    match &settings.ready {
        Some(path) => ask(group, path).await.is_some_and(|status| status.as_u16() < 400),
        None => group.upstreams()[0].connect_ahead(LOOK_TAKES).await,
    }
}

/// Asks an app something about itself; `None` if it does not answer.
pub async fn ask(group: &Group, path: &str) -> Option<StatusCode> {
    let mut request = Box::new(Request::new(RequestBody::empty()));
    *request.uri_mut() = path.parse::<Uri>().ok()?;
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("dormouse"));
    let how = How { connect: Some(LOOK_TAKES), ..How::default() };
    let asking = group.ask(request, &how, |upstream, request| {
        request.headers_mut().insert(HOST, upstream.origin().host_header());
    });
    match tokio::time::timeout(LOOK_TAKES, asking).await {
        Ok(Ok(Answered::Plainly(answer))) => Some(answer.status()),
        _ => None,
    }
}

/// Why it is not ready, for the journal.
pub fn not_ready(settings: &AppSettings) -> String {
    let within = duration::text(settings.start_within);
    match &settings.ready {
        Some(path) => {
            format!("it did not answer GET {path} as one that is ready, within start_within ({within})")
        }
        None => format!("nothing listened where it should, within start_within ({within})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_our_own_goes_with_us_and_no_other() {
        let own = Folders::default();
        let folder = own.of_sockets().expect("a folder");
        assert!(folder.is_dir());
        own.leave();
        assert!(!folder.exists());
        let given = Folders { runtime: Some(folder.clone()), state: None };
        assert_eq!(given.of_sockets().expect("a folder"), folder);
        given.leave();
        assert!(folder.exists());
        own.leave();
    }
}

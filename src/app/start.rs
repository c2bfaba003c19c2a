//! From a program or unit to an address that answers.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use tokio::time::sleep;

use super::AppSettings;
use super::child::Child;
use super::program::Program;
use super::settings::{AppKind, SocketKind};
use super::unit::Unit;
use crate::guard::RequestBody;
use crate::schema::duration;
use crate::upstream::{Answered, Group, How, Origin, Place, Scheme, Upstream, UpstreamSettings};

/// How often an app that starts is asked whether it is ready: at first, and at last.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LAST_LOOK: Duration = Duration::from_millis(250);

/// How long one such question may take.
const LOOK_TAKES: Duration = Duration::from_secs(5);

/// As many requests at once as an app is asked; dormouse's own limits are below.
const CONNECTIONS: usize = 1024;

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
    fn of_sockets(&self) -> io::Result<PathBuf> {
        let (folder, is_ours) = match &self.runtime {
            Some(runtime) => (runtime.clone(), false),
            None => {
                let name = format!("dormouse-apps-{}", std::process::id());
                (std::env::temp_dir().join(name), true)
            }
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

    /// Where programs run unless they say otherwise: the state directory, made if it is not there.
    fn of_programs(&self) -> PathBuf {
        let state = self.state.clone().filter(|state| std::fs::create_dir_all(state).is_ok());
        state.unwrap_or_else(|| "/".into())
    }
}

/// An app that runs.
#[derive(Debug)]
pub enum Running {
    /// A program below us, and what goes with it.
    Child(Child, Traces),
    /// A unit.
    Unit(Unit),
}

/// What a program's end is to take with it.
#[derive(Debug, Default)]
pub struct Traces(Option<PathBuf>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path); // ours alone; already gone is as good
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
pub async fn start(settings: &AppSettings, folders: &Folders) -> Result<Started, String> {
    match &settings.kind {
        AppKind::Unit { unit, origin } => {
            let unit = Unit::new(unit).map_err(|error| chain(&error))?;
            unit.start(settings.start_within).await.map_err(|error| chain(&error))?;
            Ok(Started { group: group(origin), running: Running::Unit(unit), is_listening: false })
        }
        AppKind::Program { .. } => start_program(settings, folders),
    }
}

fn start_program(settings: &AppSettings, folders: &Folders) -> Result<Started, String> {
    let AppKind::Program { run, env, dir, socket } = &settings.kind else { return Err(String::new()) };
    let address = Address::make(settings, socket, folders)
        .map_err(|error| format!("cannot make a socket for it: {error}"))?;
    let mut env: Vec<_> = env.iter().map(|(name, value)| (name.clone(), address.fill(value))).collect();
    if let (Some(port), false) = (address.port, env.iter().any(|(name, _)| name == "PORT")) {
        env.push(("PORT".to_owned(), port.to_string()));
    }
    let program = Program {
        name: settings.name.clone(),
        run: run.iter().map(|argument| address.fill_os(argument)).collect(),
        env,
        dir: dir.clone().unwrap_or_else(|| folders.of_programs()),
        socket: address.passed.map(Arc::new),
    };
    let child = Child::start(&program).map_err(|error| chain(&error))?;
    let is_listening = program.socket.is_some();
    Ok(Started {
        group: group(&address.origin),
        running: Running::Child(child, Traces(address.path)),
        is_listening,
    })
}

/// The address of a program, and what is put in for it.
struct Address {
    origin: Origin,
    port: Option<u16>,
    /// A Unix socket of our own.
    path: Option<PathBuf>,
    passed: Option<OwnedFd>,
}

impl Address {
    fn make(settings: &AppSettings, socket: &SocketKind, folders: &Folders) -> io::Result<Self> {
        let http = |place| Origin { scheme: Scheme::Http, place };
        match socket {
            SocketKind::Port => {
                // Free now; whoever takes it before the program does makes that fail, and it is started again.
                let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
                let place = Place::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port };
                Ok(Self { origin: http(place), port: Some(port), path: None, passed: None })
            }
            SocketKind::Unix => {
                let path = own_path(settings, folders)?;
                Ok(Self {
                    origin: http(Place::Unix(path.clone())),
                    port: None,
                    path: Some(path),
                    passed: None,
                })
            }
            SocketKind::Pass(None) => {
                let path = own_path(settings, folders)?;
                let listener = UnixListener::bind(&path)?;
                let origin = http(Place::Unix(path.clone()));
                Ok(Self { origin, port: None, path: Some(path), passed: Some(listener.into()) })
            }
            SocketKind::Pass(Some(origin)) => {
                let (passed, path): (OwnedFd, _) = match &origin.place {
                    Place::Tcp { host, port } => (TcpListener::bind((host.as_str(), *port))?.into(), None),
                    Place::Unix(path) => (UnixListener::bind(path)?.into(), Some(path.clone())),
                };
                Ok(Self { origin: origin.clone(), port: None, path, passed: Some(passed) })
            }
        }
    }

    fn fill(&self, text: &str) -> String {
        let text = match self.port {
            Some(port) => text.replace("{port}", &port.to_string()),
            None => text.to_owned(),
        };
        match &self.path {
            Some(path) => text.replace("{socket}", &path.to_string_lossy()),
            None => text,
        }
    }

    fn fill_os(&self, text: &OsString) -> OsString {
        match text.to_str() {
            Some(text) => self.fill(text).into(),
            None => OsString::from_vec(text.as_bytes().to_vec()),
        }
    }
}

/// A path in the runtime directory that nothing uses: also not the same app under an older config.
fn own_path(settings: &AppSettings, folders: &Folders) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Relaxed);
    let folder = folders.of_sockets()?;
    let path = folder.join(format!("app-{}-{}-{number}.sock", settings.name, std::process::id()));
    remove_stale(&path)?;
    Ok(path)
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whom to ask where an app listens.
pub fn group(origin: &Origin) -> Arc<Group> {
    let settings = UpstreamSettings { origin: origin.clone(), connections: CONNECTIONS, rate: None };
    Arc::new(Group::new(vec![Upstream::new(&settings)]))
}

/// Waits until it is ready.
pub async fn until_ready(settings: &AppSettings, group: &Group) {
    let mut wait = FIRST_LOOK;
    loop {
        let is_ready = match &settings.ready {
            Some(path) => ask(group, path).await.is_some_and(|status| status.as_u16() < 400),
            None => group.upstreams()[0].connect_ahead(LOOK_TAKES).await,
        };
        if is_ready {
            return;
        }
        sleep(wait).await;
        wait = wait.mul_f64(1.2).min(LAST_LOOK);
    }
}

/// Asks an app something about itself; `None` if it does not answer.
pub async fn ask(group: &Group, path: &str) -> Option<StatusCode> {
    let mut request = Request::new(RequestBody::empty());
    *request.uri_mut() = path.parse::<Uri>().ok()?;
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("dormouse"));
    let how = How { connect: Some(LOOK_TAKES), hello: None };
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

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

//! Where a program listens that dormouse starts: a free port, a path, or a socket that listens already.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokio::time::{Instant, sleep};

use super::AppSettings;
use super::settings::SocketKind;
use super::start::{Folders, Traces};
use crate::upstream::{Origin, Place, Scheme};

/// How often an address is tried that the same app, under an older config, has not let go of yet.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// The address of a program.
pub(super) struct Address {
    /// Where it is asked.
    pub origin: Origin,
    /// Its port, for it to be told.
    pub port: Option<u16>,
    /// The path of its Unix socket.
    pub path: Option<PathBuf>,
    /// A socket that listens there already.
    pub passed: Option<Arc<OwnedFd>>,
    /// What is to be gone when it is.
    pub traces: Arc<Traces>,
}

impl Address {
    /// Makes one for a start of an app.
    pub async fn make(settings: &AppSettings, socket: &SocketKind, folders: &Folders) -> io::Result<Self> {
        let http = |place| Origin { scheme: Scheme::Http, place };
        let unix = |path: PathBuf, passed: Option<OwnedFd>| {
            let (passed, traces) = (passed.map(Arc::new), Arc::new(Traces(Some(path.clone()))));
            Self { origin: http(Place::Unix(path.clone())), port: None, path: Some(path), passed, traces }
        };
        Ok(match socket {
            SocketKind::Port => {
                // Free now; whoever takes it before the program does makes that fail, and it is started again.
                let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
                let origin = http(Place::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port });
                Self { origin, port: Some(port), path: None, passed: None, traces: Arc::default() }
            }
            SocketKind::Unix => unix(own_path(settings, folders)?, None),
            SocketKind::Pass(None) => {
                let path = own_path(settings, folders)?;
                let listener = UnixListener::bind(&path)?;
                unix(path, Some(listener.into()))
            }
            SocketKind::Pass(Some(origin)) => {
                let (passed, path) = listen(&origin.place, settings.start_within).await?;
                let (passed, traces) = (Some(Arc::new(passed)), Arc::new(Traces(path.clone())));
                Self { origin: origin.clone(), port: None, path, passed, traces }
            }
        })
    }
}

/// Listens at an address that the config names.
async fn listen(place: &Place, within: Duration) -> io::Result<(OwnedFd, Option<PathBuf>)> {
    let until = Instant::now() + within;
    loop {
        let bound: io::Result<(OwnedFd, _)> = match place {
            Place::Tcp { host, port } => {
                TcpListener::bind((host.as_str(), *port)).map(|listener| (listener.into(), None))
            }
            Place::Unix(path) => {
                remove_stale(path)?;
                UnixListener::bind(path).map(|listener| (listener.into(), Some(path.clone())))
            }
        };
        match bound {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                sleep(TRY_AGAIN).await;
            }
            bound => return bound,
        }
    }
}

/// A path in the folder of sockets that nobody uses: also not the same app under an older config.
fn own_path(settings: &AppSettings, folders: &Folders) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = folders.of_sockets()?;
    loop {
        let number = NEXT.fetch_add(1, Relaxed);
        let path = folder.join(format!("app-{}-{number}.sock", settings.name));
        remove_stale(&path)?;
        if !path.exists() {
            return Ok(path);
        }
    }
}

/// Removes a socket at which nobody listens any more: its owner has ended, perhaps without time to.
pub(super) fn remove_stale(path: &Path) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK; // whoever listens there need not be quick to accept
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => std::fs::remove_file(path),
        _ => Ok(()), // nothing there, or somebody: whoever binds it is told
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_socket_is_stale_when_nobody_listens_however_busy_who_does() {
        let path = std::env::temp_dir().join(format!("dormouse-stale-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).expect("a socket");
        rustix::net::listen(&listener, 0).expect("it listens");
        let _waits = UnixStream::connect(&path).expect("there is room for one");
        remove_stale(&path).expect("no error");
        assert!(path.exists());
        drop(listener);
        remove_stale(&path).expect("no error");
        assert!(!path.exists());
        remove_stale(&path).expect("no error");
    }
}

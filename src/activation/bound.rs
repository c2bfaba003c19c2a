//! Sockets bound by hand: `serve --listen`, `try`, and programs run without systemd.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::{Listener, Origin, SocketError, Sockets};

/// The name of every socket bound by hand.
const NAME: &str = "listen";

/// How many connections may wait to be accepted: systemd's default (systemd.socket(5), Backlog=).
const BACKLOG: i32 = 4096;

impl Sockets {
    /// Binds `ADDR:PORT` (a name is resolved, its first address taken) or `unix:PATH`, and adds it.
    ///
    /// A Unix path that nobody answers on any more is replaced; one that is in use is an error.
    ///
    /// # Errors
    /// [`SocketError::Address`] and [`SocketError::Bind`].
    pub fn bind(&mut self, address: &str) -> Result<(), SocketError> {
        let failed = |source| SocketError::Bind { address: address.to_owned(), source };
        let (socket, origin): (OwnedFd, Origin) = if let Some(path) = address.strip_prefix("unix:") {
            let path = Path::new(path);
            let listener = bind_unix(path).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            (listener.into(), Origin::Bound(Some(path.to_owned())))
        } else {
            let resolved = resolve(address)?;
            let listener = TcpListener::bind(resolved).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            (listener.into(), Origin::Bound(None))
        };
        // The standard library listens with a queue of 128; the kernel caps this at net.core.somaxconn.
        rustix::net::listen(&socket, BACKLOG).map_err(|errno| failed(errno.into()))?;
        self.listeners.push(Listener::new(socket, NAME.into(), origin));
        Ok(())
    }
}

fn resolve(address: &str) -> Result<SocketAddr, SocketError> {
    if let Ok(address) = address.parse() {
        return Ok(address);
    }
    let resolved = address.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    resolved.ok_or_else(|| SocketError::Address { address: address.to_owned() })
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        result => result,
    }
}

/// A socket file nobody listens on any more, left behind by a process that was killed.
fn is_abandoned(path: &Path) -> bool {
    matches!(UnixStream::connect(path), Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

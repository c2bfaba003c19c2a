//! One stream listener: accept by a direct system call, and who came.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, sockopt};

use super::Origin;

/// How long a TCP peer may be silent before the kernel asks whether it is still there (tcp(7)), and how it asks: a
/// dead one is noticed within two minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 6;

/// A listening TCP or Unix socket.
#[derive(Debug)]
pub struct Listener {
    /// Its `FileDescriptorName=`; `"listen"` for one bound by hand.
    pub name: Arc<str>,
    /// Where it came from.
    pub origin: Origin,
    fd: OwnedFd,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A TCP client.
    Tcp(SocketAddr),
    /// A client of a Unix socket, with its process id where the kernel tells (`SO_PEERCRED`, unix(7)).
    Unix(Option<u32>),
}

/// A connection that was accepted: from here on it is ours to lose.
#[derive(Debug)]
pub struct Accepted {
    /// The connection, non-blocking and close-on-exec.
    pub fd: OwnedFd,
    /// Who came.
    pub peer: Peer,
    /// The name of the socket it came in on.
    pub socket: Arc<str>,
}

impl Listener {
    pub(super) fn new(fd: OwnedFd, name: Arc<str>, origin: Origin) -> Self {
        // Answers leave when they are written. Connections inherit it (tcp(7)), so it costs one call, not one each;
        // a Unix socket refuses it, which is as good.
        let _ = sockopt::set_tcp_nodelay(&fd, true);
        // A peer that lost its power says nothing more, and would be waited for by whatever has nothing to send it.
        // KeepAlive= of the .socket unit comes first.
        if sockopt::socket_keepalive(&fd) == Ok(false) {
            find_dead_peers(&fd);
        }
        Self { name, origin, fd }
    }

    /// Accepts what the kernel holds, now: `Ok(None)` when its queue is empty (accept4(2) said EAGAIN).
    ///
    /// # Errors
    /// Exhaustion (EMFILE, ENFILE, ENOBUFS, ENOMEM); errors about one peer that is gone again are skipped.
    pub fn accept(&self) -> io::Result<Option<Accepted>> {
        use rustix::io::Errno;
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            match rustix::net::acceptfrom_with(&self.fd, flags) {
                Ok((fd, address)) => {
                    let peer = peer_of(&fd, address);
                    return Ok(Some(Accepted { fd, peer, socket: self.name.clone() }));
                }
                Err(Errno::AGAIN) => return Ok(None),
                // accept(2): a peer's own network errors come up here and are to be treated like EAGAIN, retried.
                Err(
                    Errno::INTR
                    | Errno::CONNABORTED
                    | Errno::NETDOWN
                    | Errno::PROTO
                    | Errno::NOPROTOOPT
                    | Errno::HOSTDOWN
                    | Errno::NONET
                    | Errno::HOSTUNREACH
                    | Errno::OPNOTSUPP
                    | Errno::NETUNREACH,
                ) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// The address it listens on, for people.
    pub fn address(&self) -> String {
        let Ok(address) = rustix::net::getsockname(&self.fd) else { return "?".to_owned() };
        if let Ok(tcp) = SocketAddr::try_from(address.clone()) {
            return tcp.to_string();
        }
        let path = rustix::net::SocketAddrUnix::try_from(address).ok();
        let path = path.as_ref().and_then(|unix| unix.path_bytes());
        path.map_or_else(|| "unix".to_owned(), |path| format!("unix:{}", String::from_utf8_lossy(path)))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

impl super::OwnsDescriptor for Listener {}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Origin::Bound(Some(path)) = &self.origin {
            let _ = std::fs::remove_file(path); // ours alone; already gone is as good
        }
    }
}

/// A TCP peer that is gone without a word is noticed after two minutes (tcp(7)).
pub(crate) fn find_dead_peers(fd: impl AsFd) {
    if sockopt::set_socket_keepalive(&fd, true).is_ok() {
        let _ = sockopt::set_tcp_keepidle(&fd, KEEPALIVE_IDLE);
        let _ = sockopt::set_tcp_keepintvl(&fd, KEEPALIVE_INTERVAL);
        let _ = sockopt::set_tcp_keepcnt(&fd, KEEPALIVE_PROBES);
    }
}

fn peer_of(fd: &OwnedFd, address: Option<SocketAddrAny>) -> Peer {
    if let Some(Ok(address)) = address.clone().map(SocketAddr::try_from) {
        return Peer::Tcp(canonical(address));
    }
    debug_assert!(address.is_none_or(|address| address.address_family() == AddressFamily::UNIX));
    Peer::Unix(peer_pid(fd))
}

/// `SO_PEERCRED` (unix(7)). A peer in another pid namespace has pid 0, which rustix's type cannot hold.
fn peer_pid(fd: &OwnedFd) -> Option<u32> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = libc::socklen_t::try_from(size_of::<libc::ucred>()).ok()?;
    // SAFETY: the kernel writes at most `len` bytes to a struct of that size; all-zero is a valid ucred.
    #[allow(unsafe_code)]
    let status = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            std::ptr::from_mut(&mut credentials).cast(),
            &mut len,
        )
    };
    u32::try_from(credentials.pid).ok().filter(|pid| status == 0 && *pid != 0)
}

/// An IPv4 client of a dual-stack socket is an IPv4 client (RFC 4291 section 2.5.5.2).
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(pid)) => write!(f, "unix pid {pid}"),
            Self::Unix(None) => f.write_str("unix"),
        }
    }
}

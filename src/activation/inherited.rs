//! Taking the sockets systemd passed.
//!
//! sd-notify reads the names and sets close-on-exec, listenfd hands out the descriptors and clears its variables; in
//! this order, for the reverse leaves nothing to read the names from.

use std::env;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::net::SocketType;
use rustix::net::sockopt;

use super::{Datagrams, Listener, Origin, SocketError, Sockets};

const VARIABLES: [&str; 4] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"];

impl Sockets {
    /// Takes every socket systemd passed, and `LISTEN_*` out of the environment. Empty when none were passed.
    ///
    /// Call it first thing in `main`: it changes the environment, which is only sound before other threads exist.
    ///
    /// # Errors
    /// When the sockets were meant for another process, or one is nothing that can be served; see [`SocketError`].
    pub fn inherited() -> Result<Self, SocketError> {
        check_process()?;
        let named = sd_notify::listen_fds_with_names().map(Iterator::collect::<Vec<_>>);
        let mut passed = listenfd::ListenFd::from_env();
        let (fds, names) = (variable("LISTEN_FDS"), variable("LISTEN_FDNAMES"));
        clear_environment();
        let named = named.map_err(|source| SocketError::Malformed { fds, names, source })?;

        let mut sockets = Self::default();
        for (index, (fd, name)) in named.into_iter().enumerate() {
            let taken = passed.take_raw_fd(index);
            let taken = taken.map_err(|source| SocketError::Take { name: name.clone(), fd, source })?;
            let Some(raw) = taken else { continue };
            // SAFETY: listenfd gives each passed descriptor away once; nobody else owns it.
            #[allow(unsafe_code)]
            let socket = unsafe { OwnedFd::from_raw_fd(raw) };
            sockets.take(socket, fd, name)?;
        }
        Ok(sockets)
    }

    /// Sorts one passed descriptor by what it is.
    fn take(&mut self, socket: OwnedFd, fd: i32, name: String) -> Result<(), SocketError> {
        let failed = |name: &str, errno: rustix::io::Errno| SocketError::Take {
            name: name.to_owned(),
            fd,
            source: errno.into(),
        };
        // The flag is shared with systemd's copy; it never reads or writes on it, so that does no harm.
        rustix::io::ioctl_fionbio(&socket, true).map_err(|errno| failed(&name, errno))?;
        let kind = match sockopt::socket_type(&socket) {
            Ok(kind) => kind,
            Err(rustix::io::Errno::NOTSOCK) => {
                return Err(SocketError::Unusable { name, fd, kind: "not a socket".to_owned() });
            }
            Err(errno) => return Err(failed(&name, errno)),
        };
        match kind {
            SocketType::STREAM => {
                if !sockopt::socket_acceptconn(&socket).map_err(|errno| failed(&name, errno))? {
                    return Err(SocketError::Connected { name, fd });
                }
                self.listeners.push(Listener::new(socket, name.into(), Origin::Inherited));
            }
            SocketType::DGRAM => self.datagrams.push(Datagrams { name, fd: socket }),
            other => {
                return Err(SocketError::Unusable { name, fd, kind: format!("a socket of type {other:?}") });
            }
        }
        Ok(())
    }
}

/// Refuses sockets meant for another process; without `LISTEN_PID` there are none.
fn check_process() -> Result<(), SocketError> {
    let passed = variable("LISTEN_PID");
    let own = std::process::id();
    if passed.is_empty() || passed.parse() == Ok(own) {
        return Ok(());
    }
    clear_environment();
    Err(SocketError::WrongProcess { passed, own })
}

fn variable(name: &str) -> String {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
}

fn clear_environment() {
    for name in VARIABLES {
        // SAFETY: documented to run before any other thread exists, so nobody reads the environment meanwhile.
        #[allow(unsafe_code)]
        unsafe {
            env::remove_var(name);
        }
    }
}

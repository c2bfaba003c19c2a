//! Sockets: the ones systemd passed (sd_listen_fds(3)), with their names, or ones bound by hand.
//!
//! [`Sockets::inherited`] takes `LISTEN_*` out of the environment, so it runs before any thread exists and nothing
//! this process starts inherits them by accident. Listeners are only ever accepted from: never `shutdown()`, never
//! unlinked when they belong to systemd - it would fail the socket unit.

mod bound;
mod inherited;
pub(crate) mod limit;
mod listener;
#[cfg(feature = "daemon")]
mod pass;
mod poller;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

#[cfg(feature = "daemon")]
pub(crate) use listener::find_dead_peers;
pub use listener::{Accepted, Listener, Peer};
#[cfg(feature = "daemon")]
pub(crate) use pass::{end_with_us, pass};
pub(crate) use poller::{OwnsDescriptor, register};

/// Why the sockets cannot be used. Every message names the way out.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// `LISTEN_PID` names another process.
    #[error(
        "LISTEN_PID is {passed}, but this process is {own}: the sockets were meant for another process; \
         start dormouse directly from the unit (ExecStart=), not through a shell or wrapper that forks"
    )]
    WrongProcess {
        /// The process the sockets were meant for.
        passed: String,
        /// This process.
        own: u32,
    },
    /// `LISTEN_FDS` or `LISTEN_FDNAMES` is not what systemd sends.
    #[error("LISTEN_FDS={fds:?} with LISTEN_FDNAMES={names:?} is not what systemd passes")]
    Malformed {
        /// `LISTEN_FDS` as found.
        fds: String,
        /// `LISTEN_FDNAMES` as found.
        names: String,
        /// What the parser said.
        #[source]
        source: std::io::Error,
    },
    /// A connected stream socket came in.
    #[error(
        "socket {name:?} (fd {fd}) is a connection, not a listener: remove Accept=yes from the .socket unit, \
         one dormouse serves all connections"
    )]
    Connected {
        /// Its `FileDescriptorName=`.
        name: String,
        /// Its number in this process.
        fd: i32,
    },
    /// Something that is neither a stream listener nor a datagram socket.
    #[error(
        "socket {name:?} (fd {fd}) is {kind}; dormouse serves ListenStream= and ListenDatagram= of TCP, UDP and \
         Unix sockets"
    )]
    Unusable {
        /// Its `FileDescriptorName=`.
        name: String,
        /// Its number in this process.
        fd: i32,
        /// What it is instead.
        kind: String,
    },
    /// A system call on a passed socket failed.
    #[error("cannot take socket {name:?} (fd {fd})")]
    Take {
        /// Its `FileDescriptorName=`.
        name: String,
        /// Its number in this process.
        fd: i32,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The configuration names a socket that was not passed.
    #[error(
        "systemd passed no socket named {name:?} (passed: {passed}); add FileDescriptorName={name} to a .socket \
         unit of this service"
    )]
    Missing {
        /// The name asked for.
        name: String,
        /// The names there are.
        passed: String,
    },
    /// An address to bind cannot be understood.
    #[error(
        "cannot listen on {address:?}: expected ADDR:PORT such as 127.0.0.1:8080, [::1]:8080, or unix:PATH"
    )]
    Address {
        /// The address as given.
        address: String,
    },
    /// Binding failed.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address as given.
        address: String,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// Where a socket came from, which decides how it is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// systemd holds it too: what is left in its queue starts us again.
    Inherited,
    /// Bound by hand: emptied before it is closed; a Unix path is ours to unlink.
    Bound(Option<PathBuf>),
}

/// A datagram socket. Until something handles datagrams they are read, dropped and counted: left unread they would
/// make systemd start us again for ever.
#[derive(Debug)]
pub struct Datagrams {
    /// Its `FileDescriptorName=`.
    pub name: String,
    /// The socket, non-blocking.
    pub fd: OwnedFd,
}

/// All sockets of this process.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Stream listeners: HTTP, whatever their name.
    pub listeners: Vec<Listener>,
    /// Datagram sockets.
    pub datagrams: Vec<Datagrams>,
}

impl Sockets {
    /// Whether there is nothing to serve on.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.datagrams.is_empty()
    }

    /// Whether systemd holds at least one of them, so that somebody will wake us again.
    pub fn any_inherited(&self) -> bool {
        self.listeners.iter().any(|listener| listener.origin == Origin::Inherited)
            || !self.datagrams.is_empty()
    }

    /// These sockets, or, when systemd passed none, `address` bound by hand (`ADDR:PORT` or `unix:PATH`).
    pub fn or_bind(mut self, address: &str) -> Result<Self, SocketError> {
        if self.is_empty() {
            self.bind(address)?;
        }
        Ok(self)
    }

    /// The names of the stream listeners, in the order they came, each once.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for listener in &self.listeners {
            if !names.contains(&&*listener.name) {
                names.push(&listener.name);
            }
        }
        names
    }

    /// Checks that a socket the configuration mentions is there.
    ///
    /// # Errors
    /// [`SocketError::Missing`], naming the sockets there are.
    pub fn require(&self, name: &str) -> Result<(), SocketError> {
        let names = self.names();
        if names.contains(&name) {
            return Ok(());
        }
        let passed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(SocketError::Missing { name: name.to_owned(), passed })
    }
}

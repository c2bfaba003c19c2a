//! Registering a socket with the runtime's poller.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A socket that owns its descriptor and names the same one for as long as it lives.
pub(crate) trait OwnsDescriptor: AsRawFd {}

impl OwnsDescriptor for OwnedFd {}

/// Registers `socket`; it is deregistered before it is closed.
pub(crate) fn register<T: OwnsDescriptor>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: the descriptor is owned by `socket`, hence open until AsyncFd has dropped its registration; and
    // OwnsDescriptor promises that as_raw_fd always names it.
    #[allow(unsafe_code)]
    let registered = unsafe { AsyncFd::register_with_interest(socket, interest) };
    registered.map_err(io::Error::from)
}

//! Signals as something to poll: each has its handler write a byte.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// The two kinds that matter.
pub struct Signals {
    stop: UnixStream,
    child: UnixStream,
}

impl Signals {
    /// From now on they do not end the process.
    pub fn catch() -> io::Result<Self> {
        Ok(Self { stop: bytes_of(&[SIGINT, SIGTERM, SIGHUP])?, child: bytes_of(&[SIGCHLD])? })
    }

    /// Readable when there are stop requests.
    pub fn stop_requested(&self) -> BorrowedFd<'_> {
        self.stop.as_fd()
    }

    /// How many there were since the last time: Ctrl-C, SIGTERM, a closed terminal.
    pub fn take_stop_requests(&self) -> usize {
        take(&self.stop)
    }

    /// Readable when a child may have ended.
    pub fn child_ended(&self) -> BorrowedFd<'_> {
        self.child.as_fd()
    }

    /// To be called before looking at the child, or an end between could be missed.
    pub fn clear_child_ended(&self) {
        take(&self.child);
    }
}

fn bytes_of(signals: &[i32]) -> io::Result<UnixStream> {
    let (ours, handlers) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    for signal in signals {
        pipe::register(*signal, handlers.try_clone()?)?;
    }
    Ok(ours)
}

fn take(mut stream: &UnixStream) -> usize {
    // The handlers' ends stay open, so the only error is that there is nothing to read.
    let mut bytes = [0; 64];
    stream.read(&mut bytes).unwrap_or(0)
}

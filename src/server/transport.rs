//! The bytes of one connection: what the layers above need of it, and the plain socket.
//!
//! TLS and sendfile slide in beneath this trait.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::activation;

/// What the kernel holds of a connection, unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Bytes: a request, or part of one.
    Bytes,
    /// The peer's end; nothing before it.
    End,
    /// Nothing.
    Nothing,
}

/// What a peer did that nobody reads yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// It has sent bytes; the next read finds them.
    Sent,
    /// A FIN: it has closed its side, or is gone altogether; nobody can tell.
    Closed,
    /// A reset, or a Unix peer that is gone: no answer can reach it.
    Reset,
}

/// One connection's bytes. Shared between whatever reads it and whatever closes it, all on one task.
pub trait Transport: Send + Sync + 'static {
    /// Reads into `into`; 0 is the peer's end.
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>>;
    /// Hands bytes to the kernel; fewer than offered is normal.
    fn poll_write(&self, cx: &mut Context<'_>, from: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;
    /// What the kernel holds right now, by a direct system call that takes nothing away.
    fn unread(&self) -> Unread;
    /// Closes our side (shutdown(2)); what the peer still sends can be read.
    fn half_close(&self) -> io::Result<()>;
    /// Resolves when the peer has sent something or ended, also while bytes before its end are unread. What was sent is
    /// told once, an end again and again.
    fn poll_peer(&self, cx: &mut Context<'_>) -> Poll<PeerEvent>;
    /// Resolves when no answer can reach the peer any more: for one that has closed its side already, of which
    /// [`Transport::poll_peer`] tells nothing new.
    fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A TCP or Unix stream socket.
#[derive(Debug)]
pub struct Socket {
    fd: AsyncFd<OwnedFd>,
    /// The kernel may hold bytes though the poller's readiness was cleared: see `poll_peer`.
    has_unread: AtomicBool,
    /// The kernel may take bytes though the poller's readiness was cleared: see `poll_reset`.
    has_room: AtomicBool,
}

impl Socket {
    /// Registers an accepted, non-blocking socket with the runtime's poller.
    ///
    /// # Errors
    /// When the poller refuses it.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let fd = activation::register(fd, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { fd, has_unread: AtomicBool::new(false), has_room: AtomicBool::new(false) })
    }

    fn receive(&self, into: &mut [MaybeUninit<u8>]) -> Result<usize, Errno> {
        let ((filled, _), _) = rustix::net::recv(self.fd.get_ref(), into, RecvFlags::empty())?;
        Ok(filled.len())
    }

    fn send(&self, from: &[IoSlice<'_>]) -> Result<usize, Errno> {
        match from {
            [one] => rustix::net::send(self.fd.get_ref(), one, SendFlags::NOSIGNAL),
            several => {
                let mut nothing = SendAncillaryBuffer::default();
                rustix::net::sendmsg(self.fd.get_ref(), several, &mut nothing, SendFlags::NOSIGNAL)
            }
        }
    }
}

impl Transport for Socket {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
        if self.has_unread.load(Relaxed) {
            let received = self.receive(into);
            // A full buffer may leave more behind, of which the poller will not tell.
            self.has_unread.store(received == Ok(into.len()), Relaxed);
            match received {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return Poll::Ready(result.map_err(Into::into)),
            }
        }
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            match self.receive(into) {
                Ok(len) => {
                    if 0 < len && len < into.len() {
                        // Less than asked for: the kernel has no more, and tells when it has (epoll(7), "edge").
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(len));
                }
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::INTR) => {}
                Err(errno) => return Poll::Ready(Err(errno.into())),
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, from: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        while self.has_room.load(Relaxed) {
            match self.send(from) {
                Err(Errno::AGAIN) => self.has_room.store(false, Relaxed), // the poller tells when there is some
                Err(Errno::INTR) => {}
                result => return Poll::Ready(result.map_err(Into::into)),
            }
        }
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            match self.send(from) {
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::INTR) => {}
                result => return Poll::Ready(result.map_err(Into::into)),
            }
        }
    }

    fn unread(&self) -> Unread {
        match rustix::net::recv(self.fd.get_ref(), &mut [0u8; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((0, _)) => Unread::End,
            Ok(_) => Unread::Bytes,
            Err(Errno::AGAIN | Errno::INTR) => Unread::Nothing,
            Err(_) => Unread::End, // a reset: read once, it is an end like any other
        }
    }

    fn half_close(&self) -> io::Result<()> {
        match rustix::net::shutdown(self.fd.get_ref(), Shutdown::Write) {
            Err(Errno::NOTCONN) => Ok(()), // the peer is gone already
            result => result.map_err(Into::into),
        }
    }

    fn poll_peer(&self, cx: &mut Context<'_>) -> Poll<PeerEvent> {
        let Ok(mut guard) = ready!(self.fd.poll_read_ready(cx)) else {
            return Poll::Ready(PeerEvent::Reset);
        };
        if guard.ready().is_read_closed() {
            return Poll::Ready(if self.is_hung_up() { PeerEvent::Reset } else { PeerEvent::Closed });
        }
        // Only bytes: wait for the next event, and remember that they are there.
        self.has_unread.store(true, Relaxed);
        guard.clear_ready();
        Poll::Ready(PeerEvent::Sent)
    }

    fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // A reset is an event of the writing side too; the reading side is over for good and always ready.
            let Ok(mut guard) = ready!(self.fd.poll_write_ready(cx)) else { return Poll::Ready(()) };
            if guard.ready().is_write_closed() || self.is_hung_up() {
                return Poll::Ready(());
            }
            // Only room: wait for the next event, and remember that there is some.
            self.has_room.store(true, Relaxed);
            guard.clear_ready();
        }
    }
}

impl Socket {
    /// poll(2): POLLHUP and POLLERR come when both directions are over, unasked.
    fn is_hung_up(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec};
        let mut fds = [PollFd::new(self.fd.get_ref(), PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

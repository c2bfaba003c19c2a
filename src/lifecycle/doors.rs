//! Everything the keeper listens on: accepting, the last sweep, datagrams nobody handles.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;

use crate::activation::{self, Accepted, Datagrams, Listener, Origin, Sockets};

/// How long accepting pauses when descriptors or memory are exhausted: the kernel keeps the queue meanwhile.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// What came in.
#[derive(Debug)]
pub enum Arrival {
    /// A connection. Ours to lose from here on.
    Connection(Accepted),
    /// A datagram, read and dropped.
    Datagram {
        /// The name of its socket.
        socket: String,
    },
}

/// The sockets of the process, at work.
#[derive(Debug)]
pub struct Doors {
    listeners: Vec<AsyncFd<Listener>>,
    datagrams: Vec<AsyncFd<Datagram>>,
    pause: Option<Pin<Box<Sleep>>>,
    is_exhausted: bool,
}

#[derive(Debug)]
struct Datagram {
    name: String,
    fd: OwnedFd,
}

impl Datagram {
    /// Reads and drops one datagram, if the kernel holds one.
    fn discard(&self) -> Option<Arrival> {
        // One byte is enough: the rest of a datagram goes with it (recv(2)).
        match rustix::net::recv(&self.fd, &mut [0u8; 1][..], RecvFlags::DONTWAIT) {
            Ok(_) => Some(Arrival::Datagram { socket: self.name.clone() }),
            Err(rustix::io::Errno::AGAIN) => None,
            Err(error) => {
                // A pending error of the socket (an ICMP answer, say) is read by this call, and gone with it.
                tracing::debug!(socket = %self.name, %error, "datagram socket");
                None
            }
        }
    }
}

impl activation::OwnsDescriptor for Datagram {}

impl AsRawFd for Datagram {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Doors {
    /// Registers all sockets with the runtime's poller.
    ///
    /// # Errors
    /// When the poller refuses one.
    pub fn open(sockets: Sockets) -> io::Result<Self> {
        let watch = |listener| activation::register(listener, Interest::READABLE);
        let listeners = sockets.listeners.into_iter().map(watch).collect::<io::Result<_>>()?;
        let watch = |Datagrams { name, fd }| activation::register(Datagram { name, fd }, Interest::READABLE);
        let datagrams = sockets.datagrams.into_iter().map(watch).collect::<io::Result<_>>()?;
        Ok(Self { listeners, datagrams, pause: None, is_exhausted: false })
    }

    /// The next arrival, once there is one.
    pub fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        match self.poll_each(cx) {
            Poll::Ready(Ok(arrival)) => {
                if std::mem::take(&mut self.is_exhausted) {
                    tracing::info!("accepting again");
                }
                Poll::Ready(arrival)
            }
            Poll::Ready(Err(error)) => self.rest(&error, cx),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_each(&self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        for door in &self.listeners {
            // The readiness is taken before the call that finds nothing: one that comes in between is kept.
            while let Poll::Ready(guard) = door.poll_read_ready(cx) {
                let mut guard = guard?;
                match door.get_ref().accept()? {
                    Some(accepted) => return Poll::Ready(Ok(Arrival::Connection(accepted))),
                    None => guard.clear_ready(),
                }
            }
        }
        for door in &self.datagrams {
            while let Poll::Ready(guard) = door.poll_read_ready(cx) {
                let mut guard = guard?;
                match door.get_ref().discard() {
                    Some(arrival) => return Poll::Ready(Ok(arrival)),
                    None => guard.clear_ready(),
                }
            }
        }
        Poll::Pending
    }

    /// One arrival by direct system calls, if the kernel holds one: never the poller's cached word, which says
    /// "nothing" while the kernel holds something.
    ///
    /// # Errors
    /// Exhaustion of descriptors or memory.
    pub fn sweep(&self) -> io::Result<Option<Arrival>> {
        for door in &self.listeners {
            if let Some(accepted) = door.get_ref().accept()? {
                return Ok(Some(Arrival::Connection(accepted)));
            }
        }
        Ok(self.datagrams.iter().find_map(|door| door.get_ref().discard()))
    }

    /// Closes listeners bound by hand: nobody would serve their queue after us. [`Doors::sweep`] them empty first.
    pub fn close_bound(&mut self) {
        self.listeners.retain(|door| door.get_ref().origin == Origin::Inherited);
    }

    /// Whether a listener was bound by hand, so that its queue dies with us.
    pub fn any_bound(&self) -> bool {
        self.listeners.iter().any(|door| door.get_ref().origin != Origin::Inherited)
    }

    fn rest(&mut self, error: &io::Error, cx: &mut Context<'_>) -> Poll<Arrival> {
        if !std::mem::replace(&mut self.is_exhausted, true) {
            tracing::error!(
                %error,
                "cannot accept; connections wait in the kernel meanwhile (LimitNOFILE= of the service sets the limit)"
            );
        }
        let mut pause = Box::pin(tokio::time::sleep(EXHAUSTED_PAUSE));
        let poll = pause.as_mut().poll(cx);
        debug_assert!(poll.is_pending());
        self.pause = Some(pause);
        Poll::Pending
    }
}

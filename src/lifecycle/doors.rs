//! Everything the keeper listens on: accepting, the last sweep, datagrams nobody handles.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;

use super::partners::Connections;
use super::shortage::{Shortage, Word};
use crate::activation::{self, Accepted, Datagrams, Listener, Origin, Sockets};

/// How long accepting pauses when places, descriptors or memory are exhausted and no connection ends meanwhile.
const REST: Duration = Duration::from_millis(100);

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
    /// Which is asked first, so that a flood at one starves no other.
    first: usize,
    rest: Option<Rest>,
    /// Of descriptors or memory.
    exhaustion: Shortage,
    /// Of places ([`Connections::has_room`]).
    fullness: Shortage,
}

/// Accepting pauses: the kernel keeps the queue meanwhile.
#[derive(Debug)]
struct Rest {
    until: Pin<Box<Sleep>>,
    /// Connections open when it began: with one less there is a descriptor again.
    open: usize,
}

/// What one look at the sockets finds.
#[derive(Debug)]
enum Found {
    Arrival(Arrival),
    /// Nothing. Only sometimes that is the kernel's word, and then there is no shortage.
    Nothing {
        is_sure: bool,
    },
    /// Somebody waits, and there is no place.
    Full,
    /// Somebody may wait, and there is no descriptor or no memory.
    Exhausted(io::Error),
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
        let (exhaustion, fullness) = (Shortage::default(), Shortage::default());
        Ok(Self { listeners, datagrams, first: 0, rest: None, exhaustion, fullness })
    }

    /// The next arrival, once there is one. When there is no place for it, those that can be spared are asked to leave,
    /// and it waits in the kernel.
    pub fn poll_arrival(&mut self, cx: &mut Context<'_>, connections: &impl Connections) -> Poll<Arrival> {
        if let Some(rest) = &mut self.rest {
            // The end of a connection is told to the keeper, which asks again.
            if connections.open() >= rest.open {
                ready!(rest.until.as_mut().poll(cx));
            }
            self.rest = None;
        }
        match self.look(cx, connections) {
            Found::Arrival(arrival) => {
                self.tell_over();
                Poll::Ready(arrival)
            }
            Found::Nothing { is_sure } => {
                if is_sure {
                    self.tell_over();
                }
                Poll::Pending
            }
            Found::Full => {
                if let Word::Begun(times) = self.fullness.is_met(Instant::now()) {
                    tell_full(connections.open(), times);
                }
                self.rest(cx, connections)
            }
            Found::Exhausted(error) => {
                if let Word::Begun(times) = self.exhaustion.is_met(Instant::now()) {
                    tell_exhausted(&error, times);
                }
                self.rest(cx, connections)
            }
        }
    }

    /// Asks each in turn, beginning after the one that had something last.
    fn look(&mut self, cx: &mut Context<'_>, connections: &impl Connections) -> Found {
        let count = self.listeners.len() + self.datagrams.len();
        let first = self.first.min(count);
        let mut is_sure = false;
        for index in (first..count).chain(0..first) {
            let found = match index.checked_sub(self.listeners.len()) {
                None => listen(&self.listeners[index], cx, connections),
                Some(index) => receive(&self.datagrams[index], cx),
            };
            match found.unwrap_or_else(Found::Exhausted) {
                Found::Nothing { is_sure: is_empty } => is_sure |= is_empty,
                found => {
                    self.first = index + 1;
                    return found;
                }
            }
        }
        Found::Nothing { is_sure }
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

    fn rest(&mut self, cx: &mut Context<'_>, connections: &impl Connections) -> Poll<Arrival> {
        connections.make_room();
        let mut until = Box::pin(tokio::time::sleep(REST));
        // Outside the task's budget (tokio::task::coop): a timer that was set but not polled would never ring.
        let poll = pin!(tokio::task::unconstrained(until.as_mut())).poll(cx);
        debug_assert!(poll.is_pending());
        self.rest = Some(Rest { until, open: connections.open() });
        Poll::Pending
    }

    fn tell_over(&mut self) {
        for shortage in [&mut self.exhaustion, &mut self.fullness] {
            if shortage.is_over() == Word::Over {
                tracing::info!("accepting again");
            }
        }
    }
}

/// The next connection of a listener.
fn listen(
    door: &AsyncFd<Listener>,
    cx: &mut Context<'_>,
    connections: &impl Connections,
) -> io::Result<Found> {
    let mut is_sure = false;
    // The readiness is taken before the call that finds nothing: one that comes in between is kept.
    while let Poll::Ready(guard) = door.poll_read_ready(cx) {
        let mut guard = guard?;
        let accepted = connections.has_room().then(|| door.get_ref().accept());
        let want = match accepted {
            Some(Ok(Some(accepted))) => return Ok(Found::Arrival(Arrival::Connection(accepted))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some(Found::Exhausted(error)),
            None => Some(Found::Full),
        };
        match want {
            // The kernel looks for a descriptor first, and only then for somebody to give it to.
            Some(want) if is_waited_at(door.get_ref()) => return Ok(want),
            Some(_) => {}
            None => is_sure = true,
        }
        guard.clear_ready();
    }
    Ok(Found::Nothing { is_sure })
}

/// The next datagram of a socket.
fn receive(door: &AsyncFd<Datagram>, cx: &mut Context<'_>) -> io::Result<Found> {
    while let Poll::Ready(guard) = door.poll_read_ready(cx) {
        let mut guard = guard?;
        match door.get_ref().discard() {
            Some(arrival) => return Ok(Found::Arrival(arrival)),
            None => guard.clear_ready(),
        }
    }
    Ok(Found::Nothing { is_sure: false })
}

/// Whether the kernel holds a connection, or an error, of this listener.
fn is_waited_at(listener: &Listener) -> bool {
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)) != Ok(0)
}

fn tell_full(open: usize, times: u64) {
    let times = often(times);
    tracing::warn!(
        open,
        "all {open} places for connections are taken{times}: the longest idle ones are closed for newcomers, which \
         wait in the kernel meanwhile ([limits] connections, or LimitNOFILE= of the service, sets how many there are)"
    );
}

fn tell_exhausted(error: &io::Error, times: u64) {
    let (times, remedy) = (often(times), remedy(error));
    tracing::error!(%error, "cannot accept{times}: {error}; connections wait in the kernel meanwhile ({remedy})");
}

fn often(times: u64) -> String {
    if times > 1 { format!(", {times} times since this was last said") } else { String::new() }
}

fn remedy(error: &io::Error) -> &'static str {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => "LimitNOFILE= of the service sets the limit",
        Some(Errno::NFILE) => "no process gets more: sysctl fs.file-max sets the limit",
        Some(Errno::NOMEM | Errno::NOBUFS) => "the machine, or MemoryMax= of the service, has no more memory",
        _ => "see accept(2)",
    }
}

#[cfg(test)]
mod tests;

//! The journal, through `tracing-journald`, which knows the wire format. Its socket blocks and its errors are silent,
//! so it is used by the writer thread only, beside a socket of our own that asks how the journal is.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::{Duration, Instant};

use rustix::ioctl;
use tracing::Subscriber;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Layered, SubscriberExt};

use super::record::Record;

const SOCKET: &str = "/run/systemd/journal/socket";

/// Between two looks at how far the journal has read; doubled up to the longest.
const FIRST_LOOK: Duration = Duration::from_micros(20);
const LONGEST_LOOK: Duration = Duration::from_millis(2);

/// A journal that was there when it was opened.
pub struct Journal {
    /// Never made a `tracing` dispatcher: that would enable every event of the program, down to trace.
    layer: Layered<tracing_journald::Layer, Registry>,
    probe: UnixDatagram,
}

impl Journal {
    /// Fails when nobody listens at the journal's socket.
    pub fn open(identifier: &str) -> io::Result<Self> {
        let priorities = PriorityMappings {
            info: Priority::Informational,
            debug: Priority::Debug,
            trace: Priority::Debug,
            ..PriorityMappings::new()
        };
        let layer = tracing_journald::layer()?
            .with_field_prefix(None)
            .with_syslog_identifier(identifier.to_owned())
            .with_priority_mappings(priorities);
        let probe = UnixDatagram::unbound()?;
        probe.set_nonblocking(true)?;
        probe.connect(SOCKET)?;
        Ok(Self { layer: tracing_subscriber::registry().with(layer), probe })
    }

    /// Whether somebody listens. A restart of journald does not show: systemd keeps its socket, and what waits there.
    pub fn is_there(&self) -> bool {
        self.probe.connect(SOCKET).is_ok()
    }

    /// Sends a record; waits while the journal's queue is full.
    pub fn write(&self, record: &Record) {
        record.replay(|event| self.layer.event(event));
    }

    /// Waits until the journal is done with all that was written, at most until `until`.
    ///
    /// It looks a sender up in /proc after it has read the message, to know its unit, so it is not enough that the
    /// message was read. But it reads one after the other: once it has read the next, an empty one that it ignores,
    /// it is done with those before.
    pub fn settle(&self, until: Instant) -> bool {
        let mut sent = false;
        let mut pause = FIRST_LOOK;
        loop {
            sent = sent || self.probe.send(&[]).is_ok();
            if sent && self.unread_bytes() == Some(0) {
                return true;
            }
            if Instant::now() + pause > until {
                return false;
            }
            thread::sleep(pause);
            pause = LONGEST_LOOK.min(pause * 2);
        }
    }

    /// What the probe has sent and the journal has not yet read, as the kernel accounts it.
    fn unread_bytes(&self) -> Option<i32> {
        // SIOCOUTQ, which the rest of the world calls TIOCOUTQ.
        type Unread = ioctl::Getter<{ libc::TIOCOUTQ as ioctl::Opcode }, i32>;
        // SAFETY: for a socket, SIOCOUTQ writes one int.
        #[allow(unsafe_code)]
        unsafe { ioctl::ioctl(&self.probe, Unread::new()) }.ok()
    }
}

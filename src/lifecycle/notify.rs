//! What systemd is told (sd_notify(3)). Without a service manager every call does nothing.
//!
//! A message that cannot be sent is logged at debug level and otherwise ignored: the daemon serves all the same.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use sd_notify::NotifyState;

/// `READY=1`, with the first status.
pub fn ready(text: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(&one_line(text))]);
}

/// `STATUS=`, the line of `systemctl status`; whether it was sent. A full queue is not waited for.
pub fn status(text: &str) -> bool {
    try_send(&NotifyState::Status(&one_line(text)))
}

/// `STOPPING=1`. systemd arms its stop timeout with it, so there is no way back.
pub fn stopping(text: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(&one_line(text))]);
}

/// `RELOADING=1` with the time, in one message; [`ready`] ends the reload.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "cannot read the monotonic clock"),
    }
}

/// `EXTEND_TIMEOUT_USEC=`: that much more from now on.
pub fn extend_timeout(by: Duration) {
    // sd-notify's own has room for 71 minutes.
    send(&[NotifyState::Custom(&format!("EXTEND_TIMEOUT_USEC={}", by.as_micros()))]);
}

/// `WATCHDOG=1`. A full queue is not waited for.
pub fn watchdog() {
    try_send(&NotifyState::Watchdog);
}

/// How often systemd wants [`watchdog`]: half of `WatchdogSec=`; `None` when it does not watch.
pub fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// Waits until systemd has read everything sent so far (`BARRIER=1`), at most `limit`: a message from a process that
/// is already gone is not attributed to its unit.
pub fn barrier(limit: Duration) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    if let Err(error) = try_barrier(limit) {
        tracing::debug!(%error, "systemd did not answer the barrier");
    }
}

fn try_barrier(limit: Duration) -> io::Result<()> {
    let (ours, theirs) = io::pipe()?;
    sd_notify::notify_with_fds(&[NotifyState::Custom("BARRIER=1")], &[theirs.as_fd()])?;
    drop(theirs);
    // systemd closes its end once it has come to this message: a hang-up here.
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    rustix::event::poll(&mut [PollFd::new(&ours, PollFlags::empty())], Some(&limit))?;
    Ok(())
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}

/// Sends what can be left out, unless a systemd that is busy (with daemon-reload, say) has a full queue: sd-notify would
/// wait for it, and with it every request. Whether it was sent.
fn try_send(state: &NotifyState<'_>) -> bool {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return true };
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(state.to_string().as_bytes(), path)
    });
    sent.inspect_err(|error| tracing::debug!(%error, "cannot notify systemd")).is_ok()
}

/// sd-notify escapes nothing: a line break would begin another assignment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_status_is_one_line() {
        assert_eq!(super::one_line("bad\nSTOPPING=1\r\0"), "bad STOPPING=1  ");
    }
}

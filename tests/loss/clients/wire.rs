//! One HTTP/1 connection as a careful client has it: it looks before it writes, and reads one answer at a time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;

use super::PATIENCE;
use crate::outcomes::Outcome;

/// A connection, and what is known of it.
pub struct Wire {
    stream: TcpStream,
    /// Bytes of the next answer, come already.
    ahead: Vec<u8>,
    idle_since: Instant,
    /// `Keep-Alive: timeout` of the last answer.
    hint: Option<Duration>,
    /// Whether the last answer leaves it open.
    stays: bool,
}

/// What of an answer matters here.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub location: String,
}

impl Wire {
    pub fn connect(address: SocketAddr) -> Result<Self, Outcome> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => Outcome::Refused,
            ErrorKind::TimedOut => Outcome::Silent,
            _ => Outcome::Reset,
        })?;
        let prepared = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
        prepared.and_then(|()| stream.set_write_timeout(Some(PATIENCE))).map_err(|_| Outcome::Reset)?;
        Ok(Self { stream, ahead: Vec::new(), idle_since: Instant::now(), hint: None, stays: true })
    }

    /// Whether another request may follow on it.
    pub fn stays(&self) -> bool {
        self.stays
    }

    /// Whether it has been idle for as long as the server promised to keep it.
    pub fn is_past_hint(&self) -> bool {
        self.hint.is_some_and(|hint| self.idle_since.elapsed() >= hint)
    }

    /// Whether the server has ended it, as far as the kernel knows by now.
    pub fn is_closed(&self) -> bool {
        let look = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match rustix::net::recv(&self.stream, &mut [0; 1][..], look) {
            Ok(_) => true, // its end, or words nobody asked for, after which it is of no use
            Err(error) => !matches!(error, rustix::io::Errno::AGAIN | rustix::io::Errno::INTR),
        }
    }

    /// Waits until the moment has come or the server ends it; whether it did.
    pub fn is_closed_before(&self, at: Instant) -> bool {
        loop {
            let left = at.saturating_duration_since(Instant::now());
            let limit = Timespec::try_from(left).expect("a pause is short");
            let mut watched = [PollFd::new(&self.stream, PollFlags::IN | PollFlags::RDHUP)];
            match rustix::event::poll(&mut watched, Some(&limit)) {
                Ok(0) => return false,
                Ok(_) => return true,
                Err(_) => {} // interrupted
            }
        }
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Outcome> {
        self.stream.write_all(bytes).map_err(|error| outcome_of(&error))
    }

    /// Reads one answer.
    pub fn answer(&mut self) -> Result<Answer, Outcome> {
        let mut answer = std::mem::take(&mut self.ahead);
        let head_len = loop {
            if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more(&mut answer)?;
        };
        let head = String::from_utf8_lossy(&answer[..head_len]).into_owned();
        let len = head_len
            + field(&head, "content-length").map_or(Ok(0), str::parse).map_err(|_| Outcome::Wrong)?;
        while answer.len() < len {
            self.read_more(&mut answer)?;
        }
        self.ahead = answer.split_off(len);
        self.idle_since = Instant::now();
        self.stays = field(&head, "connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
        self.hint = field(&head, "keep-alive")
            .and_then(|value| value.split("timeout=").nth(1)?.split(',').next()?.trim().parse().ok())
            .map(Duration::from_secs);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(Outcome::Wrong)?;
        Ok(Answer { status, location: field(&head, "location").unwrap_or_default().to_owned() })
    }

    fn read_more(&mut self, into: &mut Vec<u8>) -> Result<(), Outcome> {
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece) {
            Ok(0) => Err(Outcome::Closed),
            Ok(len) => {
                into.extend_from_slice(&piece[..len]);
                Ok(())
            }
            Err(error) => Err(outcome_of(&error)),
        }
    }
}

fn outcome_of(error: &io::Error) -> Outcome {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Outcome::Silent,
        _ => Outcome::Reset,
    }
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    fields.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

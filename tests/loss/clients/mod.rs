//! The kinds of clients, and what each of them asks.

pub mod http1;
pub mod http2;
pub mod wire;

use std::time::{Duration, Instant};

use crate::draw::Draw;
use crate::outcomes::Method;

/// As long as a client waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// What a client does with its connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Every request has its own.
    Never,
    /// Keeps one for itself.
    Own,
    /// Shares a few with the other clients of its service.
    Pool,
    /// HTTP/2: one for itself, with several streams at once.
    Streams,
}

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// In one piece.
    Whole,
    /// In a few, with pauses up to [`GAP`].
    Pieces,
    /// Three at once.
    Pipelined,
}

/// The longest pause between two pieces.
pub const GAP: Duration = Duration::from_millis(3);

/// A kind of client.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    pub reuse: Reuse,
    pub sending: Sending,
    /// Takes up no connection that has been idle for as long as `Keep-Alive: timeout` says.
    pub honours_hint: bool,
}

const fn kind(name: &'static str, reuse: Reuse, sending: Sending) -> Kind {
    Kind { name, reuse, sending, honours_hint: false }
}

const fn honouring(name: &'static str, reuse: Reuse) -> Kind {
    Kind { name, reuse, sending: Sending::Whole, honours_hint: true }
}

/// All kinds, in the order of the table.
pub const KINDS: [Kind; 9] = [
    kind("fresh", Reuse::Never, Sending::Whole),
    kind("pieces", Reuse::Never, Sending::Pieces),
    kind("pipelined", Reuse::Never, Sending::Pipelined),
    kind("h2", Reuse::Streams, Sending::Whole),
    kind("keep-alive", Reuse::Own, Sending::Whole),
    kind("keep-alive pieces", Reuse::Own, Sending::Pieces),
    kind("pool", Reuse::Pool, Sending::Whole),
    honouring("keep-alive honouring", Reuse::Own),
    honouring("pool honouring", Reuse::Pool),
];

impl Kind {
    /// Whether the protocol lets every request be answered: no request is written on a connection that the server may
    /// be closing, or one that was is told so.
    pub fn is_lossless(&self) -> bool {
        self.honours_hint || matches!(self.reuse, Reuse::Never | Reuse::Streams)
    }
}

/// One instant at the edge of sleep, for all clients of a service.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// When they ask, give or take what each draws.
    pub at: Instant,
    /// Whether they see the end of an idle connection while they wait, or only when they come to use it.
    pub watches: bool,
}

/// A question that has one right answer: the redirection to `/got/NUMBER`.
#[derive(Clone, Debug)]
pub struct Question {
    pub method: Method,
    number: u64,
    body: &'static str,
}

/// What a POST carries.
const BODY: &str = "one small form, sent with its head: name=dormouse&asleep=yes";

impl Question {
    pub fn draw(draw: &mut Draw) -> Self {
        let method = if draw.once_in(2) { Method::Post } else { Method::Get };
        let body = if method == Method::Post { BODY } else { "" };
        Self { method, number: draw.below(1_000_000_000), body }
    }

    pub fn target(&self) -> String {
        format!("/echo/{}", self.number)
    }

    pub fn body(&self) -> &'static str {
        self.body
    }

    /// Whether this is the answer to it, and not to another.
    pub fn is_answered_by(&self, status: u16, location: &str) -> bool {
        status == 308 && location.rsplit_once("/got/").is_some_and(|(_, got)| got == self.number.to_string())
    }

    /// As HTTP/1.1 has it.
    pub fn bytes(&self, is_last: bool) -> Vec<u8> {
        let connection = if is_last { "Connection: close\r\n" } else { "" };
        let target = self.target();
        let head = match self.method {
            Method::Get => format!("GET {target} HTTP/1.1\r\nHost: loss.test\r\n{connection}\r\n"),
            Method::Post => format!(
                "POST {target} HTTP/1.1\r\nHost: loss.test\r\n{connection}\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
                self.body.len()
            ),
        };
        [head.as_bytes(), self.body.as_bytes()].concat()
    }
}

/// Waits until the moment has come.
pub fn wait_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}

//! What became of the requests, counted.

use std::ops::AddAssign;
use std::time::Duration;

/// An answer that takes longer is late: the client has noticed that the server slept.
pub const LATE: Duration = Duration::from_secs(1);

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The right answer, in time.
    Answered,
    /// The right answer, but over [`LATE`].
    Late,
    /// Somebody else's answer, or none that can be understood.
    Wrong,
    /// The connection was refused.
    Refused,
    /// A reset came in the answer's place.
    Reset,
    /// The connection was closed in the answer's place.
    Closed,
    /// Nothing came for as long as a client waits.
    Silent,
}

impl Outcome {
    /// The right answer, after this long.
    pub fn answered(took: Duration) -> Self {
        if took > LATE { Self::Late } else { Self::Answered }
    }

    /// Whether the client has no answer it can use.
    pub fn is_lost(self) -> bool {
        !matches!(self, Self::Answered | Self::Late)
    }
}

/// GET or POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    /// With a body; a client may not repeat it by itself (RFC 9110 section 9.2.2).
    Post,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcomes {
    pub requests: u64,
    pub posts: u64,
    pub answered: u64,
    pub late: u64,
    pub wrong: u64,
    pub refused: u64,
    pub reset: u64,
    pub closed: u64,
    pub silent: u64,
    pub lost_posts: u64,
    /// Kept connections found closed before anything was written on them: no loss.
    pub reconnected: u64,
    /// HTTP/2 streams that a GOAWAY refused, and that were sent again (RFC 9113 section 6.8): no loss.
    pub retried: u64,
    /// Bytes of lost requests that were written on kept connections.
    pub lost_bytes: u64,
    /// Lost ones of these whose first bytes were with the server's kernel before its end was with the client's.
    pub lost_in_time: u64,
}

impl Outcomes {
    /// Counts one request.
    pub fn count(&mut self, method: Method, outcome: Outcome) {
        self.requests += 1;
        let counter = match outcome {
            Outcome::Answered => &mut self.answered,
            Outcome::Late => &mut self.late,
            Outcome::Wrong => &mut self.wrong,
            Outcome::Refused => &mut self.refused,
            Outcome::Reset => &mut self.reset,
            Outcome::Closed => &mut self.closed,
            Outcome::Silent => &mut self.silent,
        };
        *counter += 1;
        if method == Method::Post {
            self.posts += 1;
            self.lost_posts += u64::from(outcome.is_lost());
        }
    }

    /// Requests without an answer that can be used.
    pub fn lost(&self) -> u64 {
        self.requests - self.answered - self.late
    }
}

impl AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        let Self { requests, posts, answered, late, wrong, refused, reset, closed, silent, .. } = other;
        self.requests += requests;
        self.posts += posts;
        self.answered += answered;
        self.late += late;
        self.wrong += wrong;
        self.refused += refused;
        self.reset += reset;
        self.closed += closed;
        self.silent += silent;
        self.lost_posts += other.lost_posts;
        self.reconnected += other.reconnected;
        self.retried += other.retried;
        self.lost_bytes += other.lost_bytes;
        self.lost_in_time += other.lost_in_time;
    }
}

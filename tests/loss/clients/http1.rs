//! HTTP/1 clients: fresh connections, one of their own, or a pool's; whole, in pieces, pipelined.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::wire::Wire;
use super::{GAP, Kind, Question, Reuse, Round, Sending, wait_until};
use crate::draw::Draw;
use crate::outcomes::{Outcome, Outcomes};

/// How many requests a pipelining client sends at once.
const AT_ONCE: usize = 3;

/// Idle connections, the one used last on top.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Vec<Wire>>>);

impl Pool {
    fn take(&self) -> Option<Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, wire: Wire) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(wire);
    }
}

/// How a request on a kept connection was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missed {
    /// The server's end was on its way already: it could not know, nor could the client.
    Crossed,
    /// It was there first, and should have been answered.
    ThoughInTime,
}

/// One client.
pub struct Client {
    kind: Kind,
    address: SocketAddr,
    pool: Pool,
    draw: Draw,
    outcomes: Outcomes,
}

impl Client {
    /// A client whose kept connections are in `pool`.
    pub fn new(kind: Kind, address: SocketAddr, pool: Pool, draw: Draw) -> Self {
        Self { kind, address, pool, draw, outcomes: Outcomes::default() }
    }

    /// What became of all it asked.
    pub fn outcomes(&self) -> Outcomes {
        self.outcomes
    }

    /// Asks once; whether it found kept connections closed.
    pub fn ask(&mut self, round: Round) -> bool {
        let before = self.outcomes.reconnected;
        let at = round.at + self.draw.between(Duration::ZERO, Duration::from_millis(2));
        // In a pool some connections rest longer than others.
        let rests = self.kind.reuse == Reuse::Pool && self.draw.once_in(3);
        let watched = if round.watches { self.watch_until(at) } else { None };
        wait_until(at);
        if rests {
            watched.into_iter().for_each(|wire| self.pool.give_back(wire));
        } else {
            let kept = watched.or_else(|| self.pool.take());
            self.ask_on(kept);
        }
        self.outcomes.reconnected > before
    }

    /// Watches a kept connection; `None` if there is none, or it has ended.
    fn watch_until(&mut self, at: Instant) -> Option<Wire> {
        let wire = self.pool.take()?;
        if wire.is_closed_before(at) {
            self.outcomes.reconnected += 1;
            return None;
        }
        Some(wire)
    }

    /// Asks on this connection, or the pool's next, or a new one. Nothing is done between the look and the write.
    fn ask_on(&mut self, kept: Option<Wire>) {
        let questions: Vec<Question> = match self.kind.sending {
            Sending::Pipelined => (0..AT_ONCE).map(|_| Question::draw(&mut self.draw)).collect(),
            _ => vec![Question::draw(&mut self.draw)],
        };
        let says_close = self.kind.reuse == Reuse::Never && self.draw.once_in(2);
        let last = questions.len() - 1;
        let bytes: Vec<u8> = questions
            .iter()
            .enumerate()
            .flat_map(|(at, question)| question.bytes(says_close && at == last))
            .collect();
        let pieces = self.pieces(&bytes);
        let mut next = kept;
        while let Some(wire) = next {
            if self.kind.honours_hint && wire.is_past_hint() {
                // Idle for too long: not to be used.
            } else if wire.is_closed() {
                self.outcomes.reconnected += 1;
            } else {
                if let Some(missed) = self.exchange(wire, &questions, &pieces) {
                    self.outcomes.lost_bytes += bytes.len() as u64;
                    self.outcomes.lost_in_time += u64::from(missed == Missed::ThoughInTime);
                }
                return;
            }
            next = self.pool.take();
        }
        match Wire::connect(self.address) {
            Ok(wire) => {
                if self.kind.sending == Sending::Pieces {
                    // Accepted, perhaps, and nothing said yet.
                    std::thread::sleep(self.draw.between(Duration::ZERO, GAP));
                }
                self.exchange(wire, &questions, &pieces);
            }
            Err(outcome) => self.count(&questions, outcome),
        }
    }

    /// Sends and reads; says if an answer is missing.
    fn exchange(
        &mut self,
        mut wire: Wire,
        questions: &[Question],
        pieces: &[(Vec<u8>, Duration)],
    ) -> Option<Missed> {
        let began = Instant::now();
        let mut missed = None;
        for (piece, gap) in pieces {
            if wire.send(piece).is_err() {
                break; // reading tells why
            }
            // On loopback both ways are done when the call returns: what is not here now was sent after our bytes came.
            missed = missed
                .or_else(|| Some(if wire.is_closed() { Missed::Crossed } else { Missed::ThoughInTime }));
            if !gap.is_zero() {
                std::thread::sleep(*gap);
            }
        }
        for (at, question) in questions.iter().enumerate() {
            let outcome = match wire.answer() {
                Ok(answer) if question.is_answered_by(answer.status, &answer.location) => {
                    Outcome::answered(began.elapsed())
                }
                Ok(_) => Outcome::Wrong,
                Err(outcome) => {
                    self.count(&questions[at..], outcome);
                    return Some(missed.unwrap_or(Missed::Crossed));
                }
            };
            self.outcomes.count(question.method, outcome);
            if outcome.is_lost() {
                self.count(&questions[at + 1..], Outcome::Wrong);
                return Some(Missed::ThoughInTime);
            }
        }
        if self.kind.reuse != Reuse::Never && wire.stays() {
            self.pool.give_back(wire);
        }
        None
    }

    fn count(&mut self, questions: &[Question], outcome: Outcome) {
        questions.iter().for_each(|question| self.outcomes.count(question.method, outcome));
    }

    /// What is written at once, and the pause after it.
    fn pieces(&mut self, bytes: &[u8]) -> Vec<(Vec<u8>, Duration)> {
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while self.kind.sending == Sending::Pieces && pieces.len() < 4 && rest.len() > 1 {
            let (piece, after) = rest.split_at(1 + self.draw.below(rest.len() as u64 - 1) as usize);
            pieces.push((piece.to_vec(), self.draw.between(Duration::from_micros(50), GAP)));
            rest = after;
        }
        pieces.push((rest.to_vec(), Duration::ZERO));
        pieces
    }
}

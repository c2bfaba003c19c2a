//! Where the edge of sleep is, and when to ask: evenly around it, exactly on it, and where it was last seen.

use std::time::Duration;

use crate::draw::Draw;

/// How far around the edge pauses are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The quiet after which the server is to leave.
    pub after: Duration,
    pub before: Duration,
    pub behind: Duration,
    /// How long the server says that connections stay, where clients go by it.
    pub hint: Option<Duration>,
}

/// How much the place of the edge is corrected after each look.
const STEP: Duration = Duration::from_micros(100);

/// How far around that place pauses are drawn.
const NEAR: Duration = Duration::from_micros(400);

/// Then it certainly sleeps, also when clients that do not watch have kept their half of a connection open for the whole
/// of `sleep.grace`, 200 ms.
const WELL_BEHIND: (Duration, Duration) = (Duration::from_millis(230), Duration::from_millis(300));

/// How a pause is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// None: the first request wakes.
    Nothing,
    /// When it sleeps.
    Behind,
    /// Just before the hint is over; where there is none, evenly.
    Hint,
    /// Evenly around the edge.
    Even,
    /// Exactly what the config says.
    Exact,
    /// Where the edge was seen.
    Near,
}

/// The pauses of a service, again and again after the first.
const TURNS: [Pause; 10] = [
    Pause::Behind,
    Pause::Hint,
    Pause::Near,
    Pause::Even,
    Pause::Near,
    Pause::Exact,
    Pause::Near,
    Pause::Hint,
    Pause::Near,
    Pause::Even,
];

/// Follows the edge of one service.
#[derive(Debug)]
pub struct Edge {
    window: Window,
    /// Where half of the requests should come too late for the old process.
    place: Duration,
    last: Pause,
    turn: usize,
    draw: Draw,
}

impl Edge {
    pub fn new(window: Window, draw: Draw) -> Self {
        Self { window, place: window.after, last: Pause::Nothing, turn: 0, draw }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let Window { after, before, behind, hint } = self.window;
        self.last = self.turn.checked_sub(1).map_or(Pause::Nothing, |turn| TURNS[turn % TURNS.len()]);
        self.turn += 1;
        match (self.last, hint) {
            (Pause::Nothing, _) => Duration::ZERO,
            (Pause::Exact, _) => after,
            (Pause::Behind, _) => after + behind + self.draw.between(WELL_BEHIND.0, WELL_BEHIND.1),
            (Pause::Hint, Some(hint)) => self.draw.between(hint.saturating_sub(before), hint),
            (Pause::Hint, None) | (Pause::Even, _) => {
                self.draw.between(after.saturating_sub(before), after + behind)
            }
            (Pause::Near, _) => self.draw.between(self.place.saturating_sub(NEAR), self.place + NEAR),
        }
    }

    /// How the last pause went: whether the server had begun to leave.
    pub fn saw(&mut self, had_left: bool) {
        if self.last != Pause::Near {
            return;
        }
        let Window { after, before, behind, .. } = self.window;
        let moved = if had_left { self.place.saturating_sub(STEP) } else { self.place + STEP };
        self.place = moved.clamp(after.saturating_sub(before), after + behind);
    }
}

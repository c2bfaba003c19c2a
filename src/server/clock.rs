//! One timer a connection. Deadlines move with every request; the timer is only ever set anew when it must ring
//! earlier, or has rung.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::{self, Sleep};

use super::link::{Link, Overdue};
use super::transport::Transport;

/// Rings when a connection has run into a limit.
#[derive(Debug, Default)]
pub struct Clock {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    /// Resolves once the connection has run into one of its limits.
    pub fn poll_overdue<T: Transport>(&mut self, cx: &mut Context<'_>, link: &Link<T>) -> Poll<Overdue> {
        let Some((at, overdue)) = link.deadline() else { return Poll::Pending };
        ready!(self.poll_until(cx, at));
        Poll::Ready(overdue)
    }

    /// Resolves at `at`.
    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let at = time::Instant::from_std(at);
        let timer = match &mut self.timer {
            Some(timer) if timer.deadline() <= at && !timer.is_elapsed() => return Poll::Pending,
            Some(timer) => {
                timer.as_mut().reset(at);
                timer
            }
            none => none.insert(Box::pin(time::sleep_until(at))),
        };
        // Outside the task's budget (tokio::task::coop): a timer that was set but not polled would never ring.
        pin!(tokio::task::unconstrained(timer.as_mut())).poll(cx)
    }
}

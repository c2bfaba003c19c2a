//! A program that runs for a request, and the task that watches it.
//!
//! The task has the program; whoever makes the answer has a [`Running`]: its output, a way to stop it, and word of its
//! end. Dropped before that, it tells the task that its client has left.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::output;
use crate::guard::{BodyError, Place, RequestBody};
use crate::handler::call::Call;
use crate::lifecycle::Hold;
use crate::process::{Ended, Entry, Line, Owner, Started, WITHIN};
use crate::server::Exchange;

/// What a program reads.
pub(super) enum Input {
    /// Nothing.
    Empty,
    /// A body that was read before.
    Memory(Bytes),
    /// A body as it comes.
    Stream(RequestBody),
}

impl Input {
    /// How long it is, if that is known.
    pub fn length(&self, call: &Call) -> Option<u64> {
        match self {
            Self::Empty => None,
            Self::Memory(bytes) => Some(bytes.len() as u64),
            Self::Stream(_) => call.length(),
        }
    }
}

/// Whoever makes the answer says to the task that nobody wants it any more.
#[derive(Debug)]
struct Stop {
    why: Why,
    /// What it still prints, and nobody reads.
    stdout: Option<pipe::Receiver>,
}

/// Why a program is to end before it does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    #[error("its client has left")]
    Left,
    #[error("its client has left before its request was whole")]
    LeftEarly,
    #[error("its request is larger than limits.body")]
    TooLarge,
    #[error("its request does not go on (timeouts.body)")]
    Stalled,
    #[error("it takes longer than it may (timeouts)")]
    TimedOut,
    #[error("what it prints is no answer")]
    Wrong,
    #[error("dormouse leaves")]
    Leaving,
}

impl From<&BodyError> for Why {
    fn from(error: &BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::TooLarge,
            BodyError::TimedOut => Self::Stalled,
            BodyError::Broken(_) => Self::LeftEarly,
        }
    }
}

/// How a program has ended.
#[derive(Debug)]
pub(super) struct End {
    /// Its last words.
    pub ended: Ended,
    /// Why it had to.
    pub why: Option<Why>,
}

impl End {
    /// Whether it did what it was run for.
    pub fn is_success(&self) -> bool {
        self.why.is_none() && self.ended.is_success()
    }
}

/// A program that runs for a request.
pub(super) struct Running {
    /// What it prints; `None` once all of it has been read.
    pub stdout: Option<pipe::Receiver>,
    /// The same as lines, and its stderr, if that is wanted.
    pub lines: Option<mpsc::Receiver<Line>>,
    stop: Option<oneshot::Sender<Stop>>,
    end: oneshot::Receiver<End>,
    ended: Option<End>,
}

/// On what terms a program runs.
pub(super) struct Terms {
    /// Whose it is.
    pub owner: Owner,
    /// Whether it finishes without its client.
    pub finishes: bool,
    /// When its time is over.
    pub until: Option<Instant>,
    /// Its request.
    pub exchange: Exchange,
    /// What it keeps until it is gone.
    pub _keeps: (Hold, Entry, Place),
}

impl Running {
    /// Watches a program that has started.
    pub fn watch(started: Started, lines: Option<mpsc::Receiver<Line>>, input: Input, terms: Terms) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, end) = oneshot::channel();
        let Started { child, stdin, stdout } = started;
        tokio::spawn(async move {
            let (stopped, discarding) = (Some(stopped), JoinSet::new());
            let end = Watch { child, stdin, stopped, discarding, terms }.until_over(input).await;
            let _ = tell.send(end); // nobody may want to know
        });
        Self { stdout, lines, stop: Some(stop), end, ended: None }
    }

    /// Ends it, and reads it no more.
    pub fn stop(&mut self, why: Why) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(Stop { why, stdout: self.stdout.take() }); // it has ended by itself
        }
    }

    /// How it has ended.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<&End> {
        if self.ended.is_none() {
            let end = std::task::ready!(Pin::new(&mut self.end).poll(cx));
            // The task is gone only with the runtime, and everything with it.
            let Ok(end) = end else { return Poll::Pending };
            self.stop = None;
            self.ended = Some(end);
        }
        match &self.ended {
            Some(end) => Poll::Ready(end),
            None => Poll::Pending,
        }
    }

    /// The next of its lines; `None` when it has ended and all have been read.
    pub async fn line(&mut self) -> Option<Line> {
        let line = match &mut self.lines {
            Some(lines) => lines.recv().await,
            None => None,
        };
        if line.is_none() {
            self.end().await;
        }
        line
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> &End {
        std::future::poll_fn(|cx| self.poll_end(cx).map(|_| ())).await;
        self.ended.as_ref().expect("it was just there")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop(Why::Left);
    }
}

/// Gives a program its input, and closes its stdin at the end of that. What is wrong with the input is an error, not that
/// the program does not read it; then stdin stays open, or the program would take a part for the whole.
async fn feed(stdin: &mut Option<pipe::Sender>, input: Input) -> Result<(), BodyError> {
    if let Some(stdin) = stdin {
        match input {
            Input::Empty => {}
            Input::Memory(bytes) => {
                let _ = stdin.write_all(&bytes).await;
            }
            Input::Stream(mut body) => {
                while let Some(frame) = body.frame().await {
                    let Ok(data) = frame?.into_data() else { continue };
                    if stdin.write_all(&data).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
    *stdin = None;
    Ok(())
}

struct Watch {
    child: crate::process::Child,
    /// Closed only when all of its input has been read, or after it has ended.
    stdin: Option<pipe::Sender>,
    /// `None` once it has been heard.
    stopped: Option<oneshot::Receiver<Stop>>,
    /// Reads what nobody wants as long as it runs: it may have something to put in order, and say so.
    discarding: JoinSet<()>,
    terms: Terms,
}

impl Watch {
    /// Waits until the program is gone, by itself or because it had to.
    async fn until_over(mut self, input: Input) -> End {
        let why = match self.until_stopped(input).await {
            Ok(ended) => return End { ended, why: None },
            Err(why) => why,
        };
        let owner = &self.terms.owner;
        tracing::info!(route = owner.name(), "{owner}: is ended: {why}");
        let Self { child, stopped, discarding, .. } = &mut self;
        let mut stopping = pin!(child.stop_all(WITHIN));
        loop {
            tokio::select! {
                ended = &mut stopping => return End { ended, why: Some(why) },
                stop = heard(stopped) => discard(discarding, stop),
            }
        }
    }

    /// Its own end, or why it must end.
    async fn until_stopped(&mut self, input: Input) -> Result<Ended, Why> {
        let Self { child, stdin, stopped, discarding, terms } = self;
        let mut feeding = pin!(feed(stdin, input));
        let mut is_fed = false;
        let control = terms.exchange.control();
        let mut ended = pin!(child.exited());
        let mut over = pin!(async {
            match terms.until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        });
        loop {
            tokio::select! {
                biased;
                ended = &mut ended => return Ok(ended),
                () = control.cut() => return Err(Why::Leaving), // its client is cut off by it, too
                stop = heard(stopped) => {
                    let why = stop.why;
                    discard(discarding, stop);
                    if !(terms.finishes && why == Why::Left) {
                        return Err(why);
                    }
                }
                // One that reads nothing keeps whoever makes its answer from being asked.
                () = terms.exchange.gone(), if !terms.finishes => return Err(Why::Left),
                fed = &mut feeding, if !is_fed => match fed {
                    Ok(()) => is_fed = true,
                    Err(error) => return Err((&error).into()),
                },
                () = &mut over => return Err(Why::TimedOut),
            }
        }
    }
}

/// What whoever makes the answer says, once.
async fn heard(stopped: &mut Option<oneshot::Receiver<Stop>>) -> Stop {
    let Some(stop) = stopped else { return std::future::pending().await };
    let heard = stop.await;
    *stopped = None;
    heard.unwrap_or(Stop { why: Why::Left, stdout: None })
}

fn discard(discarding: &mut JoinSet<()>, stop: Stop) {
    if let Some(stdout) = stop.stdout {
        discarding.spawn(output::discard(stdout));
    }
}

/// A program's word is no answer.
pub(super) fn broken(end: &End) -> io::Error {
    io::Error::other(match end.why {
        Some(why) => format!("the program was ended: {why}"),
        None => format!("the program has failed: {}", end.ended),
    })
}

//! What a program prints, line by line as it comes: to the log or to whoever takes the lines. The last ones of stderr are
//! kept, to say why it ended.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinHandle};

use super::lines::Lines;
use super::owner::Owner;
use super::streams::{Line, Source, Way};

/// What is kept of stderr.
const KEPT_LINES: usize = 20;
const KEPT_BYTES: usize = 4096;
/// A longer line is cut, so that it is not the only one.
const KEPT_BYTES_OF_LINE: usize = KEPT_BYTES / 4;

/// After so many lines, others have their turn.
const LINES_A_TURN: usize = 64;

/// What a pipe can hold at most (pipe-max-size): more than that was not there when the program ended.
pub const LONGEST_REST: usize = 1024 * 1024;

/// Reads what one program prints, in a task of its own, until nobody can print any more or the program has ended.
pub struct Output {
    reading: JoinHandle<Tail>,
    /// While the program lives. What it has printed can be read at once when it ends; what others print, to whom it left
    /// its pipes, is not waited for.
    alive: Option<watch::Sender<()>>,
    last: Option<Vec<String>>,
}

impl Output {
    /// Takes the pipes of a program that was just started, those of which lines are read.
    pub fn follow(owner: &Owner, stdout: Option<(OwnedFd, Way)>, stderr: (OwnedFd, Way)) -> io::Result<Self> {
        let (alive, end) = watch::channel(());
        let stream = |source, (pipe, way): (OwnedFd, Way)| {
            let pipe = Some(Receiver::from_owned_fd(pipe)?);
            let (owner, end, (is_logged, taker)) = (owner.clone(), end.clone(), way.split());
            let (lines, tail) = (Lines::default(), Tail::default());
            io::Result::Ok(Stream { owner, source, pipe, lines, tail, is_logged, taker, end })
        };
        let stdout = stdout.map(|stdout| stream(Source::Stdout, stdout)).transpose()?;
        let stderr = stream(Source::Stderr, stderr)?;
        let reading = tokio::spawn(async {
            let stdout = async {
                if let Some(stdout) = stdout {
                    stdout.read().await;
                }
            };
            tokio::join!(stdout, stderr.read()).1
        });
        Ok(Self { reading, alive: Some(alive), last: None })
    }

    /// The program has ended: what it has printed is read to its end. Returns the last lines of stderr, the oldest first,
    /// each time it is asked. Nothing is lost if it is cancelled.
    pub async fn finish(&mut self) -> Vec<String> {
        self.alive = None;
        if self.last.is_none() {
            // It fails only when the runtime ends, and everything with it.
            let tail = (&mut self.reading).await.unwrap_or_default();
            self.last = Some(tail.lines.into());
        }
        self.last.clone().unwrap_or_default()
    }
}

/// One of the two.
struct Stream {
    owner: Owner,
    source: Source,
    pipe: Option<Receiver>,
    lines: Lines,
    tail: Tail,
    is_logged: bool,
    /// Who else takes the lines, as long as it does.
    taker: Option<mpsc::Sender<Line>>,
    /// Closed when the program has ended.
    end: watch::Receiver<()>,
}

impl Stream {
    async fn read(mut self) -> Tail {
        if let Some(pipe) = self.pipe.take() {
            // Nothing there, or an error, is the end, too: the program's own tells more.
            let _ = self.read_from(&pipe).await;
        }
        while let Some(line) = self.lines.take_rest().map(<[u8]>::to_vec) {
            self.hand_on(line).await;
        }
        self.tail
    }

    async fn read_from(&mut self, pipe: &Receiver) -> io::Result<()> {
        loop {
            tokio::select! {
                ready = pipe.readable() => ready?,
                _ = self.end.changed() => break,
            }
            match pipe.try_read(self.lines.space()) {
                Ok(0) => return Ok(()),
                Ok(count) => self.took(count).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        // What is there: tokio may not know of it yet, so the kernel is asked.
        let mut rest = LONGEST_REST;
        while rest > 0 {
            let count = rustix::io::read(pipe, self.lines.space())?;
            if count == 0 {
                break;
            }
            self.took(count).await;
            rest = rest.saturating_sub(count);
        }
        Ok(())
    }

    /// So many bytes came: hands on the lines that are whole. Others have their turn at least once.
    async fn took(&mut self, count: usize) {
        self.lines.filled(count);
        for number in 1.. {
            let Some(line) = self.lines.take().map(<[u8]>::to_vec) else { break };
            self.hand_on(line).await;
            if number % LINES_A_TURN == 0 {
                task::yield_now().await;
            }
        }
        task::yield_now().await;
    }

    /// A whole line, to wherever it goes.
    async fn hand_on(&mut self, line: Vec<u8>) {
        let text = String::from_utf8_lossy(&line);
        if self.is_logged {
            log(&self.owner, self.source.name(), &text);
        }
        if self.source == Source::Stderr {
            self.tail.push(&text);
        }
        if let Some(taker) = &self.taker
            && taker.send(Line { source: self.source, bytes: line }).await.is_err()
        {
            self.taker = None;
        }
    }
}

fn log(owner: &Owner, stream: &'static str, line: &str) {
    let name = owner.name();
    match owner {
        Owner::App(_) => tracing::info!(target: "dormouse::app", app = name, stream, "{name}: {line}"),
        Owner::Route(..) => {
            tracing::info!(target: "dormouse::command", route = name, stream, "{name}: {line}")
        }
    }
}

/// The last lines of a stream.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    /// Adds a line; what is no text is escaped, as in the log.
    fn push(&mut self, line: &str) {
        let mut kept = String::new();
        let mut characters = line.chars();
        while kept.len() < KEPT_BYTES_OF_LINE
            && let Some(c) = characters.next()
        {
            match c.is_control() {
                true => kept.extend(c.escape_default()),
                false => kept.push(c),
            }
        }
        self.bytes += kept.len();
        self.lines.push_back(kept);
        while self.lines.len() > KEPT_LINES || self.bytes > KEPT_BYTES {
            self.bytes -= self.lines.pop_front().map_or(self.bytes, |line| line.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let mut tail = Tail::default();
        (0..100).for_each(|number| tail.push(&number.to_string()));
        assert_eq!(tail.lines.len(), KEPT_LINES);
        assert_eq!(tail.lines.back().map(String::as_str), Some("99"));
        assert_eq!(tail.bytes, 2 * KEPT_LINES);
    }

    #[test]
    fn no_line_is_too_long_to_be_kept() {
        let mut tail = Tail::default();
        for long in ["\u{10ffff}", "x", "\x1b"] {
            tail.push(&long.repeat(10_000));
            let len = tail.lines.back().map(String::len).unwrap_or_default();
            assert!((KEPT_BYTES_OF_LINE..KEPT_BYTES_OF_LINE + 8).contains(&len), "{len}");
        }
        tail.push("\x1b[2J");
        assert_eq!(tail.lines.back().map(String::as_str), Some("\\u{1b}[2J"));
        assert!(tail.bytes <= KEPT_BYTES && tail.lines.len() == 4);
    }
}

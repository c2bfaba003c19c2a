//! What a program prints: each line goes to the log as it comes, and the last ones of stderr are kept, to say why it
//! ended.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::process;
use std::sync::Arc;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;
use tokio::task::{self, JoinHandle};

use super::lines::Lines;

/// What is kept of stderr.
const KEPT_LINES: usize = 20;
const KEPT_BYTES: usize = 4096;
/// A longer line is cut, so that it is not the only one.
const KEPT_BYTES_OF_LINE: usize = KEPT_BYTES / 4;

/// After so many lines, others have their turn.
const LINES_A_TURN: usize = 64;

/// What a pipe can hold at most (pipe-max-size): more than that was not there when the program ended.
const LONGEST_REST: usize = 1024 * 1024;

/// Reads what one program prints, in a task of its own, until nobody can print any more or the program has ended.
pub struct Output {
    reading: JoinHandle<Tail>,
    /// While the program lives. What it has printed can be read at once when it ends; what others print, to whom it left
    /// its pipes, is not waited for.
    alive: Option<watch::Sender<()>>,
    last: Option<Vec<String>>,
}

impl Output {
    /// Takes the pipes of a program that was just started.
    pub fn follow(app: &str, child: &mut process::Child) -> io::Result<Self> {
        let (alive, end) = watch::channel(());
        let app: Arc<str> = app.into();
        let stream = |name, pipe: Option<OwnedFd>| {
            let pipe = pipe.map(Receiver::from_owned_fd).transpose()?;
            let (app, end) = (Arc::clone(&app), end.clone());
            io::Result::Ok(Stream { app, name, pipe, lines: Lines::default(), tail: Tail::default(), end })
        };
        let stdout = stream("stdout", child.stdout.take().map(Into::into))?;
        let stderr = stream("stderr", child.stderr.take().map(Into::into))?;
        let reading = tokio::spawn(async { tokio::join!(stdout.read(), stderr.read()).1 });
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
    app: Arc<str>,
    name: &'static str,
    pipe: Option<Receiver>,
    lines: Lines,
    tail: Tail,
    /// Closed when the program has ended.
    end: watch::Receiver<()>,
}

impl Stream {
    async fn read(mut self) -> Tail {
        if let Some(pipe) = self.pipe.take() {
            // Nothing there, or an error, is the end, too: the program's own tells more.
            let _ = self.read_from(&pipe).await;
        }
        while let Some(line) = self.lines.take_rest() {
            log(&self.app, self.name, line, &mut self.tail);
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
                Ok(count) => self.log(count).await,
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
            self.log(count).await;
            rest = rest.saturating_sub(count);
        }
        Ok(())
    }

    /// So many bytes came: logs the lines that are whole. Others have their turn at least once.
    async fn log(&mut self, count: usize) {
        self.lines.filled(count);
        for number in 1.. {
            let Some(line) = self.lines.take() else { break };
            log(&self.app, self.name, line, &mut self.tail);
            if number % LINES_A_TURN == 0 {
                task::yield_now().await;
            }
        }
        task::yield_now().await;
    }
}

fn log(app: &str, stream: &'static str, line: &[u8], tail: &mut Tail) {
    let line = String::from_utf8_lossy(line);
    tracing::info!(target: "dormouse::app", app, stream, "{app}: {line}");
    if stream == "stderr" {
        tail.push(&line);
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

//! The asking end. It connects to nothing but the control socket, so it wakes nobody.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{SOCKET, VERSION, WHY};

/// How long an answer may take: more than a daemon gives one, so that a full house is no silence.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than any answer has.
const LARGEST: usize = 4 * 1024 * 1024;

/// What came of a question.
#[derive(Debug)]
pub enum Asked {
    /// The document.
    Answered(Value),
    /// Nobody listens there: nothing runs, or it has no control socket.
    Nobody,
    /// This user may not ask.
    Forbidden,
    /// Something listens, and gives no answer that can be understood.
    Silent(String),
}

/// Asks the daemon whose runtime directory this is.
pub fn ask(directory: &Path) -> Asked {
    let stream = match UnixStream::connect(directory.join(SOCKET)) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::PermissionDenied => Asked::Forbidden,
                // Not there; nobody behind it; or a path so long that no daemon can have bound it.
                io::ErrorKind::NotFound
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::NotADirectory => Asked::Nobody,
                _ => Asked::Silent(error.to_string()),
            };
        }
    };
    match exchange(stream) {
        // It left before it came to us.
        Ok(bytes) if bytes.is_empty() => Asked::Nobody,
        Ok(bytes) => understand(&bytes),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Asked::Nobody,
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Asked::Silent(format!("no answer within {} s", PATIENCE.as_secs()))
            }
            _ => Asked::Silent(error.to_string()),
        },
    }
}

fn exchange(mut stream: UnixStream) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{WHY}\n").as_bytes())?;
    let mut bytes = Vec::new();
    let mut some = [0; 16 * 1024];
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(rest.max(Duration::from_millis(1))))?;
        match stream.read(&mut some)? {
            0 => return Ok(bytes),
            _ if bytes.len() > LARGEST => return Err(io::Error::other("the answer has no end")),
            came => bytes.extend_from_slice(&some[..came]),
        }
        if rest.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

fn understand(bytes: &[u8]) -> Asked {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(document) if document["version"] == VERSION && document["error"].is_null() => {
            Asked::Answered(document)
        }
        Ok(document) => Asked::Silent(match document["error"].as_str() {
            Some(error) => format!("it says: {error}"),
            None => format!("its answer is of version {}, not {VERSION}", document["version"]),
        }),
        Err(error) => Asked::Silent(format!("its answer cannot be read: {error}")),
    }
}

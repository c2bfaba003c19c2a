//! The daemon's end.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time;

use super::{LIMIT, LONGEST_LINE, MOST_AT_ONCE, VERSION, WHY};
use crate::lifecycle::Hold;

/// How long accepting rests when it fails, which is for want of descriptors.
const PAUSE: Duration = Duration::from_secs(1);

/// Whoever knows the answers.
pub trait Desk: Send + Sync + 'static {
    /// Keeps the process awake while a question is answered; `None` when it has decided to leave.
    fn hold(&self) -> Option<Hold>;
    /// The document that answers `why`, on one line.
    fn why(&self) -> String;
}

/// Listens at `path`, for this user and the group. What is there is left over from a process that was killed: the caller
/// owns the directory. Needs a runtime.
///
/// # Errors
/// When the path is too long for a socket (107 bytes), or the directory does not let us.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Answers until the runtime ends.
pub async fn serve(listener: UnixListener, desk: Arc<dyn Desk>) {
    let places = Arc::new(Semaphore::new(MOST_AT_ONCE));
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(hold) = desk.hold() else { return };
                let desk = desk.clone();
                tokio::spawn(async move {
                    if let Ok(Err(error)) = time::timeout(LIMIT, answer(&stream, &*desk)).await {
                        tracing::debug!(%error, "control socket");
                    }
                    drop(stream);
                    drop((hold, place));
                });
            }
            Err(error) => {
                tracing::debug!(%error, "control socket");
                time::sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(stream: &UnixStream, desk: &dyn Desk) -> io::Result<()> {
    let line = read_line(stream).await?;
    let document = match line.as_slice() {
        line if line == WHY.as_bytes() => desk.why(),
        _ => json!({ "version": VERSION, "error": format!("the only question is {WHY:?}") }).to_string(),
    };
    write(stream, format!("{document}\n").as_bytes()).await
}

/// What comes before the end of the line, or of the bytes, or of our patience.
async fn read_line(stream: &UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let mut bytes = [0; LONGEST_LINE];
        stream.readable().await?;
        let came = match stream.try_read(&mut bytes) {
            Ok(came) => came,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        line.extend_from_slice(&bytes[..came]);
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Ok(line);
        }
        if came == 0 || line.len() > LONGEST_LINE {
            return Ok(line);
        }
    }
}

async fn write(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(gone) => bytes = &bytes[gone..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

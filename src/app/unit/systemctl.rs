//! One call of `systemctl`.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// More than it ever says to us, in bytes.
const MOST: u64 = 16 * 1024;

/// The program, and what stands before our arguments.
#[derive(Clone, Debug)]
pub struct Systemctl(Vec<OsString>);

/// How a call ended.
#[derive(Debug)]
pub struct Said {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn is_success(&self) -> bool {
        self.status.success()
    }

    /// The reason, in one line; what follows tells people where to look.
    pub fn why(&self) -> String {
        match self.err.lines().map(str::trim).find(|line| !line.is_empty()) {
            Some(line) => line.trim_end_matches('.').to_owned(),
            None => format!("systemctl ended with {}", self.status),
        }
    }
}

impl Default for Systemctl {
    fn default() -> Self {
        Self(vec!["systemctl".into()])
    }
}

impl Systemctl {
    /// A shell script in its place.
    #[cfg(test)]
    pub fn script(script: impl Into<OsString>) -> Self {
        Self(vec!["/bin/sh".into(), "-eu".into(), "-c".into(), script.into(), "systemctl".into()])
    }

    /// Another program in its place.
    #[cfg(test)]
    pub fn named(program: &str) -> Self {
        Self(vec![program.into()])
    }

    /// Runs it on a unit; over `limit` it is killed and the error is `TimedOut`, as it is killed when this is dropped.
    pub async fn run(&self, arguments: &[&str], unit: &str, limit: Duration) -> io::Result<Said> {
        let command = self.command(arguments, unit);
        timeout(limit, finish(command)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// In an environment of its own: its messages are read, and no secret of ours is its business.
    fn command(&self, arguments: &[&str], unit: &str) -> Command {
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]).args(["--no-ask-password", "--no-pager"]).args(arguments);
        command.args(["--", unit]);
        command.env_clear().env("LC_ALL", "C");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

async fn finish(mut command: Command) -> io::Result<Said> {
    // Off the serving thread: it waits until the program has been found and opened on the disk.
    let mut child: Child = spawn_blocking(move || command.spawn()).await??;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (status, out, err) = tokio::join!(child.wait(), read(out), read(err));
    Ok(Said { status: status?, out: out?, err: err? })
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MOST).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

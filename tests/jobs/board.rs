//! A dormouse with routes of jobs, its clients, and programs that wait for the test.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::Value;

use crate::harness::{Answer, Daemon, PATIENCE};
use crate::site::Site;

/// Quick to sleep, but not before the first request.
pub const QUICK: &str = "[sleep]\nafter = \"20ms\"\nmin_awake = \"1500ms\"\ngrace = \"10ms\"\n";

/// Stays as long as a test needs it.
pub const STAYS: &str = "[sleep]\nafter = \"1h\"\nmin_awake = \"1h\"\n";

pub struct Board {
    pub site: Site,
}

impl Board {
    /// With these programs (name and shell script) and this config; `FOLDER` in both is a folder of the test's own.
    pub fn new(programs: &[(&str, &str)], config: &str) -> Self {
        let board = Self { site: Site::new("") };
        for (name, script) in programs {
            board.program(name, script);
        }
        board.configure(config);
        board
    }

    pub fn program(&self, name: &str, script: &str) {
        let (path, script) = (self.path(name), self.fill(script));
        // Under another name first: a file that somebody has open for writing cannot be run.
        let draft = self.path(&format!("{name}.draft"));
        std::fs::write(&draft, format!("#!/bin/sh\n{script}\n")).expect("a file");
        std::fs::set_permissions(&draft, PermissionsExt::from_mode(0o755)).expect("it is ours");
        std::fs::rename(draft, path).expect("a file");
    }

    pub fn configure(&self, config: &str) {
        self.site.configure(&self.fill(config));
    }

    fn fill(&self, text: &str) -> String {
        text.replace("FOLDER", self.path("").to_str().expect("text").trim_end_matches('/'))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.site.unit.folder.join(name)
    }

    pub fn wake(&self) -> Daemon {
        self.site.wake()
    }

    /// What a program has written; nothing if it has not.
    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The marker for systemd.
    pub fn due(&self) -> PathBuf {
        self.path("jobs/due")
    }

    /// The files in the spool, by name.
    pub fn spool(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("jobs/spool")).into_iter().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("read").file_name().into_string().expect("text")).collect();
        names.sort_unstable();
        names
    }

    pub fn ask(&self, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
        ask(self.site.web, method, target, headers, body).expect("an answer")
    }

    pub fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "", b"")
    }

    pub fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask("POST", target, "", body.as_ref())
    }

    /// Where the job is that came of this.
    #[track_caller]
    pub fn submit(&self, target: &str, body: impl AsRef<[u8]>) -> String {
        accepted(&self.post(target, body))
    }

    /// How a job stands.
    #[track_caller]
    pub fn job(&self, at: &str) -> Value {
        let answer = self.get(at);
        assert_eq!(answer.status(), 200, "{at}: {}", answer.text());
        json(&answer)
    }

    /// Waits until it is in this state, and nothing else for good.
    #[track_caller]
    pub fn until(&self, at: &str, state: &str) -> Value {
        let mut job = Value::Null;
        let is_so = wait(|| {
            job = self.job(at);
            job["state"] == state || ["done", "failed", "cancelled"].iter().any(|over| job["state"] == *over)
        });
        assert!(is_so && job["state"] == state, "it is not {state}: {job}");
        job
    }

    /// All jobs of a route, the newest first, by ids.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let (mut next, mut jobs) = (Some(format!("{path}?limit=1000")), Vec::new());
        while let Some(page) = next {
            let page = json(&self.get(&page));
            jobs.extend(page["jobs"].as_array().expect("a list").clone());
            next = page["next"].as_str().map(str::to_owned);
        }
        jobs
    }
}

/// Where the job is that this answer accepts.
#[track_caller]
pub fn accepted(answer: &Answer) -> String {
    assert_eq!(answer.status(), 202, "{}", answer.text());
    answer.header("location").expect("a place").to_owned()
}

#[track_caller]
pub fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// Waits until something is so; false if it does not become so for long.
pub fn wait(mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5)); // a poll with a deadline
    }
    true
}

/// The head of a request whose body has this length.
pub fn head(method: &str, target: &str, headers: &str, length: usize) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
}

/// One request on a connection of its own. An error: what became of it is not known.
pub fn ask(web: SocketAddr, method: &str, target: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(web)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(head(method, target, headers, body.len()).as_bytes())?;
    stream.write_all(body)?;
    if method == "HEAD" {
        let mut head = String::new();
        stream.read_to_string(&mut head)?;
        return Ok(Answer { head, body: Vec::new() });
    }
    whole(&mut stream)
}

/// The whole answer on a connection that ends with it.
pub fn whole(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(cut)?;
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).map_err(io::Error::other)?;
    let mut answer = Answer { head, body };
    if answer.header("transfer-encoding").is_some() {
        answer.body = chunks(&answer.body).ok_or_else(cut)?;
    } else if let Some(length) = answer.header("content-length")
        && length.parse() != Ok(answer.body.len())
    {
        return Err(cut());
    }
    Ok(answer)
}

/// What these chunks are of; `None` without the last.
fn chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        all.extend_from_slice(bytes.get(end + 2..end + 2 + size)?);
        bytes = bytes.get(end + 2 + size + 2..)?;
        if size == 0 {
            return Some(all);
        }
    }
}

/// A named pipe between programs and the test. Held open by the test for both, so that nobody waits for the other side to
/// open it: `echo word > FOLDER/NAME` and `read word < FOLDER/NAME`.
pub struct Pipe(File, Vec<u8>);

impl Pipe {
    pub fn new(board: &Board, name: &str) -> Self {
        let path = board.path(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("it can be run");
        assert!(made.success());
        Self(File::options().read(true).write(true).open(path).expect("a pipe"), Vec::new())
    }

    /// The next line that somebody writes.
    #[track_caller]
    pub fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.1.iter().position(|byte| *byte == b'\n') {
                let line = self.1.drain(..=end).collect();
                return String::from_utf8(line).expect("text").trim_end().to_owned();
            }
            assert!(self.is_readable(PATIENCE), "nobody writes anything");
            let mut bytes = [0; 4096];
            let count = self.0.read(&mut bytes).expect("a pipe");
            self.1.extend_from_slice(&bytes[..count]);
        }
    }

    /// Whether somebody has written something that was not read.
    pub fn has_more(&self) -> bool {
        !self.1.is_empty() || self.is_readable(Duration::ZERO)
    }

    fn is_readable(&self, within: Duration) -> bool {
        let within = Timespec::try_from(within).expect("in range");
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&within))).expect("a pipe") == 1
    }

    /// Lets so many go on who read a line.
    pub fn open(&mut self, times: usize) {
        self.0.write_all("go\n".repeat(times).as_bytes()).expect("a pipe");
    }
}

/// A program that says that it has begun (`begun`), and goes on when it is told (`go`).
pub const WAITS: &str = "echo $JOB_ID > FOLDER/begun; read go < FOLDER/go";

/// Both pipes of [`WAITS`].
pub fn pipes(board: &Board) -> (Pipe, Pipe) {
    (Pipe::new(board, "begun"), Pipe::new(board, "go"))
}

/// The id in a job's place.
pub fn id(at: &str) -> &str {
    at.rsplit('/').next().expect("one at least")
}

/// Whether a process is there, and no corpse.
pub fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// The most memory it has used, in KiB.
pub fn most_memory(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux says so");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Told to leave, and left in order.
#[track_caller]
pub fn stop(daemon: Daemon) -> String {
    daemon.signal(libc::SIGTERM);
    daemon.asleep()
}

/// Killed at once.
pub fn kill(daemon: Daemon) {
    daemon.signal(libc::SIGKILL);
    daemon.left();
}

/// Whether a file is there.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

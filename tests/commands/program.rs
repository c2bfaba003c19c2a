//! Programs that the tests run, and how they and a test wait for each other: fifos in the test's folder.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::harness::{Answer, Client, Daemon, PATIENCE, connect};
use crate::site::{SLOW, Site};

/// A dormouse whose route `/` runs something, and the fifos of a test.
pub struct Stage {
    pub site: Site,
}

impl Stage {
    /// `/` runs this script of `sh` with these keys; see [`Self::new`].
    pub fn sh(keys: &str, script: &str) -> Self {
        Self::new(SLOW, &sh("/", keys, script))
    }

    /// A config of this beginning and these routes. `FOLDER` in both is a folder of the test's own, where commands run.
    pub fn new(beginning: &str, routes: &str) -> Self {
        let stage = Self { site: Site::new("") };
        let folder = stage.folder("");
        stage.site.configure(&format!("{beginning}{routes}").replace("FOLDER", folder.trim_end_matches('/')));
        stage
    }

    /// A file in the folder of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.site.unit.folder.join(name)
    }

    fn folder(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn fifo(&self, name: &str) -> Fifo {
        Fifo::new(self.path(name))
    }

    /// Started, and ready to be asked `why`.
    pub fn wake(&self) -> Daemon {
        self.site.wake_and_wait()
    }

    pub fn client(&self) -> Client<TcpStream> {
        connect(self.site.web)
    }

    /// One answer, on a connection of its own.
    pub fn get(&self, target: &str) -> Answer {
        self.client().get(target)
    }

    /// One answer to a body.
    pub fn post(&self, target: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        let mut client = self.client();
        client.post(target, headers, body);
        client.answer()
    }

    /// Whether nobody is connected who wants something, and nothing runs.
    pub fn is_quiet(&self) -> bool {
        self.site.json()["held_by"].as_array().is_some_and(Vec::is_empty)
    }

    /// The commands that `why` tells of.
    pub fn commands(&self) -> Vec<String> {
        let look = self.site.json();
        let held_by = look["held_by"].as_array().cloned().unwrap_or_default();
        let commands = held_by.iter().filter(|holder| holder["what"] == "command");
        commands.map(|holder| holder["route"].as_str().expect("text").to_owned()).collect()
    }
}

impl Client<TcpStream> {
    /// Sends a request with a body; `headers` end with CRLF each.
    pub fn post(&mut self, target: &str, headers: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let length = body.len();
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n{headers}\r\n");
        self.send([head.as_bytes(), body].concat());
    }

    /// Reads until the connection ends, in whatever way; all that came.
    pub fn end(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match std::io::Read::read_to_end(&mut self.0, &mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it goes on"),
        }
        rest
    }
}

/// A route that runs this script of `sh`, which has no single quotes.
pub fn sh(path: &str, keys: &str, script: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\nrun = [\"/bin/sh\", \"-c\", '''{script}''']\n{keys}\n")
}

/// A pipe with a name, held open at both ends.
pub struct Fifo(File);

impl Fifo {
    pub fn new(path: PathBuf) -> Self {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a fresh path");
        let mut options = File::options();
        let file = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path);
        Self(file.expect("it was just made"))
    }

    /// Whether something comes within this time.
    fn is_written(&self, within: Duration) -> bool {
        let within = Timespec::try_from(within).expect("in range");
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&within)) == Ok(1)
    }

    /// The next line that a program writes.
    #[track_caller]
    pub fn line(&self) -> String {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            assert!(self.is_written(PATIENCE), "nothing more after {:?}", String::from_utf8_lossy(&line));
            let mut byte = [0];
            std::io::Read::read_exact(&mut &self.0, &mut byte).expect("it was just there");
            line.push(byte[0]);
        }
        line.pop();
        String::from_utf8(line).expect("text")
    }

    /// The next line, which is a process id.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        let line = self.line();
        line.trim().parse().unwrap_or_else(|_| panic!("{line:?} is no pid"))
    }

    /// The next line, a process id, if there is one already.
    pub fn waiting(&self) -> Option<i32> {
        self.is_written(Duration::ZERO).then(|| self.pid())
    }

    /// Nothing has been written that was not read.
    #[track_caller]
    pub fn is_silent(&self) {
        assert!(!self.is_written(Duration::ZERO), "somebody has written: {:?}", self.line());
    }

    /// Lets a program go on that reads a line.
    pub fn say(&self, line: &str) {
        (&self.0).write_all(format!("{line}\n").as_bytes()).expect("room");
    }
}

/// Whether a process is there, and no corpse.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// Ends a process that the daemon has nothing to do with any more.
pub fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
}

/// Waits until a process is gone.
#[track_caller]
pub fn gone(pid: i32) {
    until(|| !is_alive(pid), || format!("{pid} is still there"));
}

/// Waits until something is so.
#[track_caller]
pub fn until(mut is_so: impl FnMut() -> bool, otherwise: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{}", otherwise());
        std::thread::sleep(Duration::from_millis(5)); // a poll with a deadline
    }
}

/// The children of a process, corpses included.
pub fn children(pid: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let read = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).ok();
    let children = tasks.flatten().filter_map(read).collect::<String>();
    children.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect()
}

/// How many descriptors a process has open.
pub fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
}

/// A figure of `/proc/PID/status`, in KiB.
pub fn memory(daemon: &Daemon, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(name)).expect("the kernel says it");
    line.split_whitespace().nth(1).and_then(|figure| figure.parse().ok()).expect("a number")
}

/// What a daemon has logged, once it was told to leave and has left.
pub fn log(daemon: Daemon) -> String {
    daemon.signal(libc::SIGTERM);
    daemon.left().1
}

/// The line of the log with the id that is on a page.
#[track_caller]
pub fn line_of(page: &Answer, log: &str) -> String {
    let text = page.text();
    let id = text.split_once("(id ").and_then(|(_, rest)| rest.split_once(')'));
    let id = id.unwrap_or_else(|| panic!("no id on {text:?}")).0;
    let line = log.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("no {id} in:\n{log}"));
    line.to_owned()
}

/// Runs a tool of the test's own to its end, and returns what it has printed.
#[track_caller]
pub fn tool(command: &mut Command) -> String {
    let output = command.output().expect("it can be run");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

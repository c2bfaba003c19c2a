//! `dormouse try` as a person uses it: the built binary, real connections, real signals.
#![cfg(feature = "daemon")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal};

const DORMOUSE: &str = env!("CARGO_BIN_EXE_dormouse");

/// A running `dormouse try`, on a port that was free.
struct Try {
    process: Child,
    story: BufReader<ChildStdout>,
    address: String,
    /// Its TMPDIR, and what the tests need.
    folder: PathBuf,
}

impl Try {
    /// Starts it, with a site that falls asleep at once.
    fn start(test: &str) -> Self {
        Self::start_at(test, "127.0.0.1:0")
    }

    fn start_at(test: &str, listen: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dormouse-test-try-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let config = folder.join("site.toml");
        std::fs::write(
            &config,
            "[sleep]\nafter = \"100ms\"\nmin_awake = \"0s\"\n\n[[route]]\npath = \"/\"\ntext = \"hello\"\n",
        )
        .expect("a file can be written");
        let listen = listen.replace("FOLDER", &folder.display().to_string());
        let mut command = Command::new(DORMOUSE);
        command.args(["try", "--listen", &listen, "--config"]).arg(&config).env("TMPDIR", &folder);
        command.stdout(Stdio::piped()).process_group(0);
        let mut process = command.spawn().expect("it can be started");
        let story = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut this = Self { process, story, address: String::new(), folder };
        let opening = this.line_with("Holding ");
        let address = opening.split_whitespace().nth(1).expect("an address");
        this.address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        this
    }

    /// Reads the story up to a line that contains `text`.
    fn line_with(&mut self, text: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.story.read_line(&mut line).expect("lines"),
                0,
                "no {text:?} in the story:\n{seen}"
            );
            if line.contains(text) {
                return line.trim_end().to_owned();
            }
            seen.push_str(&line);
        }
    }

    /// The process id of the child, from the line that tells of its wake.
    fn woken(&mut self, number: u32) -> Pid {
        let line = self.line_with(&format!("woke    #{number} "));
        let pid =
            line.split_once("pid ").and_then(|(_, rest)| rest.split_once(',')).map(|(pid, _)| pid.parse());
        Pid::from_raw(pid.expect("a process id").expect("a number")).expect("not zero")
    }

    fn get(&self) -> String {
        let mut connection = TcpStream::connect(&self.address).expect("the port is held");
        connection
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("it can be written to");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.process), signal).expect("it is there");
    }

    /// Its exit code, once it ends.
    fn code(&mut self) -> Option<i32> {
        self.process.wait().expect("it can be waited for").code()
    }

    fn temporary_folders(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).expect("it is there");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        paths.filter(|path| path.is_dir()).collect()
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn it_wakes_sleeps_and_wakes_again() {
    let mut held = Try::start("wakes");
    let mut last = None;
    for number in 1..=3 {
        assert!(held.get().ends_with("hello"));
        let pid = held.woken(number);
        assert_ne!(last.replace(pid), Some(pid));
        let line = held.line_with("asleep");
        assert!(line.contains(&format!("asleep  #{number} ")) && line.ends_with(", exit 0"), "{line}");
    }
}

#[test]
fn ctrl_c_ends_both_and_leaves_nothing() {
    let mut held = Try::start("ctrl-c");
    held.get();
    held.woken(1);
    assert_eq!(held.temporary_folders().len(), 1);
    // In a terminal it would reach the whole group; the child is in one of its own.
    held.signal(Signal::INT);
    assert_eq!(held.code(), Some(0));
    assert!(held.temporary_folders().is_empty());
    TcpStream::connect(&held.address).expect_err("the port is free again");
}

#[test]
fn while_it_sleeps_ctrl_c_ends_it_too() {
    let mut held = Try::start("idle");
    held.signal(Signal::TERM);
    assert_eq!(held.code(), Some(0));
}

#[test]
fn a_second_ctrl_c_cuts() {
    let mut held = Try::start("cut");
    // A request that never ends, and after it, so that both are accepted, an answer on a connection that stays open.
    let mut unfinished = TcpStream::connect(&held.address).expect("the port is held");
    unfinished.write_all(b"GET / HTTP/1.1\r\nHost:").expect("it can be written to");
    let mut idle = TcpStream::connect(&held.address).expect("the port is held");
    idle.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it can be written to");
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let mut bytes = [0; 1024];
        let length = idle.read(&mut bytes).expect("an answer");
        assert_ne!(length, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&bytes[..length]);
    }
    held.signal(Signal::INT);
    // It drains: the idle connection is closed, the unfinished request waited for.
    assert_eq!(idle.read_to_end(&mut answer).ok(), Some(0));
    held.signal(Signal::INT);
    assert!(held.line_with("stopped #1").ends_with("exit 75: cut by a second signal"));
    assert_eq!(held.code(), Some(0));
}

#[test]
fn a_crash_is_told_and_the_next_one_served() {
    let mut held = Try::start("crash");
    let connection = TcpStream::connect(&held.address).expect("the port is held");
    let child = held.woken(1);
    rustix::process::kill_process(child, Signal::KILL).expect("it is there");
    assert!(held.line_with("failed  #1").ends_with("killed by SIGKILL"));
    drop(connection);
    held.get();
    held.woken(2);
}

#[test]
fn the_child_does_not_outlive_it() {
    let mut held = Try::start("orphan");
    let mut unfinished = TcpStream::connect(&held.address).expect("the port is held");
    let child = held.woken(1);
    held.signal(Signal::KILL);
    held.code();
    // The kernel tells it at once, and its end closes the connection.
    let _ = unfinished.read_to_end(&mut Vec::new());
    while Path::new(&format!("/proc/{}", child.as_raw_nonzero())).exists() {
        std::thread::yield_now();
    }
}

#[test]
fn a_unix_socket_is_held_and_removed() {
    let mut held = Try::start_at("unix", "unix:FOLDER/socket");
    let path = held.folder.join("socket");
    let mut connection = std::os::unix::net::UnixStream::connect(&path).expect("it is held");
    connection
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("it can be written to");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("hello"), "{answer}");
    drop(connection);
    held.woken(1);
    held.line_with("asleep  #1");
    held.signal(Signal::INT);
    assert_eq!(held.code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_taken_port_says_the_way_out() {
    let held = Try::start("taken");
    let output = Command::new(DORMOUSE).args(["try", "--listen", &held.address]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("is taken by another program") && text.contains("--listen"), "{text}");
}

#[test]
fn activate_exec_names_the_process_that_runs_on() {
    let script = "test $LISTEN_PID = $$ && exit 7";
    let status = Command::new(DORMOUSE).args(["activate-exec", "sh", "-c", script]).status();
    assert_eq!(status.expect("it runs").code(), Some(7));
    let missing = Command::new(DORMOUSE).args(["activate-exec", "/nonexistent"]).output().expect("it runs");
    assert_eq!(missing.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot run /nonexistent"));
}

//! How it is found, what it is given, and why it cannot be started.

use std::collections::HashSet;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;

use super::super::*;
use super::log::Log;
use super::{ended, program};

#[tokio::test]
async fn a_socket_is_passed_as_systemd_does_it() {
    const SERVER: &str = "
import os, socket
listener = socket.socket(fileno=3)
listener.setblocking(True)
connection, _ = listener.accept()
own = os.environ.pop('LISTEN_PID') == str(os.getpid())
told = sorted(name + '=' + value for name, value in os.environ.items())
connection.sendall(repr([own, os.getcwd(), told]).encode())
";
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let mut program = program(&["python3", "-c", SERVER]);
    program.socket = Some(Arc::new(listener.into()));
    program.dir = "/usr".into();
    let variables =
        [("PATH", "/usr/bin:/bin"), ("LANG", "x"), ("LANG", "C.UTF-8"), ("A", "b=c"), ("HOME", "/h")];
    program.env = variables.map(|(name, value)| (name.into(), value.into())).into();
    program.env.push(("USER".into(), "u".into()));
    program.env.push(("LISTEN_PID".into(), "1".into()));
    let mut child = Child::start(&program).expect("it starts");

    let answer = std::thread::spawn(move || {
        let mut answer = String::new();
        let mut connection = TcpStream::connect(address).expect("it listens");
        connection.read_to_string(&mut answer).expect("an answer");
        answer
    });
    let end = ended(&mut child).await;
    assert!(end.is_success(), "{end}: {:?}", end.stderr);
    let expected = "[True, '/usr', ['A=b=c', 'HOME=/h', 'LANG=C.UTF-8', 'LISTEN_FDNAMES=blog', 'LISTEN_FDS=1', \
                    'PATH=/usr/bin:/bin', 'USER=u']]";
    assert_eq!(answer.join().expect("no panic"), expected);
}

#[tokio::test]
async fn without_a_socket_nothing_is_said_of_one() {
    let mut log = Log::start();
    let mut program = program(&["env"]);
    program.dir = "/tmp".into();
    let mut child = Child::start(&program).expect("it starts");
    assert!(ended(&mut child).await.is_success());
    let mut told: Vec<String> = log.there_is().iter().map(|text| text.replace("stdout blog: ", "")).collect();
    told.sort_unstable();
    let own = |name: &str| std::env::var(name).map(|value| format!("{name}={value}")).ok();
    let home = own("HOME").or(Some("HOME=/tmp".into()));
    let expected: Vec<String> = [home, own("LANG"), own("PATH"), own("USER")].into_iter().flatten().collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn it_gets_no_other_descriptor() {
    // As whoever started us may have left it.
    let left = std::fs::File::open("/dev/null").expect("a file");
    rustix::io::fcntl_setfd(&left, rustix::io::FdFlags::empty()).expect("a flag");
    let script = format!("[ -e /proc/$$/fd/0 ] && [ ! -e /proc/$$/fd/{} ]", left.as_raw_fd());
    let mut child = Child::start(&program(&["sh", "-c", &script])).expect("it starts");
    assert!(ended(&mut child).await.is_success());
}

#[tokio::test]
async fn signals_are_as_before_rust_came() {
    let mut log = Log::start();
    let mut child = Child::start(&program(&["grep", "^Sig", "/proc/self/status"])).expect("it starts");
    assert!(ended(&mut child).await.is_success());
    let signals = |text: &str, set: &str| {
        let line = text.lines().find_map(|line| line.split_once(set)).map(|(_, bits)| bits.trim());
        u64::from_str_radix(line.expect("the kernel says it"), 16).expect("bits")
    };
    let own = std::fs::read_to_string("/proc/thread-self/status").expect("a file");
    let (own, its) = (|set| signals(&own, set), log.there_is().join("\n"));
    assert_eq!(signals(&its, "SigBlk:"), own("SigBlk:"));
    let pipe = 1 << (Signal::PIPE.as_raw() - 1);
    assert_eq!((own("SigIgn:") & pipe, signals(&its, "SigIgn:")), (pipe, own("SigIgn:") & !pipe));
}

#[tokio::test]
async fn stdin_is_empty() {
    let mut child = Child::start(&program(&["cat"])).expect("it starts");
    assert!(ended(&mut child).await.is_success());
}

/// A folder that goes when the test does.
struct Folder(PathBuf);

impl Folder {
    fn create(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dormouse-test-app-{test}-{}", process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    /// Written by another process: of ours, a child of another test might just have inherited the open file, which
    /// cannot be executed meanwhile.
    fn put(&self, name: &str, text: &str, mode: &str) {
        let write = r#"printf %s "$1" > "$2" && chmod "$3" "$2""#;
        let file = self.0.join(name);
        let status = process::Command::new("sh").args(["-c", write, "sh", text]).arg(file).arg(mode).status();
        assert!(status.expect("a shell").success());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn what_cannot_be_run_says_why_at_once() {
    let folder = Folder::create("errors");
    folder.put("plain", "#!/bin/sh\n", "644");
    folder.put("orphan", "#!/nonexistent/interpreter\n", "755");
    folder.put("text", "hello\n", "755");
    let listener = Arc::new(OwnedFd::from(TcpListener::bind("127.0.0.1:0").expect("a port")));
    let children = || {
        let children = std::fs::read_to_string("/proc/thread-self/children").expect("a file");
        children.split(' ').map(str::to_owned).collect::<HashSet<_>>()
    };
    let before = children();
    let error_of = |run: &[&str], dir: &str| {
        let mut program = program(run);
        program.dir = folder.0.join(dir);
        program.socket = Some(Arc::clone(&listener));
        let error = Child::start(&program).expect_err("it cannot be run");
        let source = std::error::Error::source(&error).map(|source| format!(" - {source}"));
        format!("{error}{}", source.unwrap_or_default())
    };
    let cases = [
        (error_of(&[], ""), "`run` names no program"),
        (error_of(&["no-such-program"], ""), "there is no program no-such-program in PATH (/"),
        (error_of(&[""], ""), "there is no program  in PATH"),
        (error_of(&["./absent"], ""), "there is no program ./absent for "),
        (error_of(&["./plain"], ""), "cannot run ./plain: it may not execute it"),
        (error_of(&["./plain"], ""), " - Permission denied"),
        (error_of(&["./orphan"], ""), "the interpreter that its first line names"),
        (error_of(&["./text"], ""), "a script whose first line does not begin with #!"),
        (error_of(&["true"], "absent"), "cannot go to its folder /"),
        (error_of(&["true"], "text"), " - not a directory"),
        (error_of(&["true", "a\0b"], ""), "has a NUL byte"),
    ];
    for (error, expected) in cases {
        assert!(
            error.starts_with("app \"blog\": ") && error.contains(expected),
            "{error:?} has no {expected:?}"
        );
    }
    assert!(children().is_subset(&before));
}

#[tokio::test]
async fn a_program_is_looked_for_in_the_path_it_has() {
    let folder = Folder::create("path");
    std::fs::create_dir_all(folder.0.join("bin")).expect("a folder can be made");
    folder.put("mine", "#!/bin/sh\nexit 4\n", "644");
    folder.put("bin/mine", "#!/bin/sh\nexit 5\n", "755");
    let mut program = program(&["mine"]);
    program.dir.clone_from(&folder.0);
    program.env = vec![("PATH".into(), ":bin:/usr/bin:/bin".into())];
    let mut child = Child::start(&program).expect("it starts");
    assert_eq!(ended(&mut child).await.to_string(), "exit code 5");
}

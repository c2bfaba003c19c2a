//! `[limits]`, from the file to the socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::Folder;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn connections_beyond_the_limit_take_the_place_of_the_longest_idle() {
    let folder = Folder::new();
    let config = "[limits]\nconnections = 2\n[[route]]\npath = '/'\ntext = 'here'\n";
    let file = folder.write("site.toml", config);
    let socket = folder.join("http.sock");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dormouse"));
    command.arg("serve").arg("--config").arg(&file).arg("--listen").arg(format!("unix:{}", socket.display()));
    let mut daemon = command.stderr(Stdio::null()).spawn().expect("it starts");
    let until = Instant::now() + PATIENCE;
    while UnixStream::connect(&socket).is_err() {
        assert!(Instant::now() < until, "it does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    let connect = || {
        let mut stream = UnixStream::connect(&socket).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"here") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            answer.extend(byte);
        }
        stream
    };
    let (mut oldest, mut older, _newcomer) = (connect(), connect(), connect());
    let mut rest = Vec::new();
    oldest.read_to_end(&mut rest).expect("closed, not reset");
    assert!(rest.is_empty());
    older.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").expect("it stays");
    older.read_to_end(&mut rest).expect("answered");
    assert!(rest.starts_with(b"HTTP/1.1 200 "));
    daemon.kill().expect("ours");
    daemon.wait().expect("ours");
}

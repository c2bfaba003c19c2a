//! Plays systemd for one test: holds the sockets, starts the program with them, hears what it notifies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Nothing here takes this long; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A private folder, gone with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dormouse-engine-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What systemd would hold: sockets with names, kept over any number of wakes.
pub struct Unit {
    pub folder: Folder,
    sockets: Vec<(OwnedFd, String)>,
    settings: Vec<(String, String)>,
}

impl Unit {
    pub fn new() -> Self {
        let settings = [("AFTER", 200), ("MIN_AWAKE", 500), ("GRACE", 100)];
        let unit = Self { folder: Folder::new(), sockets: Vec::new(), settings: Vec::new() };
        settings.into_iter().fold(unit, |unit, (name, millis)| unit.set(name, millis))
    }

    /// A setting of the fixture, in milliseconds.
    pub fn set(mut self, name: &str, millis: u64) -> Self {
        let name = format!("FIXTURE_{name}");
        self.settings.retain(|(other, _)| *other != name);
        self.settings.push((name, millis.to_string()));
        self
    }

    /// Where a hook of the fixture waits for the test (see the fixture).
    pub fn gate(self, name: &str, gate: &Gate) -> Self {
        self.env(&format!("FIXTURE_{name}"), &gate.path.to_string_lossy())
    }

    /// A variable of the program's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn tcp(&mut self, address: &str, name: &str) -> SocketAddr {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("bound");
        self.sockets.push((listener.into(), name.to_owned()));
        address
    }

    pub fn unix(&mut self, name: &str) -> PathBuf {
        let path = self.folder.join(&format!("{name}.sock"));
        self.sockets.push((UnixListener::bind(&path).expect("a fresh path").into(), name.to_owned()));
        path
    }

    pub fn udp(&mut self, name: &str) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("bound");
        self.sockets.push((socket.into(), name.to_owned()));
        address
    }

    pub fn pass(&mut self, socket: impl Into<OwnedFd>, name: &str) {
        self.sockets.push((socket.into(), name.to_owned()));
    }

    /// Starts the fixture, as systemd does when something has come.
    pub fn start(&self) -> Daemon {
        self.start_program(&fixture())
    }

    /// Starts another program in its place.
    pub fn start_program(&self, program: &Path) -> Daemon {
        let notify_path = self.folder.join("notify");
        let _ = std::fs::remove_file(&notify_path);
        let notify = UnixDatagram::bind(&notify_path).expect("a fresh path");
        notify.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let mut command = self.command(program);
        command.env("NOTIFY_SOCKET", &notify_path).stderr(Stdio::piped());
        let process = command.spawn().expect("it starts");
        Daemon { process: Some(process), notify, heard: Vec::new() }
    }

    /// Starts it and waits until it is ready.
    pub fn wake(&self) -> Daemon {
        let mut daemon = self.start();
        daemon.hear("READY=1");
        daemon
    }

    /// The program with its sockets as descriptors 3 and up, `LISTEN_PID` set by `activate-exec`.
    fn command(&self, program: &Path) -> Command {
        let fds: Vec<RawFd> = self.sockets.iter().map(|(fd, _)| fd.as_raw_fd()).collect();
        let names: Vec<&str> = self.sockets.iter().map(|(_, name)| name.as_str()).collect();
        if fds.is_empty() {
            let mut command = Command::new(program); // as from a shell: systemd never passes none
            command.envs(self.settings.iter().cloned());
            return command;
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_dormouse"));
        command.arg("activate-exec").arg(program).envs(self.settings.iter().cloned());
        command.env("LISTEN_FDS", fds.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        // SAFETY: only async-signal-safe calls between fork and exec; every descriptor is moved out of the way first.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || {
                let away: Vec<RawFd> = fds.iter().map(|fd| libc::fcntl(*fd, libc::F_DUPFD, 100)).collect();
                for (target, fd) in (3..).zip(away) {
                    if libc::dup2(fd, target) < 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                    libc::close(fd);
                }
                Ok(())
            });
        }
        command
    }
}

/// The engine's test program.
pub fn fixture() -> PathBuf {
    example("fixture")
}

/// An example, built beside the test binary.
pub fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    let profile = own.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let example = profile.join("examples").join(name);
    assert!(example.exists(), "build it first: cargo build --example {name}");
    example
}

/// One wake of the program.
pub struct Daemon {
    process: Option<Child>,
    notify: UnixDatagram,
    heard: Vec<String>,
}

impl Daemon {
    /// Waits for a message to systemd that contains `text`; what was heard before counts.
    pub fn hear(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(message) = self.heard.iter().find(|message| message.contains(text)) {
                return message.clone();
            }
            let is_over = !self.is_running() || Instant::now() > deadline;
            let mut buffer = [0; 4096];
            match self.notify.recv(&mut buffer) {
                Ok(len) => self.heard.push(String::from_utf8_lossy(&buffer[..len]).into_owned()),
                Err(_) if is_over => {
                    let mut process = self.process.take().expect("not reaped");
                    let _ = process.kill();
                    panic!("no {text:?} was notified, only {:?}; log:\n{}", self.heard, log_of(&mut process));
                }
                Err(_) => {} // the short timeout, so that the end of the process is noticed
            }
        }
    }

    /// Waits for a message that contains `text` and came after `before`.
    pub fn hear_after(&mut self, text: &str, before: &str) -> String {
        let at = self.heard.iter().rposition(|message| message == before).expect("it was heard");
        self.heard.drain(..=at);
        self.hear(text)
    }

    /// Whether it has notified a message that contains `text` by now.
    pub fn has_said(&mut self, text: &str) -> bool {
        self.listen_in();
        self.heard.iter().any(|message| message.contains(text))
    }

    /// Takes what it has notified by now, as systemd does all the time.
    pub fn listen_in(&mut self) {
        let mut buffer = [0; 4096];
        self.notify.set_nonblocking(true).expect("an option");
        while let Ok(len) = self.notify.recv(&mut buffer) {
            self.heard.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
        }
        self.notify.set_nonblocking(false).expect("an option");
    }

    pub fn pid(&self) -> i32 {
        let process = self.process.as_ref().expect("not reaped");
        i32::try_from(process.id()).expect("a pid")
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a plain system call on our own child, which is not reaped yet.
        #[allow(unsafe_code)]
        let sent = unsafe { libc::kill(self.pid(), signal) };
        assert_eq!(sent, 0, "the process is gone");
    }

    /// Stops its processor time, as a suspended machine or a busy one does; returns once it is still.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it runs");
            if stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('T')) {
                return;
            }
            assert!(Instant::now() < deadline, "it does not stop: {stat}");
        }
    }

    /// Lets it go on after [`Daemon::freeze`].
    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().expect("not reaped").try_wait().expect("a child").is_none()
    }

    /// Waits until it has left; how, and what it wrote to stderr.
    pub fn left(self) -> (ExitStatus, String) {
        let (status, log, _) = self.farewell();
        (status, log)
    }

    /// Waits until it has left; how, what it wrote to stderr, and all it notified that nobody has heard of yet.
    pub fn farewell(mut self) -> (ExitStatus, String, Vec<String>) {
        let mut process = self.process.take().expect("not reaped");
        let deadline = Instant::now() + PATIENCE;
        while process.try_wait().expect("a child").is_none() {
            if Instant::now() > deadline {
                let _ = process.kill();
                let log = log_of(&mut process);
                panic!("it does not leave; heard {:?}; log:\n{log}", self.heard);
            }
            self.listen_in(); // what nobody reads fills the queue of the socket, and then its writer waits
            std::thread::sleep(Duration::from_millis(5)); // a poll with a deadline, not a guess
        }
        let status = process.wait().expect("a child");
        let log = log_of(&mut process);
        self.listen_in();
        (status, log, std::mem::take(&mut self.heard))
    }

    /// Waits until it has fallen asleep: exit 0. Its log.
    pub fn asleep(self) -> String {
        let (status, log) = self.left();
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{log}");
        log
    }
}

fn log_of(process: &mut Child) -> String {
    let mut log = String::new();
    if let Some(mut stderr) = process.stderr.take() {
        let _ = stderr.read_to_string(&mut log);
    }
    log
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Where a handler waits for the test (see the fixture).
pub struct Gate {
    listener: UnixListener,
    path: PathBuf,
}

impl Gate {
    pub fn new(folder: &Folder, name: &str) -> Self {
        let path = folder.join(name);
        Self { listener: UnixListener::bind(&path).expect("a fresh path"), path }
    }

    pub fn query(&self) -> String {
        format!("gate={}", self.path.display())
    }

    /// Waits until a handler has come.
    pub fn arrived(&self) -> AtGate {
        use rustix::event::{PollFd, PollFlags, Timespec};
        let patience = Timespec::try_from(PATIENCE).expect("in range");
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        assert_eq!(rustix::event::poll(&mut fds, Some(&patience)), Ok(1), "nobody comes to {:?}", self.path);
        let (stream, _) = self.listener.accept().expect("a handler comes");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut at_gate = AtGate(BufReader::new(stream));
        assert_eq!(at_gate.line(), "started\n");
        at_gate
    }
}

impl Gate {
    /// The same while a runtime of the test's own goes on.
    pub async fn arrived_async(self: &std::sync::Arc<Self>) -> AtGate {
        let gate = self.clone();
        tokio::task::spawn_blocking(move || gate.arrived()).await.expect("no panic")
    }
}

/// A handler at its gate.
pub struct AtGate(BufReader<UnixStream>);

impl AtGate {
    /// Lets it go on.
    pub fn open(mut self) {
        self.say("go");
    }

    /// Tells it something: a line of a stream, or a word that hooks of the fixture understand.
    pub fn say(&mut self, word: &str) {
        self.0.get_mut().write_all(format!("{word}\n").as_bytes()).expect("it waits");
    }

    /// Lets it go on, and waits until it has left the gate.
    pub fn pass(mut self) {
        self.say("go");
        assert_eq!(self.line(), "");
    }

    /// Tells it something that it may not wait for any more; what it says to that, nothing once it is gone.
    pub fn offer(&mut self, word: &str) -> String {
        let mut line = String::new();
        if self.0.get_mut().write_all(format!("{word}\n").as_bytes()).is_ok() {
            let _ = self.0.read_line(&mut line); // it may be gone, with the word unread
        }
        line.trim_end().to_owned()
    }

    /// The next line it says; empty once it is dropped.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it is there, or gone");
        line
    }
}

/// A plain client.
pub struct Client<S>(pub S);

pub fn connect(address: SocketAddr) -> Client<TcpStream> {
    let stream = TcpStream::connect(address).expect("systemd's socket accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("an option");
    Client(stream)
}

/// Ends a connection with a reset.
pub fn reset(stream: TcpStream) {
    // A close with nothing left to linger for is a reset (socket(7), SO_LINGER).
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("an option");
}

/// An answer, as far as tests look.
#[derive(Debug)]
pub struct Answer {
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

impl<S: Read + Write> Client<S> {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("the peer takes it");
    }

    pub fn get(&mut self, target: &str) -> Answer {
        self.ask(target);
        self.answer()
    }

    /// Sends a request and waits for nothing.
    pub fn ask(&mut self, target: &str) {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
    }

    /// Reads one answer: Content-Length, chunks, or to the end.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.header("transfer-encoding").is_some() {
            loop {
                let chunk = self.chunk();
                if chunk.is_empty() {
                    break;
                }
                answer.body.extend_from_slice(&chunk);
            }
        } else if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().expect("a length")];
            self.0.read_exact(&mut answer.body).expect("the whole body");
        }
        answer
    }

    /// The next chunk of an answer whose head has been read; empty for the last.
    pub fn chunk(&mut self) -> Vec<u8> {
        let size = self.line();
        let mut chunk = vec![0; usize::from_str_radix(&size, 16).expect("a size") + 2];
        self.0.read_exact(&mut chunk).expect("the whole chunk");
        chunk.truncate(chunk.len() - 2);
        chunk
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        while !line.ends_with("\r\n") {
            line.push(char::from(self.byte().expect("a line")));
        }
        line.truncate(line.len() - 2);
        line
    }

    /// Reads a head alone.
    pub fn head(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.byte() {
                Some(byte) => head.push(byte),
                None => panic!("the connection ended after {:?}", String::from_utf8_lossy(&head)),
            }
        }
        Answer { head: String::from_utf8(head).expect("text"), body: Vec::new() }
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        loop {
            match self.0.read(&mut byte) {
                Ok(0) => return None,
                Ok(_) => return Some(byte[0]),
                // A machine that was paused: a read with a timeout is not begun again by itself (signal(7)).
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("no reset: {error}"),
            }
        }
    }

    /// What comes until the peer's end.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("an end, not a reset");
        String::from_utf8_lossy(&rest).into_owned()
    }
}

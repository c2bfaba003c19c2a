//! Plays systemd for one service: holds its listener, starts the program whenever somebody waits and none runs.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

/// How often the activator looks whether it is to stop.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// How long a service may take to fall asleep when nobody asks any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program to start, with its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    pub command: Vec<PathBuf>,
    pub notify_socket: PathBuf,
}

/// One service: a listener that lives on, and whatever process serves it.
pub struct Service {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: JoinHandle<Past>,
}

#[derive(Default)]
struct Shared {
    wakes: AtomicU64,
    is_over: AtomicBool,
    /// The process that runs now, to be ended when all time is up.
    running: Mutex<Option<u32>>,
}

/// All that the wakes of one service left.
#[derive(Clone, Debug, Default)]
pub struct Past {
    pub wakes: u64,
    /// What dormouse counted as come too late on idle connections.
    pub late_bytes: u64,
    /// Exits other than 0, with what was said.
    pub failures: Vec<String>,
}

impl Service {
    pub fn hold(program: Program) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let thread = thread::spawn(move || activate(&program, &listener.into(), &own));
        Ok(Self { address, shared, thread })
    }

    /// How many times the program was started so far.
    pub fn wakes(&self) -> u64 {
        self.shared.wakes.load(Ordering::Relaxed)
    }

    /// Waits until it sleeps for the last time. A program that does not fall asleep is killed, and failed.
    pub fn end(self) -> Past {
        self.shared.is_over.store(true, Ordering::Release);
        let deadline = Instant::now() + PATIENCE;
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20)); // a poll with a deadline, not a guess
        }
        let is_stuck = !self.thread.is_finished();
        if is_stuck && let Some(pid) = *self.shared.running.lock().unwrap_or_else(PoisonError::into_inner) {
            kill(pid);
        }
        let mut past = self.thread.join().expect("the activator does not panic");
        if is_stuck {
            past.failures.push(format!("it did not fall asleep within {} s", PATIENCE.as_secs()));
        }
        past
    }
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

fn activate(program: &Program, listener: &OwnedFd, shared: &Shared) -> Past {
    let mut past = Past::default();
    while !shared.is_over.load(Ordering::Acquire) {
        let mut asked = [PollFd::new(listener, PollFlags::IN)];
        if !matches!(rustix::event::poll(&mut asked, Some(&LOOK)), Ok(1..)) {
            continue;
        }
        past.wakes += 1;
        shared.wakes.fetch_add(1, Ordering::Relaxed);
        match start(program, listener) {
            Ok(child) => {
                *shared.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(child.id());
                past.live(child);
                *shared.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            Err(error) => {
                past.failures.push(format!("cannot start {}: {error}", program.command[0].display()));
                break;
            }
        }
    }
    past
}

impl Past {
    /// Follows one process to its end: its standard error ends with it.
    fn live(&mut self, mut child: Child) {
        let mut log = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = stderr.read_to_string(&mut log);
        }
        self.late_bytes += late_bytes(&log);
        match child.wait() {
            Ok(status) if status.success() => {}
            Ok(status) => self.failures.push(format!("{status}: {log}")),
            Err(error) => self.failures.push(error.to_string()),
        }
    }
}

/// The figure of dormouse's last line, "..., 74 bytes too late".
fn late_bytes(log: &str) -> u64 {
    let last = log.lines().find(|line| line.contains("asleep: ") && line.contains(" too late"));
    let figure = last.and_then(|line| line.split(", ").find(|part| part.contains(" too late")));
    figure.and_then(|part| part.split(' ').next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Starts it with the listener as descriptor 3; `activate-exec` adds `LISTEN_PID`.
fn start(program: &Program, listener: &OwnedFd) -> io::Result<Child> {
    const FIRST: RawFd = 3;
    let fd = listener.as_raw_fd();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dormouse"));
    command.arg("activate-exec").args(&program.command);
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "web");
    command.env("NOTIFY_SOCKET", &program.notify_socket);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // SAFETY: only async-signal-safe calls between fork and exec; the duplicate is not closed on exec, the rest is.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || match libc::fcntl(fd, libc::F_DUPFD, 100) {
            away if away >= 0 && libc::dup2(away, FIRST) == FIRST && libc::close(away) == 0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    command.spawn()
}

/// Reads what services tell systemd, so that none of them waits for it; descriptors that come along (`BARRIER=1`) are
/// closed by not being taken.
pub fn listen_to_notifications(path: &PathBuf) -> io::Result<()> {
    let socket = UnixDatagram::bind(path)?;
    thread::spawn(move || {
        let mut message = [0; 4096];
        while socket.recv(&mut message).is_ok() {}
    });
    Ok(())
}

//! A dormouse with a config and a runtime directory, woken and asked.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{Daemon, PATIENCE, Unit};

pub const DORMOUSE: &str = env!("CARGO_BIN_EXE_dormouse");

/// Quick to sleep.
pub const FAST: &str = "[sleep]\nafter = \"20ms\"\nmin_awake = \"0s\"\ngrace = \"10ms\"\n";

/// Stays as long as a test needs it.
pub const SLOW: &str = "[sleep]\nafter = \"1h\"\n";

pub const ROUTES: &str = "[[route]]\npath = \"/hello\"\ntext = \"hello\"\n";

pub struct Site {
    pub unit: Unit,
    pub web: SocketAddr,
    /// The same socket that the daemon gets, to see what waits in it.
    pub listener: TcpListener,
    pub runtime: PathBuf,
    program: PathBuf,
}

impl Site {
    /// With this config and [`ROUTES`].
    pub fn new(config: &str) -> Self {
        Self::in_runtime(config, "runtime")
    }

    pub fn in_runtime(config: &str, runtime: &str) -> Self {
        let mut unit = Unit::new();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("an option");
        unit.pass(listener.try_clone().expect("a descriptor"), "http");
        let web = listener.local_addr().expect("bound");
        let runtime = unit.folder.join(runtime);
        std::fs::create_dir_all(&runtime).expect("a folder");
        let program = unit.folder.join("serve");
        let this = Self { unit, web, listener, runtime, program };
        this.configure(config);
        let script = format!(
            "#!/bin/sh\nRUNTIME_DIRECTORY='{}' STATE_DIRECTORY='{}' exec '{DORMOUSE}' serve --config '{}'\n",
            this.runtime.display(),
            this.unit.folder.join("").display(),
            this.config().display()
        );
        std::fs::write(&this.program, script).expect("a file");
        std::fs::set_permissions(&this.program, PermissionsExt::from_mode(0o755)).expect("it is ours");
        this
    }

    pub fn config(&self) -> PathBuf {
        self.unit.folder.join("site.toml")
    }

    pub fn configure(&self, config: &str) {
        std::fs::write(self.config(), format!("{config}{ROUTES}")).expect("a file");
    }

    /// Started, and ready.
    pub fn wake(&self) -> Daemon {
        let mut daemon = self.unit.start_program(&self.program);
        daemon.hear("READY=1");
        daemon
    }

    /// Started, and ready to be asked: what goes on across sleeps is written before.
    pub fn wake_and_wait(&self) -> Daemon {
        let daemon = self.wake();
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(self.runtime.join("control.sock")).is_err() {
            assert!(std::time::Instant::now() < deadline, "there is no control socket");
            std::thread::yield_now();
        }
        daemon
    }

    /// `dormouse why --runtime` with these arguments.
    pub fn why(&self, arguments: &[&str]) -> Output {
        why(&self.runtime, arguments)
    }

    /// What it prints for people.
    pub fn text(&self) -> String {
        let output = self.why(&[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    pub fn json(&self) -> Value {
        let output = self.why(&["--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Whether its last life has ended in order.
    pub fn is_over(&self) -> bool {
        self.runtime.join("carry.json").exists() && self.json()["state"] == "asleep"
    }

    pub fn carry(&self) -> Value {
        let bytes = std::fs::read(self.runtime.join("carry.json")).expect("it is there");
        serde_json::from_slice(&bytes).expect("json")
    }
}

pub fn why(runtime: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(DORMOUSE);
    command.arg("why").arg("--runtime").arg(runtime).args(arguments).output().expect("it can be run")
}

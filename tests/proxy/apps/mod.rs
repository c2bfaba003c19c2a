//! Apps behind the built binary: `app.py` does what a test says, the others are as people have them.

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{Client, Daemon, Gate, PATIENCE, connect};
use crate::site::{SLOW, Site};

mod end;
mod failure;
mod quiet;
mod real;
mod start;
mod streams;

/// Without the detours of a version manager.
fn python() -> &'static str {
    if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" }
}

/// A dormouse with `app.py` as the app of `/`.
pub struct Wiki {
    pub site: Site,
}

impl Wiki {
    /// Under this config, and with these keys of `[app.wiki]`; `FOLDER` in both is a folder of the test's own.
    pub fn new(config: &str, keys: &str) -> Self {
        let wiki = Self { site: Site::new("") };
        wiki.configure(config, keys);
        wiki
    }

    pub fn configure(&self, config: &str, keys: &str) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/apps/app.py");
        let text = format!(
            "{config}\n[[route]]\npath = \"/\"\napp = \"wiki\"\n\
             [[route]]\npath = \"/quiet/\"\napp = \"wiki\"\nstrip_prefix = true\nkeeps_awake = false\n\
             [app.wiki]\nrun = [\"{}\", \"{script}\"]\n{keys}\n",
            python()
        );
        self.site.configure(&text.replace("FOLDER", &self.site.unit.folder.join("").display().to_string()));
    }

    /// A gate at which the app waits before it listens, if it is told by `env = { GATE = "FOLDER/start" }`.
    pub fn gate(&self) -> Gate {
        Gate::new(&self.site.unit.folder, "start")
    }

    /// Started, and ready to be asked `why`.
    pub fn wake(&self) -> Daemon {
        self.site.wake_and_wait()
    }

    pub fn client(&self) -> Client<TcpStream> {
        connect(self.site.web)
    }

    /// Asks on a connection of its own; the app's process id, and the how manieth request it was.
    pub fn ask(&self) -> (i32, u32) {
        pid_and_count(self.client().get("/").text())
    }

    /// What `why` says of the app, if it is not asleep.
    pub fn doing(&self) -> Option<String> {
        let look = self.site.json();
        let held_by = look["held_by"].as_array()?;
        let app = held_by.iter().find(|holder| holder["what"] == "app")?;
        assert_eq!(app["route"], "wiki");
        Some(app["doing"].as_str().expect("text").to_owned())
    }

    /// Waits until no other than the app of this config is awake.
    pub fn until_alone(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let look = self.site.json();
            let held_by = look["held_by"].as_array().expect("a list");
            if held_by.iter().filter(|holder| holder["what"] == "app").count() == 1 {
                return;
            }
            assert!(Instant::now() < deadline, "{held_by:?}");
        }
    }

    /// Waits until `why` says so of the app; "asleep" if it says nothing.
    pub fn until(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let doing = self.doing().unwrap_or_else(|| "asleep".to_owned());
            if doing.contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "it is not {text:?} but {doing:?}");
        }
    }
}

pub fn pid_and_count(text: &str) -> (i32, u32) {
    let (pid, count) = text.split_once(' ').unwrap_or_else(|| panic!("{text:?}"));
    (pid.parse().expect("a pid"), count.parse().expect("a number"))
}

/// Whether a process is there, and no corpse.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// Waits until a process is gone.
#[track_caller]
pub fn gone(pid: i32) {
    let deadline = Instant::now() + PATIENCE;
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "{pid} is still there");
        std::thread::sleep(Duration::from_millis(5)); // a poll with a deadline
    }
}

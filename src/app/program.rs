//! What an app runs, and how it is found and started: its environment, its folder, its socket.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::Arc;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::Signal;

use super::exec::Image;
use crate::activation::{end_with_us, pass};

/// Where programs are looked for when our own environment has no PATH: systemd's default, and what some machines still
/// keep apart from it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One program, ready to be started any number of times.
#[derive(Clone, Debug)]
pub struct Program {
    /// The app's name: in the log, in errors, and its socket's in `LISTEN_FDNAMES`.
    pub name: String,
    /// The program and its arguments, never read by a shell. Without a slash it is looked for in the PATH it will have;
    /// a relative one starts from `dir`.
    pub run: Vec<OsString>,
    /// Added to its environment, which is otherwise PATH, HOME, USER and LANG as we have them, and `LISTEN_*`. HOME is
    /// `dir` if we have none.
    pub env: Vec<(String, String)>,
    /// Where it runs.
    pub dir: PathBuf,
    /// A listening socket for it, passed as systemd does it: descriptor 3 and `LISTEN_*`. Blocking or not, as it is.
    pub socket: Option<Arc<OwnedFd>>,
}

/// Why a program cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `run` has nothing in it.
    #[error(
        "app {app:?}: `run` names no program; write it as a list, such as [\"/srv/app/server\", \"--quiet\"]"
    )]
    Empty {
        /// The app.
        app: String,
    },
    /// A NUL byte, which no argument or variable can have.
    #[error("app {app:?}: an argument in `run`, or a variable in `env`, has a NUL byte in it; leave it out")]
    Nul {
        /// The app.
        app: String,
    },
    /// Its folder is not there, or not for us.
    #[error("app {app:?}: cannot go to its folder {}; see `dir`", dir.display())]
    Folder {
        /// The app.
        app: String,
        /// The folder.
        dir: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no such program.
    #[error("app {app:?}: there is no program {}{}; see `run`", program.display(), place(program, path))]
    NotFound {
        /// The app.
        app: String,
        /// As it is in `run`.
        program: PathBuf,
        /// The PATH it was looked for in.
        path: OsString,
    },
    /// The program is there.
    #[error("app {app:?}: cannot run {}{}", program.display(), hint(source))]
    Run {
        /// The app.
        app: String,
        /// Where it was found.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something that has nothing to do with the program failed.
    #[error("app {app:?}: cannot start a process")]
    Process {
        /// The app.
        app: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Where it was looked for.
fn place(program: &Path, path: &OsStr) -> String {
    if has_slash(program.as_os_str()) { String::new() } else { format!(" in PATH ({})", path.display()) }
}

/// The way out, where the kernel's words lack it.
fn hint(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        // It is there, or the error would be another.
        Some(Errno::NOENT) => ": the interpreter that its first line names, or its loader, is not there",
        Some(Errno::NOEXEC) => ": it is no program, or a script whose first line does not begin with #!",
        Some(Errno::ACCESS | Errno::PERM) => {
            ": our user may not execute it, or the unit's sandbox does not let it run (see `systemctl cat`)"
        }
        Some(Errno::AGAIN) => ": there are too many processes (TasksMax= of the unit)",
        _ => "",
    }
}

impl Program {
    /// Starts it, its output piped, stdin empty, in a process group of its own. It is killed when this thread ends.
    pub(super) fn spawn(&self) -> Result<process::Child, StartError> {
        let app = || self.name.clone();
        let process_error = |source| StartError::Process { app: app(), source };
        let name = self.run.first().ok_or_else(|| StartError::Empty { app: app() })?;
        let folder = std::fs::metadata(&self.dir).and_then(|dir| match dir.is_dir() {
            true => Ok(access(&self.dir, Access::EXEC_OK)?),
            false => Err(io::ErrorKind::NotADirectory.into()),
        });
        folder.map_err(|source| StartError::Folder { app: app(), dir: self.dir.clone(), source })?;

        let environment = self.environment();
        let path = variable(&environment, "PATH").unwrap_or_default();
        let program = self.find(name, path)?;
        let image = Image::new(program.clone(), &self.run, environment, self.socket.is_some());
        let image = image.map_err(|_| StartError::Nul { app: app() })?;

        let mut command = Command::new(&program);
        command.current_dir(&self.dir).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        end_with_us(&mut command, Signal::KILL);
        if let Some(socket) = &self.socket {
            pass(&mut command, socket.as_fd()).map_err(process_error)?;
        }
        image.replace(&mut command);
        command.spawn().map_err(|source| StartError::Run { app: app(), program, source })
    }

    /// All its variables but `LISTEN_PID`; of several with the same name, the last.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let own = |name: &str| env::var_os(name).map(|value| (name.into(), value));
        let mut all: Vec<(OsString, OsString)> = vec![("PATH".into(), PATH.into())];
        all.push(("HOME".into(), self.dir.clone().into()));
        all.extend(["PATH", "HOME", "USER", "LANG"].into_iter().filter_map(own));
        if self.socket.is_some() {
            all.push(("LISTEN_FDS".into(), "1".into()));
            all.push(("LISTEN_FDNAMES".into(), self.name.clone().into()));
        }
        all.extend(self.env.iter().map(|(name, value)| (name.into(), value.into())));
        let is_last = |(at, (name, _)): &(usize, &(OsString, OsString))| {
            variable(&all[at + 1..], name).is_none() && !(name == "LISTEN_PID" && self.socket.is_some())
        };
        all.iter().enumerate().filter(is_last).map(|(_, variable)| variable.clone()).collect()
    }

    /// Where the program is, as seen from `dir`.
    fn find(&self, name: &OsStr, path: &OsStr) -> Result<PathBuf, StartError> {
        let not_found =
            || StartError::NotFound { app: self.name.clone(), program: name.into(), path: path.to_owned() };
        if has_slash(name) {
            return match self.dir.join(name).metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(not_found()),
                _ => Ok(name.into()), // exec says the rest
            };
        }
        // An empty folder in PATH is the current one, which the slash says.
        let candidates = env::split_paths(path).map(|folder| match folder.as_os_str().is_empty() {
            true => Path::new(".").join(name),
            false => folder.join(name),
        });
        let files: Vec<PathBuf> = candidates.filter(|file| self.dir.join(file).is_file()).collect();
        let is_executable = |file: &&PathBuf| access(self.dir.join(file), Access::EXEC_OK).is_ok();
        // One that may not be executed fails with the better words than none.
        let found = files.iter().find(is_executable).or(files.first()).cloned();
        found.filter(|_| !name.is_empty()).ok_or_else(not_found)
    }
}

fn has_slash(name: &OsStr) -> bool {
    name.as_bytes().contains(&b'/')
}

fn variable(environment: &[(OsString, OsString)], name: impl AsRef<OsStr>) -> Option<&OsStr> {
    environment.iter().find(|(other, _)| other == name.as_ref()).map(|(_, value)| &**value)
}

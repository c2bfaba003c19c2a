//! What is run, and how it is found and started: its environment, its folder, its socket.

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use super::birth::Birth;
use super::exec::Image;
use super::owner::Owner;
use super::sandbox;
use super::streams::Stdin;
use crate::activation::limit;

/// Where programs are looked for when our own environment has no PATH: systemd's default, and what some machines still
/// keep apart from it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One program, ready to be started any number of times.
#[derive(Clone, Debug)]
pub struct Program {
    /// Whose it is; an app's name is also its socket's, in `LISTEN_FDNAMES`.
    pub owner: Owner,
    /// The program and its arguments, never read by a shell. Without a slash it is looked for in the PATH it will have;
    /// a relative one starts from `dir`.
    pub run: Vec<OsString>,
    /// Added to its environment, which is otherwise PATH, HOME, USER and LANG as we have them, and `LISTEN_*`. HOME is
    /// `dir` if we have none.
    pub env: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub dir: PathBuf,
    /// A listening socket for it, passed as systemd does it: descriptor 3 and `LISTEN_*`. Blocking or not, as it is.
    pub socket: Option<Arc<OwnedFd>>,
    /// Its priority, as nice(1) has it: from -20 to 19.
    pub nice: Option<i32>,
}

/// A process that has become a program, and our ends of its streams.
pub(super) struct Born {
    pub pid: Pid,
    pub pidfd: OwnedFd,
    /// With [`Stdin::Pipe`].
    pub stdin: Option<OwnedFd>,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// Why a program cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `run` has nothing in it.
    #[error(
        "{owner}: `{}` names no program; write it as a list, such as [\"/srv/app/server\", \"--quiet\"]", owner.key()
    )]
    Empty {
        /// Whose.
        owner: Owner,
    },
    /// A NUL byte, which no argument or variable can have.
    #[error("{owner}: an argument in `{}`, or a variable in `env`, has a NUL byte in it; leave it out", owner.key())]
    Nul {
        /// Whose.
        owner: Owner,
    },
    /// Its folder is not there, or not for us.
    #[error(
        "{owner}: {} cannot go to its folder {}; see `dir`, its mode and owner, and {} of the unit",
        sandbox::user(), dir.display(), hides(dir)
    )]
    Folder {
        /// Whose.
        owner: Owner,
        /// The folder.
        dir: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no such program.
    #[error(
        "{owner}: there is no program {}{} for {}; see `{}`, and {} of the unit",
        program.display(), place(program, path), sandbox::user(), owner.key(), hides(program)
    )]
    NotFound {
        /// Whose.
        owner: Owner,
        /// As it is in `run`.
        program: PathBuf,
        /// The PATH it was looked for in.
        path: OsString,
    },
    /// The program is there.
    #[error("{owner}: {} cannot run {}{}", sandbox::user(), program.display(), hint(source))]
    Run {
        /// Whose.
        owner: Owner,
        /// Where it was found.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something that has nothing to do with the program failed.
    #[error("{owner}: cannot start a process")]
    Process {
        /// Whose.
        owner: Owner,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Where it was looked for.
fn place(program: &Path, path: &OsStr) -> String {
    if has_slash(program.as_os_str()) { String::new() } else { format!(" in PATH ({})", path.display()) }
}

/// What may hide it.
fn hides(path: &Path) -> &'static str {
    sandbox::directive(&path.to_string_lossy())
}

/// The way out, where the kernel's words lack it.
fn hint(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        // It is there, or the error would be another.
        Some(Errno::NOENT) => ": the interpreter that its first line names, or its loader, is not there",
        Some(Errno::NOEXEC) => ": it is no program, or a script whose first line does not begin with #!",
        Some(Errno::ACCESS | Errno::PERM) => {
            ": it may not execute it, or the unit's sandbox does not let it run (see `systemctl cat`)"
        }
        Some(Errno::AGAIN) => ": there are too many processes (TasksMax= of the unit)",
        _ => "",
    }
}

impl Program {
    /// Starts it, its output piped, in a process group of its own. It is killed when this thread ends.
    pub(super) fn spawn(&self, stdin: Stdin) -> Result<Born, StartError> {
        let owner = || self.owner.clone();
        let process_error = |source| StartError::Process { owner: owner(), source };
        let name = self.run.first().ok_or_else(|| StartError::Empty { owner: owner() })?;
        let folder = std::fs::metadata(&self.dir).and_then(|dir| match dir.is_dir() {
            true => Ok(access(&self.dir, Access::EXEC_OK)?),
            false => Err(io::ErrorKind::NotADirectory.into()),
        });
        folder.map_err(|source| StartError::Folder { owner: owner(), dir: self.dir.clone(), source })?;

        let environment = self.environment();
        let path = variable(&environment, "PATH").unwrap_or_default();
        let program = self.find(name, path)?;
        let image = Image::new(program.clone(), &self.run, environment, self.socket.is_some());
        let image = image.map_err(|_| StartError::Nul { owner: owner() })?;

        let dir =
            CString::new(self.dir.as_os_str().as_bytes()).map_err(|_| StartError::Nul { owner: owner() })?;

        let (stdin, ours) = stdin.open().map_err(process_error)?;
        let (stdout, writes) =
            pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from).map_err(process_error)?;
        let (stderr, complains) =
            pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from).map_err(process_error)?;
        let streams = [stdin.as_fd(), writes.as_fd(), complains.as_fd()];
        let socket = self.socket.as_ref().map(|socket| socket.as_fd());
        let (pid, pidfd) = Birth { image, dir, streams, socket, files: limit::before(), nice: self.nice }
            .give()
            .map_err(|source| StartError::Run { owner: owner(), program, source })?;
        Ok(Born { pid, pidfd, stdin: ours, stdout, stderr })
    }

    /// All its variables but `LISTEN_PID`; of several with the same name, the last.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let own = |name: &str| env::var_os(name).map(|value| (name.into(), value));
        let mut all: Vec<(OsString, OsString)> = vec![("PATH".into(), PATH.into())];
        all.push(("HOME".into(), self.dir.clone().into()));
        all.extend(["PATH", "HOME", "USER", "LANG"].into_iter().filter_map(own));
        if self.socket.is_some() {
            all.push(("LISTEN_FDS".into(), "1".into()));
            all.push(("LISTEN_FDNAMES".into(), self.owner.name().into()));
        }
        all.extend(self.env.iter().cloned());
        let is_last = |(at, (name, _)): &(usize, &(OsString, OsString))| {
            variable(&all[at + 1..], name).is_none() && !(name == "LISTEN_PID" && self.socket.is_some())
        };
        all.iter().enumerate().filter(is_last).map(|(_, variable)| variable.clone()).collect()
    }

    /// Where the program is, as seen from `dir`.
    fn find(&self, name: &OsStr, path: &OsStr) -> Result<PathBuf, StartError> {
        let not_found = || StartError::NotFound {
            owner: self.owner.clone(),
            program: name.into(),
            path: path.to_owned(),
        };
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

//! One job running: its program, its output, and what becomes of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::close::{Close, MOST_INTERRUPTIONS};
use super::queue::{Queue, Turn};
use super::settings::{Settings, Work};
use super::{Jobs, output};
use crate::lifecycle::Hold;
use crate::log::chain;
use crate::process::{Child, Owner, Program, Stdin, Streams, WITHIN, Way};
use crate::server::Control;
use crate::store::{Job, JobId, Progress};

/// How many lines may wait to be written.
const LINES: usize = 64;

/// A job that runs here.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    progress: Mutex<Option<Progress>>,
    /// Nobody wants it any more.
    cancelled: watch::Sender<bool>,
    over: watch::Sender<bool>,
}

impl Attempt {
    /// How far it says it has come.
    pub fn progress(&self) -> Option<Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_progress(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    /// Ends it, and waits until it is over.
    pub async fn cancel(&self) {
        self.cancelled.send_replace(true);
        until(&self.over).await;
    }

    async fn until_cancelled(&self) {
        until(&self.cancelled).await;
    }

    fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }
}

async fn until(word: &watch::Sender<bool>) {
    let _ = word.subscribe().wait_for(|is_so| *is_so).await; // its sender is here
}

/// Says that an attempt is over when it is dropped, whatever it comes of.
struct Over {
    jobs: Arc<Jobs>,
    id: JobId,
    attempt: Arc<Attempt>,
}

impl Drop for Over {
    fn drop(&mut self) {
        self.jobs.running().remove(&self.id);
        self.attempt.over.send_replace(true);
        self.jobs.told(self.id);
    }
}

/// Runs a job that was leased.
pub(super) fn begin(queue: &Arc<Queue>, settings: Arc<Settings>, job: Job, hold: Hold, control: &Control) {
    let attempt = Arc::new(Attempt::default());
    queue.jobs.running().insert(job.id, attempt.clone());
    let entry = queue.jobs.roster.enter("job", settings.path.clone());
    let running = Running {
        jobs: queue.jobs.clone(),
        turn: queue.begin(),
        settings,
        job,
        attempt,
        control: control.clone(),
        begun: Instant::now(),
    };
    tokio::spawn(async move {
        running.run().await;
        hold.activity().extend();
        drop((entry, hold));
    });
}

/// A job and its program.
pub(super) struct Running {
    pub jobs: Arc<Jobs>,
    turn: Turn,
    pub settings: Arc<Settings>,
    pub job: Job,
    pub attempt: Arc<Attempt>,
    pub control: Control,
    pub begun: Instant,
}

impl Running {
    async fn run(self) {
        let id = self.job.id;
        let over = Over { jobs: self.jobs.clone(), id, attempt: self.attempt.clone() };
        self.jobs.told(id);
        tracing::info!(job = %id, route = %self.settings.path, "job {id} of {} begins, attempt {}", self.settings.path, self.job.attempts);
        let close = if self.job.interruptions > MOST_INTERRUPTIONS {
            let times = self.job.interruptions;
            Close::NotStarted(format!(
                "it was running {times} times when dormouse crashed, and is not tried again"
            ))
        } else {
            self.attempt().await
        };
        self.close(close).await;
        drop(over);
        drop(self.turn);
    }

    /// Runs the program.
    async fn attempt(&self) -> Close {
        let Work::Here { total, .. } = &self.settings.work else {
            return Close::NotStarted("its route has outside workers now".to_owned());
        };
        let total = *total;
        let stdin = match self.input().await {
            Ok(stdin) => stdin,
            Err(why) => return Close::NotStarted(why),
        };
        let program = match self.program() {
            Ok(program) => program,
            Err(why) => return Close::NotStarted(why),
        };
        if self.attempt.is_cancelled() {
            return Close::Cancelled;
        }
        if self.control.is_cut() {
            return Close::Cut;
        }
        let (tell, lines) = mpsc::channel(LINES);
        let streams = Streams { stdin, stdout: Way::Lines(tell.clone()), stderr: Way::LogAndLines(tell) };
        let mut child = match Child::start_with(&program, streams) {
            Ok(started) => started.child,
            Err(error) => return Close::NotStarted(chain(&error)),
        };
        drop(program);
        let keeping =
            output::keep(self.jobs.clone(), self.job.id, self.attempt.clone(), lines, self.settings.output);
        let keeping = tokio::spawn(keeping);
        let close = self.watch(&mut child, total).await;
        let _ = keeping.await; // all of its output is there when it is over
        close
    }

    /// Waits for its end, or ends it.
    async fn watch(&self, child: &mut Child, total: Option<Duration>) -> Close {
        let over = async {
            match total {
                Some(total) => sleep(total).await,
                None => std::future::pending().await,
            }
        };
        let close = tokio::select! {
            biased;
            ended = child.exited() => return Close::Ended(ended),
            () = self.attempt.until_cancelled() => Close::Cancelled,
            () = over => Close::TimedOut,
            () = self.control.cut() => Close::Cut,
        };
        child.stop_all(WITHIN).await;
        close
    }

    /// What it reads.
    async fn input(&self) -> Result<Stdin, String> {
        if self.job.input.size == 0 {
            return Ok(Stdin::Empty);
        }
        if self.job.input.is_file {
            let path = self.jobs.input(self.job.id);
            return File::open(&path)
                .map(Stdin::File)
                .map_err(|error| format!("its input {} cannot be read: {error}", path.display()));
        }
        match self.jobs.store.input(self.job.id).await {
            Ok(Some(bytes)) => {
                memory(&bytes).map(Stdin::File).map_err(|error| format!("no room for its input: {error}"))
            }
            Ok(None) => Err("its input is not there any more".to_owned()),
            Err(error) => Err(chain(&error)),
        }
    }

    fn program(&self) -> Result<Program, String> {
        let Work::Here { folders, .. } = &self.settings.work else { return Err(String::new()) };
        let command = &self.settings.command;
        let dir = folders.of_program(command.dir.as_deref())?;
        let mut env: Vec<(OsString, OsString)> =
            self.job.env.iter().map(|(name, value)| (name.into(), value.clone())).collect();
        env.push(("JOB_ID".into(), self.job.id.to_string().into()));
        env.push(("JOB_ATTEMPT".into(), self.job.attempts.to_string().into()));
        env.extend(command.variables());
        Ok(Program {
            owner: Owner::Route("job", self.settings.path.clone()),
            run: self.job.command.clone(),
            env,
            dir,
            socket: None,
            nice: command.nice,
        })
    }
}

/// A file in memory that has these bytes.
fn memory(bytes: &Bytes) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("job", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

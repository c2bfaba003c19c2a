//! One job running: its program, its output, and what becomes of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use super::queue::{Queue, Turn};
use super::settings::{Settings, Work};
use super::{Jobs, after, output};
use crate::app::sandbox;
use crate::lifecycle::Hold;
use crate::log::chain;
use crate::process::{Child, Ended, Owner, Program, Stdin, Streams, Way};
use crate::server::Control;
use crate::store::{Again, Ending, Job, Outcome, Progress, Refused, StoreError, now};

/// How long a program has to end after SIGTERM, before SIGKILL.
const WITHIN: Duration = Duration::from_secs(5);

/// When what became of it could not be written it is tried again: there may be room by then.
const AGAIN: Duration = Duration::from_secs(1);

/// How many lines may wait to be written.
const LINES: usize = 64;

/// So many interruptions by crashes are not bad luck any more: it may be what they come of.
const MOST_INTERRUPTIONS: u32 = 20;

/// A job that runs here.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    progress: Mutex<Option<Progress>>,
    cancelled: Notify,
    is_cancelled: std::sync::atomic::AtomicBool,
    over: Notify,
    is_over: std::sync::atomic::AtomicBool,
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
        use std::sync::atomic::Ordering::SeqCst;
        self.is_cancelled.store(true, SeqCst);
        self.cancelled.notify_waiters();
        loop {
            let mut told = std::pin::pin!(self.over.notified());
            told.as_mut().enable();
            if self.is_over.load(SeqCst) {
                return;
            }
            told.await;
        }
    }

    async fn until_cancelled(&self) {
        loop {
            let mut told = std::pin::pin!(self.cancelled.notified());
            told.as_mut().enable();
            if self.is_cancelled.load(std::sync::atomic::Ordering::SeqCst) {
                return;
            }
            told.await;
        }
    }
}

/// How an attempt came to its end.
enum Close {
    /// By itself.
    Ended(Ended),
    /// Somebody does not want it any more.
    Cancelled,
    /// It took too long.
    TimedOut,
    /// Dormouse leaves.
    Cut,
    /// It could not be started.
    NotStarted(String),
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

struct Running {
    jobs: Arc<Jobs>,
    turn: Turn,
    settings: Arc<Settings>,
    job: Job,
    attempt: Arc<Attempt>,
    control: Control,
    begun: Instant,
}

impl Running {
    async fn run(self) {
        let id = self.job.id;
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
        self.jobs.running().remove(&id);
        self.attempt.is_over.store(true, std::sync::atomic::Ordering::SeqCst);
        self.attempt.over.notify_waiters();
        self.jobs.told(id);
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
        child.stop(WITHIN).await;
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
        let dir = match &command.dir {
            Some(dir) => dir.clone(),
            None => folders.of_programs()?,
        };
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

    /// Writes down what became of it.
    async fn close(&self, close: Close) {
        let (id, path) = (self.job.id, &self.settings.path);
        let took = self.begun.elapsed().as_secs_f64();
        let mut outcome = Outcome::default();
        let why = match close {
            Close::Ended(ended) => {
                outcome.exit_code = ended.status.code();
                outcome.signal = std::os::unix::process::ExitStatusExt::signal(&ended.status);
                if ended.is_success() {
                    tracing::info!(job = %id, route = %path, "job {id} of {path} is done after {took:.1} s");
                    return self.finish(Ending::Done, outcome).await;
                }
                let last = ended.stderr.last().map(|last| format!(": {last}")).unwrap_or_default();
                format!("{ended}{}{last}", sandbox::hint(&ended))
            }
            Close::Cancelled => {
                tracing::info!(job = %id, route = %path, "job {id} of {path} is cancelled after {took:.1} s");
                return self.finish(Ending::Cancelled, outcome).await;
            }
            Close::Cut => {
                tracing::info!(job = %id, route = %path, "job {id} of {path} was ended, for dormouse leaves; it is run again");
                let released = self.jobs.store.retry_at(id, None, now(), None, Again::Released).await;
                if let Err(error) = released {
                    tracing::error!("job {id}: {}", chain(&error)); // the next process finds it running, which is the same
                }
                return;
            }
            Close::TimedOut => "it took longer than it may (timeouts.total)".to_owned(),
            Close::NotStarted(why) => why,
        };
        outcome.error = Some(why.clone());
        match self
            .settings
            .wait_after(self.job.attempts)
            .filter(|_| self.job.interruptions <= MOST_INTERRUPTIONS)
        {
            Some(wait) => {
                let within = crate::schema::duration::text(wait);
                tracing::warn!(job = %id, route = %path, "job {id} of {path} has failed, and is tried again in {within}: {why}");
                let due = after(now(), wait);
                self.write(|| self.jobs.store.retry_at(id, None, due, Some(outcome.clone()), Again::Failed))
                    .await;
            }
            None => {
                tracing::error!(job = %id, route = %path, "job {id} of {path} has failed: {why}");
                self.finish(Ending::Failed, outcome).await;
            }
        }
    }

    async fn finish(&self, ending: Ending, outcome: Outcome) {
        self.sync_output().await;
        let (id, now) = (self.job.id, now());
        let expires = after(now, self.settings.keep);
        if let Some(progress) = self.attempt.progress() {
            let _ = self.jobs.store.progress(id, None, progress).await; // it is over in any case
        }
        self.write(|| self.jobs.store.finish(id, None, ending, outcome.clone(), now, expires)).await;
    }

    /// Its output is on disk before its end is.
    async fn sync_output(&self) {
        let path = self.jobs.output(self.job.id);
        let syncing = move || File::open(path).and_then(|file| file.sync_data());
        let _ = tokio::task::spawn_blocking(syncing).await; // there may be none
    }

    /// Writes until it is written, or dormouse leaves: then it is run again by the next.
    async fn write<F>(&self, write: impl Fn() -> F)
    where
        F: Future<Output = Result<Result<Job, Refused>, StoreError>>,
    {
        loop {
            let id = self.job.id;
            match write().await {
                Ok(Ok(_)) => return,
                Ok(Err(refused)) => {
                    tracing::error!("what became of job {id} is not written: {refused}");
                    return;
                }
                Err(error) => {
                    tracing::error!("what became of job {id} cannot be written yet: {}", chain(&error));
                }
            }
            tokio::select! {
                () = sleep(AGAIN) => {}
                () = self.control.cut() => return,
            }
        }
    }
}

/// A file in memory that has these bytes.
fn memory(bytes: &Bytes) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("job", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

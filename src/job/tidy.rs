//! What is forgotten: results whose time is over, and what a process that is gone has left of jobs that never were.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

use super::Jobs;
use crate::store::{self, JobId, now};

/// At most so many results are forgotten at once.
const PURGED_AT_ONCE: usize = 1000;

/// So often, at most, results are forgotten while there is something else to do.
const NOW_AND_THEN: Duration = Duration::from_secs(60);

impl Jobs {
    /// Forgets results that nobody is to see any more, and, once in a process, what is left of jobs that never were.
    pub async fn tidy(&self) {
        *self.tidied.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if self.purge().await {
            self.swept.get_or_init(|| self.sweep()).await;
        }
    }

    /// The same, unless that was done a moment ago.
    pub async fn tidy_now_and_then(&self) {
        if self.is_untidy() {
            self.tidy().await;
        }
    }

    /// The same, and nobody waits for it.
    pub fn tidy_aside(self: &Arc<Self>) {
        if self.is_untidy() {
            let jobs = self.clone();
            tokio::spawn(async move { jobs.tidy_now_and_then().await });
        }
    }

    fn is_untidy(&self) -> bool {
        let tidied = *self.tidied.lock().unwrap_or_else(PoisonError::into_inner);
        tidied.is_none_or(|tidied| tidied.elapsed() > NOW_AND_THEN)
    }

    /// Whether the store could be asked; otherwise it is done the next time.
    async fn purge(&self) -> bool {
        loop {
            let Ok(gone) = self.store.purge(now(), PURGED_AT_ONCE).await else { return false };
            let files: Vec<_> = gone.iter().flat_map(|id| [self.input(*id), self.output(*id)]).collect();
            let removing = spawn_blocking(move || {
                for file in files {
                    let _ = std::fs::remove_file(file); // most jobs have none
                }
            });
            let _ = removing.await;
            if gone.len() < PURGED_AT_ONCE {
                return true;
            }
        }
    }

    /// Removes the files of jobs that were never accepted, or are forgotten. Beside a damaged store they may be of jobs that
    /// are in that one alone: all stay, as long as it does.
    async fn sweep(&self) {
        let begun = now();
        if let Some(aside) = store::aside(self.folder.path().parent().unwrap_or(Path::new("/"))) {
            tracing::warn!("files in {} stay, as {} does", self.folder.path().display(), aside.display());
            return;
        }
        let folder = self.folder.path().to_owned();
        let files = spawn_blocking(move || files(&folder)).await.unwrap_or_default();
        let (mut known, mut strays) = (HashSet::new(), Vec::new());
        for (id, path) in files {
            match self.store.get(id).await {
                Ok(None) if id.created() < begun => strays.push(path),
                _ => drop(known.insert(id.to_string())),
            }
        }
        let folder = self.folder.clone();
        let removing = spawn_blocking(move || {
            strays.iter().filter(|path| path.extension().is_some_and(|ending| ending == "out")).for_each(
                |path| {
                    let _ = std::fs::remove_file(path); // the next process tries again
                },
            );
            folder.sweep(|id| known.contains(id))
        });
        if let Err(error) = removing.await.map_err(std::io::Error::other).flatten() {
            tracing::warn!(%error, "leftovers in {} stay: {error}", self.folder.path().display());
        }
    }
}

/// The files that are named by a job.
fn files(folder: &Path) -> Vec<(JobId, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let path = entry.path();
        let id = path.file_name()?.to_str()?.split('.').next()?.parse().ok()?;
        Some((id, path))
    });
    named.collect()
}

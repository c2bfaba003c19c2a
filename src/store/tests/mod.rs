mod damage;
mod disk;
mod life;
mod model;
mod shared;
mod speed;
mod tmpfs;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::file::FILE;
use super::*;

/// A state directory, gone with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dormouse-store-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    fn open(&self) -> JobStore {
        JobStore::new(self.0.clone())
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }

    /// The names of its files.
    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).expect("it is there");
        let mut names: Vec<_> =
            names.map(|name| name.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    /// What a damaged file was renamed to.
    fn aside(&self) -> Option<PathBuf> {
        let name = self.files().into_iter().find(|name| name.starts_with("jobs.redb.damaged-"));
        name.map(|name| self.0.join(name))
    }

    /// As the disk is now, which is what the next process sees if this one is killed.
    fn as_after_kill(&self) -> Self {
        let after = Self::new();
        copy(&self.file(), &after.file());
        after
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).expect("it can be copied");
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(test)
}

pub(super) fn a_job(queue: &str, due: Millis) -> NewJob {
    NewJob {
        id: JobId::new(),
        queue: queue.to_owned(),
        path: format!("/{queue}"),
        command: vec!["/bin/true".into()],
        env: Vec::new(),
        input: Input::default(),
        client: "192.0.2.7".to_owned(),
        created: 1,
        due,
    }
}

fn a_lease(token: &str, until: Millis) -> Lease {
    Lease { token: token.to_owned(), until, worker: None }
}

impl JobStore {
    async fn accept(&self, queue: &str, due: Millis) -> JobId {
        match self.submit(a_job(queue, due), None, None, u64::MAX).await.expect("it works") {
            Submitted::Accepted(job) => job.id,
            other => panic!("{other:?}"),
        }
    }

    async fn job(&self, id: JobId) -> Job {
        self.get(id).await.expect("it works").expect("it is there")
    }

    async fn state(&self, id: JobId) -> Option<State> {
        self.get(id).await.expect("it works").map(|job| job.state)
    }

    async fn ids(&self, queue: &str) -> Vec<JobId> {
        let jobs = self.list(queue, None, usize::MAX).await.expect("it works");
        jobs.into_iter().map(|job| job.id).collect()
    }
}

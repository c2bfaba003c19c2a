//! The reserve, on a disk that is really full.

use std::io::Write;
use std::process::Command;

use super::*;

/// A small file system, gone with the test.
struct Mount(Directory);

impl Mount {
    /// `None`, and the reason printed, where it may not be mounted.
    fn new(size: &str) -> Option<Self> {
        let directory = Directory::new();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&directory.0);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(directory)),
            Ok(output) => {
                eprintln!("skipped, cannot mount: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped, cannot mount: {error}");
                None
            }
        }
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut file = fs::File::options().create(true).append(true).open(self.filler()).expect("a file");
        for size in [1 << 20, 4096] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    fn filler(&self) -> PathBuf {
        self.0.0.join("filler")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0.0).output();
    }
}

async fn end_next(store: &JobStore, outcome: &Outcome) -> bool {
    let Some(job) = store.lease("q", 1, None).await.expect("the reserve") else { return false };
    let ended = store.finish(job.id, None, Ending::Done, outcome.clone(), 1, 9).await;
    ended.expect("the reserve").expect("it runs");
    true
}

#[test]
fn jobs_end_on_a_full_disk_and_none_is_accepted() {
    let Some(mount) = Mount::new("8m") else { return };
    let store = mount.0.open();
    run(async {
        for _ in 0..300 {
            store.accept("q", 1).await;
        }
        mount.fill();
        // What is free within the file does for some.
        while store.submit(a_job("q", 1), None, None, 999).await.is_ok() {}
        let ids = store.ids("q").await;
        // Those who fill the disk go on doing so, and get nothing of the reserve.
        let short = Outcome { exit_code: Some(0), ..Outcome::default() };
        for _ in 0..30 {
            assert!(end_next(&store, &short).await);
            mount.fill();
        }
        let refused = store.submit(a_job("q", 1), None, None, 999).await;
        assert!(matches!(refused, Err(StoreError::NoSpace { .. })), "{refused:?}");
        store.close().await;
        assert_eq!(store.ids("q").await, ids, "it opens on a full disk");

        fs::remove_file(mount.filler()).expect("it is there");
        let id = store.accept("q", 1).await;
        assert_eq!((store.state(id).await, mount.0.aside()), (Some(State::Queued), None));
        assert!(mount.0.files().contains(&"jobs.reserve".to_owned()));
        store.close().await;
    });
}

#[test]
fn the_reserve_lasts_for_hundreds_of_jobs() {
    let Some(mount) = Mount::new("8m") else { return };
    let store = mount.0.open();
    run(async {
        for _ in 0..300 {
            store.accept("q", 1).await;
        }
        mount.fill();
        let long = Outcome { error: Some("x".repeat(500)), ..Outcome::default() };
        while end_next(&store, &long).await {}
        assert_eq!((store.summary().await.expect("it works"), store.ids("q").await.len()), (vec![], 300));
        store.close().await;
    });
}

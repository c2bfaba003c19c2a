//! A disk that is full: nothing more is accepted, nothing is lost, and it goes on when there is room.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::board::{Board, STAYS, WAITS, accepted, ask, exists, id, kill, pipes, stop, wait};
use crate::site::DORMOUSE;

/// A small disk in a mount namespace of its own, which this process need not be in; `None`, with the reason printed, where
/// that is not allowed.
struct Disk {
    holder: Child,
    path: PathBuf,
}

impl Disk {
    fn new(board: &Board) -> Option<Self> {
        let path = board.path("disk");
        std::fs::create_dir_all(&path).expect("a folder");
        let script =
            format!("mount -t tmpfs -o size=8m none '{}' && echo mounted && exec sleep 1000", path.display());
        let mut holder = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", &script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take()?).read_line(&mut line).expect("a pipe");
        if line != "mounted\n" {
            let output = holder.wait_with_output().expect("a child");
            println!("skipped: no small disk here: {}", String::from_utf8_lossy(&output.stderr).trim());
            return None;
        }
        let path = PathBuf::from(format!("/proc/{}/root{}", holder.id(), path.display()));
        Some(Self { holder, path })
    }

    /// What starts dormouse with its state on this disk.
    fn program(&self, board: &Board) {
        let script = format!(
            "#!/bin/sh\nexport RUNTIME_DIRECTORY='{}' STATE_DIRECTORY='{}'\n\
             exec nsenter --target {} --user --mount --preserve-credentials '{DORMOUSE}' serve --config '{}'\n",
            board.site.runtime.display(),
            board.path("disk").display(),
            self.holder.id(),
            board.site.config().display()
        );
        let path = board.path("serve");
        std::fs::write(&path, script).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is ours");
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.path.join("filler")).expect("a file");
        let is_full = (1..=9).any(|_| file.write_all(&vec![0; 1 << 20]).is_err());
        assert!(is_full, "it has no end");
        while file.write_all(&[0; 512]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.path.join("filler")).expect("it is there");
    }

    fn spool(&self) -> usize {
        std::fs::read_dir(self.path.join("jobs/spool")).map_or(0, |entries| entries.flatten().count())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_full_disk_is_507_until_there_is_room() {
    let config = format!("{STAYS}[[route]]\npath = \"/a\"\njob = [\"FOLDER/a\"]\nworkers = 2\n");
    let board = Board::new(&[("a", &format!("{WAITS}; wc -c > FOLDER/read-$JOB_ID"))], &config);
    let Some(disk) = Disk::new(&board) else { return };
    disk.program(&board);
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let mut all: Vec<(String, usize)> = [5, 100_000, 7, 120_000]
        .into_iter()
        .map(|size| (board.submit("/a", vec![b'x'; size]), size))
        .collect();
    begun.line();
    begun.line();
    let kept = disk.spool();
    disk.fill();
    // The file of the store may have room within itself, as long as that lasts.
    let submit = |size: usize| ask(board.site.web, "POST", "/a", "", &vec![b'x'; size]).expect("an answer");
    all.extend((0..900).map_while(|_| {
        let answer = submit(20_000);
        (answer.status() != 507).then(|| (accepted(&answer), 20_000))
    }));
    std::thread::scope(|scope| {
        for size in [25_000, 32_000, 40_000, 900_000].repeat(3) {
            scope.spawn(move || {
                let answer = submit(size);
                assert_eq!(answer.status(), 507, "{}", answer.text());
            });
        }
    });
    assert!(wait(|| disk.spool() == kept), "what is refused is not kept");
    assert_eq!(board.list("/a").len(), all.len());
    // Those that run end, the others run, all the same.
    go.open(1);
    begun.line();
    assert!(wait(|| board.list("/a").iter().any(|job| job["state"] == "done")));
    println!("a full disk: {} accepted before, within what the store had, and all are done on it", all.len());
    go.open(all.len() - 1);
    for (at, size) in &all {
        board.until(at, "done");
        assert_eq!(board.text(&format!("read-{}", id(at))).trim(), size.to_string());
    }
    assert!(wait(|| !exists(&disk.path.join("jobs/due"))));
    assert_eq!(submit(40_000).status(), 507);
    disk.free();
    for size in [10, 300_000] {
        all.push((board.submit("/a", vec![b'x'; size]), size));
    }
    go.open(2);
    all.iter().for_each(|(at, _)| drop(board.until(at, "done")));
    kill(daemon);
    let daemon = board.wake();
    all.iter().for_each(|(at, _)| drop(board.until(at, "done")));
    assert_eq!(board.list("/a").len(), all.len());
    stop(daemon);
}

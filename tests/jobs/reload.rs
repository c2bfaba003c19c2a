//! A config that changes under jobs, and two that share a folder.

use crate::board::{Board, QUICK, STAYS, WAITS, exists, id, json, kill, pipes, stop, wait};
use crate::harness::Daemon;
use crate::site::Site;

const A: &str = "[[route]]\npath = \"/a\"\njob = [\"FOLDER/a\"]\n";
const PULL: &str = "[[route]]\npath = \"/a\"\npull = true\n";

fn reload(board: &Board, daemon: &mut Daemon, config: &str) {
    board.configure(config);
    daemon.listen_in();
    let before = daemon.hear("READY=1");
    daemon.signal(libc::SIGHUP);
    let reloading = daemon.hear_after("RELOADING=1", &before);
    daemon.hear_after("READY=1", &reloading);
}

#[test]
fn jobs_of_a_route_that_goes_wait_for_it_to_come_back() {
    let board = Board::new(&[("a", WAITS)], &format!("{STAYS}{A}workers = 2\n"));
    let (mut begun, mut go) = pipes(&board);
    let mut daemon = board.wake();
    let all: Vec<_> = (0..5).map(|_| board.submit("/a", "")).collect();
    let running = [begun.line(), begun.line()];
    reload(&board, &mut daemon, STAYS);
    assert_eq!(board.get(&all[0]).status(), 404);
    // Those that run end; one that has its place would be begun now.
    go.open(1);
    assert!(wait(|| exists(&board.path("jobs/parked"))));
    go.open(1);
    assert!(wait(|| !exists(&board.due())), "nothing is to be done");
    assert!(!begun.has_more());
    // The route comes back, changed.
    reload(&board, &mut daemon, &format!("{STAYS}{A}"));
    let mut ran = running.to_vec();
    for _ in 0..2 {
        ran.push(begun.line());
        assert!(!begun.has_more(), "one worker");
        go.open(1);
    }
    ran.push(begun.line());
    assert!(!exists(&board.path("jobs/parked")) && exists(&board.due()));
    go.open(1);
    all.iter().for_each(|at| drop(board.until(at, "done")));
    assert_eq!(ran[2..], all[2..].iter().map(|at| id(at).to_owned()).collect::<Vec<_>>());
    assert!(wait(|| !exists(&board.due())));
    stop(daemon);
}

#[test]
fn parked_jobs_let_it_sleep_and_are_found_by_the_next_that_has_their_route() {
    let board = Board::new(&[("a", "echo $JOB_ID >> FOLDER/ran; [ -e FOLDER/mended ]")], "");
    let config = format!("{QUICK}{A}retries = 1\nbackoff = \"1h\"\n");
    board.configure(&config);
    let daemon = board.wake();
    let at = board.submit("/a", "");
    daemon.asleep();
    board.configure(QUICK);
    let daemon = board.wake();
    board.get("/hello");
    let log = daemon.asleep();
    assert!(log.contains("1 jobs wait that no route takes"), "{log}");
    assert!(!exists(&board.due()) && exists(&board.path("jobs/parked")));
    board.configure(&config);
    let daemon = board.wake();
    assert!(wait(|| exists(&board.due()) && !exists(&board.path("jobs/parked"))));
    assert_eq!(board.job(&at)["state"], "queued");
    daemon.asleep();
    assert_eq!(board.text("ran"), format!("{}\n", id(&at)));
}

#[test]
fn a_job_that_was_on_its_way_when_its_route_went_is_not_lost() {
    use std::io::Write;
    let board = Board::new(&[("a", "cat")], &format!("{STAYS}{A}"));
    let mut daemon = board.wake();
    let mut upload = crate::harness::connect(board.site.web).0;
    let begins = [crate::board::head("POST", "/a", "", 100_000).as_bytes(), &[b'x'; 60_000]].concat();
    upload.write_all(&begins).expect("it reads");
    assert!(wait(|| board.spool().iter().any(|name| name.ends_with(".part"))), "it has not begun");
    reload(&board, &mut daemon, STAYS);
    upload.write_all(&[b'x'; 40_000]).expect("it reads");
    let answer = crate::board::whole(&mut upload).expect("an answer");
    let at = crate::board::accepted(&answer);
    assert!(wait(|| exists(&board.path("jobs/parked")) && !exists(&board.due())), "nobody knows of it");
    kill(daemon);
    board.configure(&format!("{STAYS}{A}"));
    let daemon = board.wake();
    board.until(&at, "done");
    stop(daemon);
}

#[test]
fn a_route_may_change_to_outside_workers_and_back() {
    let board = Board::new(&[("a", WAITS)], &format!("{QUICK}{A}"));
    let (mut begun, mut go) = pipes(&board);
    let mut daemon = board.wake();
    let all: Vec<_> = (0..3).map(|_| board.submit("/a", "")).collect();
    begun.line();
    reload(&board, &mut daemon, &format!("{QUICK}{PULL}"));
    go.open(1);
    board.until(&all[0], "done");
    assert!(!begun.has_more());
    // They are for others now: nothing is to be done here, and nobody is to start it for them.
    daemon.asleep();
    assert!(!exists(&board.due()));
    let mut daemon = board.wake();
    let leased = json(&board.post("/a/lease?worker=w", ""));
    assert_eq!(leased["id"], id(&all[1]));
    let pulled = board.submit("/a", "");
    reload(&board, &mut daemon, &format!("{STAYS}{A}"));
    // What is leased is left with its worker; the one after it has a command line, the last has none.
    assert_eq!(begun.line(), id(&all[2]));
    go.open(1);
    board.until(&all[2], "done");
    let job = board.until(&pulled, "failed");
    assert!(job["error"].as_str().expect("text").contains("names no program"), "{job}");
    assert_eq!(board.job(&all[1])["state"], "running");
    kill(daemon);
    stop(board.wake());
}

#[test]
fn jobs_for_outside_workers_have_no_marker() {
    let board = Board::new(&[("a", "true")], &format!("{QUICK}{A}[[route]]\npath = \"/p\"\npull = true\n"));
    let daemon = board.wake();
    let pulled = board.submit("/p", "");
    assert!(!exists(&board.due()));
    // A crash with one of each kind left.
    board.program("a", WAITS);
    let (mut begun, mut go) = pipes(&board);
    let here = board.submit("/a", "");
    begun.line();
    kill(daemon);
    let daemon = board.wake();
    begun.line();
    go.open(1);
    board.until(&here, "done");
    daemon.asleep();
    assert!(!exists(&board.due()), "it would be started again and again for what it does not do");
    let daemon = board.wake();
    assert_eq!(board.job(&pulled)["state"], "queued");
    daemon.asleep();
}

/// Whoever mends the store by hand wants what its jobs were to read.
#[test]
fn what_a_damaged_store_has_in_the_spool_stays_as_long_as_it_does() {
    let board = Board::new(&[("a", "true")], &format!("{STAYS}{A}[[route]]\npath = \"/p\"\npull = true\n"));
    let daemon = board.wake();
    let lost = board.submit("/p", vec![b'x'; 100_000]);
    stop(daemon);
    std::fs::write(board.path("jobs/jobs.redb"), [b'?'; 1 << 20]).expect("a file");
    let aside = || {
        let entries =
            std::fs::read_dir(board.path("jobs")).expect("a folder").map(|entry| entry.expect("read").path());
        entries.into_iter().find(|path| path.to_str().expect("text").contains(".damaged-"))
    };
    let input = [format!("{}.in", id(&lost))];
    for _ in 0..2 {
        let daemon = board.wake();
        board.until(&board.submit("/a", ""), "done");
        assert_eq!(board.get(&lost).status(), 404);
        let log = stop(daemon);
        assert!(log.contains("stay, as"), "{log}");
        assert!(aside().is_some());
        assert_eq!(board.spool(), input);
    }
    std::fs::remove_file(aside().expect("it is there")).expect("a file");
    let daemon = board.wake();
    board.until(&board.submit("/a", ""), "done");
    assert!(wait(|| board.spool().is_empty()), "{:?}", board.spool());
    stop(daemon);
}

#[test]
fn a_second_dormouse_with_the_same_folder_is_503_and_does_no_harm() {
    let board = Board::new(&[("a", WAITS)], &format!("{STAYS}{A}"));
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let at = board.submit("/a", "");
    begun.line();
    let other = Other::new(&board);
    for (method, target, size) in
        [("POST", "/a", 10), ("POST", "/a", 100_000), ("GET", "/a", 0), ("GET", &at, 0)]
    {
        let body = vec![b'x'; size];
        let answer = crate::board::ask(other.0.web, method, target, "", &body).expect("an answer");
        assert_eq!(answer.status(), 503, "{method} {target}");
    }
    assert!(exists(&board.due()), "the marker is not the other's to remove");
    let log = stop(other.1);
    assert!(
        log.contains("is open in another process; each dormouse needs a state directory of its own"),
        "{log}"
    );
    assert!(exists(&board.due()));
    assert!(wait(|| board.spool().is_empty()), "{:?}", board.spool());
    kill(daemon);
    let daemon = board.wake();
    begun.line();
    go.open(1);
    board.until(&at, "done");
    stop(daemon);
}

/// Another one, on a socket of its own, with the state directory of the first.
struct Other(Site, Daemon);

impl Other {
    fn new(board: &Board) -> Self {
        let site = Site::new("");
        std::fs::copy(board.site.config(), site.config()).expect("a file");
        let script = format!(
            "#!/bin/sh\nRUNTIME_DIRECTORY='{}' STATE_DIRECTORY='{}' exec '{}' serve --config '{}'\n",
            site.runtime.display(),
            board.path("").display(),
            crate::site::DORMOUSE,
            site.config().display()
        );
        std::fs::write(site.unit.folder.join("serve"), script).expect("a file");
        let daemon = site.wake();
        Self(site, daemon)
    }
}

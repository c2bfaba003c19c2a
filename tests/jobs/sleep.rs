//! What keeps it awake, and what the marker says meanwhile.

use std::time::{Duration, SystemTime};

use crate::board::{Board, QUICK, WAITS, exists, kill, pipes, stop, wait};

fn board(script: &str, keys: &str) -> Board {
    let config = format!("{QUICK}[[route]]\npath = \"/a\"\njob = [\"FOLDER/a\"]\n{keys}\n");
    Board::new(&[("a", script)], &config)
}

/// How long until the marker's time.
fn due_in(board: &Board) -> Option<Duration> {
    let modified = board.due().metadata().expect("a marker").modified().expect("a time");
    modified.duration_since(SystemTime::now()).ok()
}

#[test]
fn a_job_keeps_it_awake_and_then_it_sleeps() {
    let board = board(WAITS, "");
    let (mut begun, mut go) = pipes(&board);
    let mut daemon = board.wake();
    let (first, second) = (board.submit("/a", ""), board.submit("/a", ""));
    for _ in [&first, &second] {
        begun.line();
        // Much longer than it is quiet otherwise: a reason to leave would have come.
        std::thread::sleep(Duration::from_millis(300));
        assert!(daemon.is_running(), "a job runs");
        assert_eq!(due_in(&board), None, "it is due");
        go.open(1);
    }
    daemon.asleep();
    assert!(!exists(&board.due()));
    let daemon = board.wake();
    assert_eq!((&board.job(&first)["state"], &board.job(&second)["state"]), (&"done".into(), &"done".into()));
    stop(daemon);
}

#[test]
fn a_retry_in_an_hour_lets_it_sleep_and_the_marker_says_when() {
    let board = board("[ -e FOLDER/mended ]", "retries = 3\nbackoff = \"1h\"");
    let daemon = board.wake();
    let at = board.submit("/a", "");
    daemon.asleep();
    let hour = due_in(&board).expect("it is not due");
    assert!((3500..=3601).contains(&hour.as_secs()), "{hour:?}");
    // Started before that, for something else, it leaves it as it is.
    let daemon = board.wake();
    board.get("/hello");
    daemon.asleep();
    assert!(due_in(&board).expect("it is not due").abs_diff(hour) < Duration::from_secs(60));
    // Another one is done at once, and the first waits on.
    std::fs::write(board.path("mended"), "").expect("a file");
    let daemon = board.wake();
    let other = board.submit("/a", "");
    board.until(&other, "done");
    assert_eq!(board.job(&at)["state"], "queued");
    daemon.asleep();
    assert!(due_in(&board).is_some());
    // Stopped while it waits, too.
    let daemon = board.wake();
    board.get("/hello");
    stop(daemon);
    assert!(due_in(&board).is_some());
    // Whoever does not want it any more ends that.
    let daemon = board.wake();
    assert_eq!(board.ask("DELETE", &at, "", b"").status(), 200);
    assert!(wait(|| !exists(&board.due())), "the marker stays");
    daemon.asleep();
}

#[test]
fn started_when_a_retry_is_due_it_runs_it() {
    let board = board("[ -e FOLDER/mended ]", "retries = 3\nbackoff = \"3s\"");
    let daemon = board.wake();
    let at = board.submit("/a", "");
    // It waits awake, as it is soon; whoever ends it then finds when.
    assert!(wait(|| due_in(&board).is_some()));
    kill(daemon);
    std::fs::write(board.path("mended"), "").expect("a file");
    assert!(wait(|| due_in(&board).is_none()), "its time does not come");
    let daemon = board.wake();
    board.until(&at, "done");
    daemon.asleep();
    assert!(!exists(&board.due()));
}

#[test]
fn a_retry_that_is_due_soon_is_waited_for() {
    let board =
        board("[ -e FOLDER/tried ] || { touch FOLDER/tried; exit 1; }", "retries = 1\nbackoff = \"2s\"");
    let daemon = board.wake();
    let at = board.submit("/a", "");
    daemon.asleep();
    assert!(!exists(&board.due()));
    let daemon = board.wake();
    assert_eq!(board.job(&at)["attempts"], 2);
    stop(daemon);
}

//! SIGTERM while jobs run: they get the drain, then they are ended with their groups, put back, and run again.

use crate::board::{Board, STAYS, exists, is_alive, kill, pipes, stop, wait};

fn config(drain: &str, program: &str) -> String {
    format!("{STAYS}drain = \"{drain}\"\n[[route]]\npath = \"/a\"\njob = [\"FOLDER/{program}\"]\n")
}

#[test]
fn a_job_that_ends_within_the_drain_is_done() {
    let board = Board::new(&[("a", crate::board::WAITS)], &config("20s", "a"));
    let (mut begun, mut go) = pipes(&board);
    let mut daemon = board.wake();
    let (first, second) = (board.submit("/a", ""), board.submit("/a", ""));
    begun.line();
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    go.open(1);
    daemon.asleep();
    assert!(!begun.has_more(), "nothing is begun in a drain");
    assert!(exists(&board.due()), "the second waits");
    let daemon = board.wake();
    assert_eq!(board.job(&first)["state"], "done");
    begun.line();
    go.open(1);
    assert_eq!(board.until(&second, "done")["attempts"], 1);
    stop(daemon);
}

#[test]
fn one_that_outlasts_the_drain_is_ended_with_its_group_and_run_again() {
    let script = "trap 'echo term >> FOLDER/told' TERM; sleep 1000 & echo $! > FOLDER/grandchild
        echo attempt $JOB_ATTEMPT; echo $(cat) > FOLDER/begun; read go < FOLDER/go";
    let board = Board::new(&[("a", script)], &config("200ms", "a"));
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let (at, later) = (board.submit("/a", "first"), board.submit("/a", "second"));
    assert_eq!(begun.line(), "first");
    let grandchild = board.text("grandchild");
    assert!(is_alive(grandchild.trim()));
    let log = stop(daemon);
    assert!(log.contains("it is run again"), "{log}");
    assert_eq!(board.text("told"), "term\n");
    assert!(wait(|| !is_alive(grandchild.trim())), "what it has started is left behind");
    assert!(exists(&board.due()));
    // In its old place, as if it had not been begun; with what it has printed.
    let daemon = board.wake();
    assert_eq!(begun.line(), "first");
    go.open(1);
    let job = board.until(&at, "done");
    assert_eq!((&job["attempts"], &job["output"]), (&1.into(), &"attempt 1\nattempt 1\n".into()), "{job}");
    assert_eq!(begun.line(), "second");
    go.open(1);
    board.until(&later, "done");
    stop(daemon);
}

#[test]
fn one_that_ignores_term_is_killed_and_run_again() {
    let script = "trap '' TERM; echo $$ > FOLDER/begun; read go < FOLDER/go";
    let board = Board::new(&[("a", script)], &config("100ms", "a"));
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let at = board.submit("/a", "");
    let pid = begun.line();
    stop(daemon);
    assert!(!is_alive(&pid));
    let daemon = board.wake();
    begun.line();
    go.open(1);
    let job = board.until(&at, "done");
    assert_eq!(job["attempts"], 1, "it was put back in order: {job}");
    stop(daemon);
}

#[test]
fn one_that_a_crash_ended_is_run_again_and_that_is_no_failure() {
    let board = Board::new(
        &[("a", "echo $JOB_ATTEMPT > FOLDER/begun; read go < FOLDER/go; exit 1")],
        &config("1s", "a").replace("job =", "retries = 1\nbackoff = \"1ms\"\njob ="),
    );
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let at = board.submit("/a", "");
    assert_eq!(begun.line(), "1");
    kill(daemon);
    let daemon = board.wake();
    // Its one retry is still to come.
    for attempt in ["2", "3"] {
        assert_eq!(begun.line(), attempt);
        go.open(1);
    }
    let job = board.until(&at, "failed");
    assert_eq!((&job["attempts"], &job["exit_code"]), (&3.into(), &1.into()), "{job}");
    stop(daemon);
}

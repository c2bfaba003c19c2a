//! `DELETE PATH/ID`.

use crate::board::{Board, STAYS, WAITS, exists, id, is_alive, json, pipes, stop, wait};

fn board(script: &str, keys: &str) -> Board {
    let config = format!("{STAYS}[[route]]\npath = \"/a\"\njob = [\"FOLDER/a\"]\n{keys}\n");
    Board::new(&[("a", script)], &config)
}

#[test]
fn one_that_waits_never_runs() {
    let board = board(WAITS, "");
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let (first, second, third) = (board.submit("/a", ""), board.submit("/a", "x"), board.submit("/a", ""));
    begun.line();
    let answer = board.ask("DELETE", &second, "", b"");
    assert_eq!((answer.status(), &json(&answer)["state"]), (200, &"cancelled".into()));
    let job = board.job(&second);
    assert_eq!((&job["state"], &job["attempts"]), (&"cancelled".into(), &0.into()), "{job}");
    assert!(job["finished"].is_string() && job["started"].is_null(), "{job}");
    go.open(2);
    board.until(&first, "done");
    assert_eq!(begun.line(), id(&third));
    board.until(&third, "done");
    for over in [&first, &second] {
        assert_eq!(board.ask("DELETE", over, "", b"").status(), 409);
    }
    assert_eq!(board.job(&first)["state"], "done");
    stop(daemon);
}

#[test]
fn one_that_runs_is_ended_with_its_group() {
    // Neither it nor what it has started ends by SIGTERM alone.
    let script = "trap '' TERM; (trap '' TERM; sleep 1000) & echo $! > FOLDER/grandchild
        echo $$ > FOLDER/begun; read go < FOLDER/go; sleep 1000";
    let board = board(script, "retries = 5");
    let (mut begun, _go) = pipes(&board);
    let daemon = board.wake();
    let (at, next) = (board.submit("/a", ""), board.submit("/a", ""));
    let pid = begun.line();
    let grandchild = board.text("grandchild");
    let answer = board.ask("DELETE", &at, "", b"");
    assert_eq!((answer.status(), &json(&answer)["state"]), (200, &"cancelled".into()));
    assert!(!is_alive(&pid) && wait(|| !is_alive(grandchild.trim())));
    assert_ne!(begun.line(), pid, "the next one has its place");
    board.ask("DELETE", &next, "", b"");
    assert_eq!(board.until(&next, "cancelled")["attempts"], 1);
    assert!(wait(|| !exists(&board.due())));
    stop(daemon);
}

/// One that a worker has just taken runs in the store before it does here.
#[test]
fn one_that_was_cancelled_does_not_run_whenever_that_was() {
    let board = board("read go < FOLDER/go; echo $JOB_ID >> FOLDER/ran", "workers = 8");
    let (_begun, mut go) = pipes(&board);
    let daemon = board.wake();
    const ROUNDS: usize = 25;
    let web = board.site.web;
    let cancelled: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let delete = |_| {
                        let answer = crate::board::ask(web, "POST", "/a", "", b"").expect("an answer");
                        let at = crate::board::accepted(&answer);
                        let answer = crate::board::ask(web, "DELETE", &at, "", b"").expect("an answer");
                        assert_eq!(answer.status(), 200, "{}", answer.text());
                        at
                    };
                    (0..ROUNDS).map(delete).collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect()
    });
    for at in &cancelled {
        assert_eq!(board.job(at)["state"], "cancelled");
    }
    go.open(cancelled.len()); // for those that run all the same
    assert!(wait(|| !exists(&board.due())), "something runs");
    stop(daemon);
    assert_eq!(board.text("ran"), "");
}

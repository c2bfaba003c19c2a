//! Who runs when: workers, order, places, retries, limits; what is kept, and for how long; one key, one job.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::board::{Board, STAYS, WAITS, accepted, ask, exists, id, is_alive, kill, pipes, stop, wait};

fn board(script: &str, keys: &str) -> Board {
    let config = format!("{STAYS}[[route]]\npath = \"/a\"\njob = [\"FOLDER/a\"]\n{keys}\n");
    Board::new(&[("a", script)], &config)
}

fn in_state(board: &Board, state: &str) -> usize {
    board.list("/a").iter().filter(|job| job["state"] == state).count()
}

#[test]
fn so_many_workers_run_so_many_at_once() {
    let board = board(WAITS, "workers = 3");
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let all: Vec<_> = (0..8).map(|_| board.submit("/a", "")).collect();
    let mut ran: BTreeSet<_> = (0..3).map(|_| begun.line()).collect();
    for left in (0..5).rev() {
        assert!(!begun.has_more());
        assert_eq!((in_state(&board, "running"), in_state(&board, "queued")), (3, left + 1));
        go.open(1);
        assert!(ran.insert(begun.line()));
    }
    go.open(3);
    all.iter().for_each(|at| drop(board.until(at, "done")));
    assert_eq!(ran, all.iter().map(|at| id(at).to_owned()).collect());
    stop(daemon);
}

#[test]
fn the_first_to_come_is_the_first_to_run() {
    let board = board("echo $JOB_ID >> FOLDER/ran", "");
    let daemon = board.wake();
    let all: Vec<_> = (0..20).map(|_| board.submit("/a", "")).collect();
    board.until(all.last().expect("some"), "done");
    stop(daemon);
    assert_eq!(
        board.text("ran").lines().collect::<Vec<_>>(),
        all.iter().map(|at| id(at)).collect::<Vec<_>>()
    );
}

#[test]
fn a_full_queue_is_503_and_takes_exactly_as_many_as_it_says() {
    let board = board(WAITS, "queue = 10");
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    board.submit("/a", "");
    begun.line(); // its place is free again
    let web = board.site.web;
    let clients: Vec<_> = (0..100)
        .map(|_| std::thread::spawn(move || ask(web, "POST", "/a", "", b"x").expect("an answer")))
        .collect();
    let answers: Vec<_> = clients.into_iter().map(|client| client.join().expect("no panic")).collect();
    let (taken, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status() == 202);
    assert_eq!((taken.len(), refused.len()), (10, 90));
    assert!(refused.iter().all(|answer| answer.status() == 503 && answer.header("retry-after").is_some()));
    assert_eq!(board.list("/a").len(), 11, "what is refused is not kept");
    go.open(1);
    begun.line();
    board.submit("/a", "");
    assert_eq!(board.post("/a", "").status(), 503);
    go.open(11);
    assert!(wait(|| !exists(&board.due())));
    stop(daemon);
}

#[test]
fn one_that_fails_is_tried_again_as_often_as_it_may_be() {
    let board = board(
        "echo try $JOB_ATTEMPT; [ $JOB_ATTEMPT = $(cat) ] || { echo wrong >&2; exit 7; }",
        "retries = 2\nbackoff = \"5ms\"",
    );
    let daemon = board.wake();
    let (good, bad) = (board.submit("/a", "3"), board.submit("/a", "4"));
    let job = board.until(&good, "done");
    assert_eq!((&job["attempts"], &job["exit_code"]), (&3.into(), &0.into()), "{job}");
    assert_eq!(job["error"], Value::Null, "{job}");
    assert_eq!(job["output"], "try 1\nwrong\ntry 2\nwrong\ntry 3\n");
    let job = board.until(&bad, "failed");
    assert_eq!((&job["attempts"], &job["exit_code"]), (&3.into(), &7.into()), "{job}");
    assert_eq!(job["error"], "exit code 7: wrong");
    stop(daemon);
}

/// What the request said is as it was then; what the route says is as it is now.
#[test]
fn arguments_and_environment_outlive_a_restart() {
    let script = "[ $JOB_ATTEMPT = 1 ] && { echo > FOLDER/begun; read go < FOLDER/go; }
        echo \"$1|$REQUEST_METHOD|$PATH_INFO|$QUERY_STRING|$CONTENT_LENGTH|$HTTP_X_A|$OWN|$(pwd)|$(nice)|$(cat)|$NOTIFY_SOCKET\"";
    let route = |own: &str| {
        format!(
            "{STAYS}[[route]]\npath = \"/a/{{{{name}}}}\"\njob = [\"FOLDER/a\", \"{{path.name}}\"]\n\
             env = {{ OWN = \"{own}\" }}\ndir = \"FOLDER/runtime\"\nnice = 5\nwhen = {{ \"header.X-A\" = \"b\" }}\n"
        )
        .replace("{{name}}", "{name}")
    };
    let board = Board::new(&[("a", script)], &route("one"));
    let (mut begun, _go) = pipes(&board);
    let daemon = board.wake();
    assert_eq!(board.post("/a/x", "").status(), 204, "`when` does not want it");
    let at = accepted(&board.ask("PUT", "/a/it%20is?q", "X-A: b\r\n", b"input"));
    assert_eq!(at, format!("/a/it%20is/{}", id(&at)));
    begun.line();
    board.configure(&route("two"));
    kill(daemon);
    let daemon = board.wake();
    let output = board.until(&at, "done")["output"].as_str().expect("text").to_owned();
    let folder = board.path("runtime");
    assert_eq!(output, format!("it is|PUT||q|5|b|two|{}|5|input|\n", folder.display()));
    stop(daemon);
}

#[test]
fn one_that_takes_too_long_is_ended() {
    let board = board("sleep 1000 & echo $! > FOLDER/child; wait", "timeouts = { total = \"300ms\" }");
    let daemon = board.wake();
    let at = board.submit("/a", "");
    let job = board.until(&at, "failed");
    assert!(job["error"].as_str().expect("text").contains("timeouts.total"), "{job}");
    assert!(wait(|| !is_alive(board.text("child").trim())));
    stop(daemon);
}

#[test]
fn a_program_that_is_not_there_is_a_failure_that_says_so() {
    let config = format!("{STAYS}[[route]]\npath = \"/a\"\njob = [\"FOLDER/none\"]\n");
    let board = Board::new(&[], &config);
    let daemon = board.wake();
    let job = board.until(&board.submit("/a", ""), "failed");
    assert!(job["error"].as_str().expect("text").contains("there is no program"), "{job}");
    stop(daemon);
}

#[test]
fn a_job_that_never_reads_its_input_is_done_and_so_is_one_that_closes_its_output() {
    let board = board("[ $(echo $QUERY_STRING) = close ] && exec >&- 2>&-; sleep 0.01", "");
    let daemon = board.wake();
    let large = vec![b'x'; 1 << 20];
    for target in ["/a", "/a?close"] {
        let job = board.until(&board.submit(target, &large), "done");
        assert_eq!(job["input"]["size"], 1 << 20);
    }
    stop(daemon);
}

#[test]
fn what_is_kept_is_forgotten_when_its_time_is_over() {
    let board = board("cat", "keep = \"1s\"");
    let daemon = board.wake();
    let (small, large) = (board.submit("/a", "small"), board.submit("/a", vec![b'x'; 100_000]));
    board.until(&small, "done");
    board.until(&large, "done");
    let names: Vec<String> =
        [format!("{}.out", id(&small)), format!("{}.in", id(&large)), format!("{}.out", id(&large))].into();
    assert_eq!(board.spool(), names);
    // Whoever does the next job looks what is over.
    let is_gone = |at: &str| board.get(at).status() == 404;
    assert!(wait(|| {
        board.until(&board.submit("/a", "next"), "done");
        is_gone(&small) && is_gone(&large)
    }));
    assert!(wait(|| board.spool().iter().all(|name| !names.contains(name))));
    assert_eq!(board.get(&format!("{small}/input")).status(), 404);
    stop(daemon);
}

#[test]
fn a_key_is_one_job() {
    let board = board("cat", "");
    let daemon = board.wake();
    let web = board.site.web;
    let post = move |key: &str, target: &str, body: &[u8]| {
        ask(web, "POST", target, &format!("Idempotency-Key: {key}\r\n"), body).expect("an answer")
    };
    // All at once, small and large.
    for (key, size) in [("small", 10), ("large", 200_000)] {
        let clients: Vec<_> = (0..20)
            .map(|_| std::thread::spawn(move || accepted(&post(key, "/a", &vec![b'x'; size]))))
            .collect();
        let places: BTreeSet<_> =
            clients.into_iter().map(|client| client.join().expect("no panic")).collect();
        assert_eq!(places.len(), 1, "{places:?}");
    }
    assert_eq!(board.list("/a").len(), 2);
    let at = accepted(&post("small", "/a", &[b'x'; 10]));
    for (target, body) in [("/a", &b"other"[..]), ("/a?b", &[b'x'; 10]), ("/a", &[b'x'; 50_000])] {
        assert_eq!(post("small", target, body).status(), 422);
    }
    for key in ["", &"k".repeat(257)] {
        assert_eq!(post(key, "/a", b"").status(), 400);
    }
    board.until(&at, "done");
    kill(daemon);
    let daemon = board.wake();
    assert_eq!(accepted(&post("small", "/a", &[b'x'; 10])), at);
    assert_eq!(post("small", "/a", b"other").status(), 422);
    assert_eq!(board.list("/a").len(), 2);
    assert!(
        wait(|| board.spool().iter().filter(|name| !name.ends_with(".out")).count() == 1),
        "{:?}",
        board.spool()
    );
    stop(daemon);
}

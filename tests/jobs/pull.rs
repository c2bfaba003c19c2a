//! Outside workers: leases, what they tell, and what becomes of the jobs of those that do not.

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::Value;

use crate::board::{Board, QUICK, STAYS, ask, exists, id, json, kill, most_memory, stop, wait};
use crate::harness::{Answer, connect};

const P: &str = "[[route]]\npath = \"/p\"\npull = true\n";

fn board(keys: &str) -> Board {
    Board::new(&[], &format!("{STAYS}{P}{keys}\n"))
}

/// The job that is leased, and its lease.
#[track_caller]
fn lease(board: &Board, query: &str) -> (Value, String) {
    let answer = board.post(&format!("/p/lease{query}"), "");
    assert_eq!(answer.status(), 200, "{answer:?}");
    let job = json(&answer);
    let token = job["lease"].as_str().expect("a lease").to_owned();
    (job, token)
}

fn told(board: &Board, at: &str, what: &str, token: &str, body: &str) -> Answer {
    let (what, query) = what.split_once('&').unwrap_or((what, ""));
    board.post(&format!("{at}/{what}?lease={token}&{query}"), body)
}

#[test]
fn a_worker_that_waits_has_a_job_when_it_comes() {
    let board = board("");
    let daemon = board.wake();
    let mut worker = connect(board.site.web);
    worker.send("POST /p/lease?wait=25s&worker=ann HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    // It is there, and has found nothing.
    assert!(wait(|| board.site.runtime.join("control.sock").exists()));
    assert!(wait(|| board.site.text().contains("/p")), "{}", board.site.text());
    let at = board.submit("/p?x", "what to do");
    let answer = worker.answer();
    let job = json(&answer);
    assert_eq!(answer.header("content-location"), Some(&*at));
    assert_eq!(
        (&job["id"], &job["state"], &job["worker"]),
        (&id(&at).into(), &"running".into(), &"ann".into())
    );
    assert_eq!(job["input"]["text"], "what to do");
    assert!(job["leased_until"].is_string() && job["lease"].as_str().is_some_and(|lease| lease.len() == 32));
    let seen = board.job(&at);
    assert!(seen["lease"].is_null() && seen["output"].is_null(), "nobody else is to know it: {seen}");
    stop(daemon);
}

#[test]
fn what_a_worker_tells_is_how_it_stands() {
    let board = board("retries = 1\nbackoff = \"1ms\"\n");
    let daemon = board.wake();
    let at = board.submit("/p", "");
    let (job, token) = lease(&board, "?for=5m");
    assert_eq!(job["location"], at.as_str());
    assert_eq!(told(&board, &at, "progress&done=1&total=4&text=a%20b", &token, "").status(), 200);
    assert_eq!(
        board.job(&at)["progress"],
        serde_json::json!({"done": 1, "total": 4, "percent": 25, "text": "a b"})
    );
    assert_eq!(told(&board, &at, "progress", &token, "3/4 by body").status(), 200);
    assert_eq!(board.job(&at)["progress"]["text"], "by body");
    for wrong in ["progress", "progress&done=5&total=4", "progress&done=x&total=4", "renew&for=x"] {
        assert_eq!(told(&board, &at, wrong, &token, "").status(), 400, "{wrong}");
    }
    let until = board.job(&at)["leased_until"].as_str().expect("a time").to_owned();
    assert_eq!(told(&board, &at, "renew&for=10m", &token, "").status(), 200);
    assert!(board.job(&at)["leased_until"].as_str().expect("a time") > &*until);
    let failed = json(&told(&board, &at, "fail", &token, "no paper"));
    assert_eq!((&failed["state"], &failed["error"]), (&"queued".into(), &"no paper".into()), "{failed}");
    let (job, token) = lease(&board, "?wait=20s");
    assert_eq!((&job["location"], &job["attempts"]), (&at.clone().into(), &2.into()));
    let done = json(&told(&board, &at, "done", &token, r#"{"pages": 3}"#));
    assert_eq!((&done["state"], &done["result"]["pages"]), (&"done".into(), &3.into()), "{done}");
    assert!(done["finished"].is_string() && done["leased_until"].is_null(), "{done}");
    // A second failure is one too many.
    let at = board.submit("/p", "");
    for state in ["queued", "failed"] {
        let (_, token) = lease(&board, "?wait=20s");
        assert_eq!(json(&told(&board, &at, "fail", &token, "no"))["state"], state);
    }
    let at = board.submit("/p", "");
    let (_, token) = lease(&board, "");
    assert_eq!(told(&board, &at, "done", &token, "plain").status(), 200);
    assert_eq!(board.job(&at)["result"], "plain");
    stop(daemon);
}

#[test]
fn only_who_has_it_may_tell() {
    let board = board("lease = \"1s\"\n");
    let daemon = board.wake();
    let at = board.submit("/p", "");
    assert_eq!(told(&board, &at, "done", "x", "").status(), 409, "nobody has it");
    let (_, old) = lease(&board, "");
    // When its time is over the next worker has it, who waits for just that.
    let (job, new) = lease(&board, "?wait=20s&for=1h");
    assert_eq!((&job["location"], &job["attempts"]), (&at.clone().into(), &2.into()));
    assert_ne!(old, new);
    for what in ["done", "fail", "progress&done=1&total=2", "renew"] {
        assert_eq!(told(&board, &at, what, &old, "").status(), 409, "{what}");
        assert_eq!(told(&board, &at, what, "", "").status(), 409, "{what}");
        let without = what.replacen('&', "?", 1);
        assert_eq!(board.post(&format!("{at}/{without}"), "").status(), 400, "{what} without a lease");
    }
    assert_eq!(told(&board, &at.replace("/p/", "/p/0"), "done", &new, "").status(), 404);
    assert_eq!(told(&board, &at, "done", &new, "").status(), 200);
    assert_eq!(told(&board, &at, "done", &new, "").status(), 409, "it is over");
    let at = board.submit("/p", "");
    let (_, token) = lease(&board, "");
    assert_eq!(board.ask("DELETE", &at, "", b"").status(), 200);
    assert_eq!(board.job(&at)["state"], "cancelled");
    assert_eq!(told(&board, &at, "done", &token, "").status(), 409);
    assert_eq!(board.ask("GET", "/p/lease", "", b"").header("allow"), Some("POST"));
    assert_eq!(board.get(&format!("{at}/done")).header("allow"), Some("POST"));
    stop(daemon);
}

/// A page of them would be a gigabyte, and several times that while it is made.
#[test]
fn a_list_has_no_results() {
    let board = board("");
    let daemon = board.wake();
    let result = format!("[{}1]", "1,".repeat(250_000));
    for _ in 0..6 {
        let at = board.submit("/p", "");
        let (_, token) = lease(&board, "");
        assert_eq!(told(&board, &at, "done", &token, &result).status(), 200);
        assert_eq!(board.job(&at)["result"].as_array().map(Vec::len), Some(250_001));
    }
    let at = board.submit("/p", "");
    let (_, token) = lease(&board, "");
    assert_eq!(told(&board, &at, "fail", &token, &"\u{e4}".repeat(10_000)).status(), 200);
    assert_eq!(board.job(&at)["error"].as_str().map(str::len), Some(20_000));
    let before = most_memory(&daemon);
    let list = board.list("/p");
    assert_eq!(list.len(), 7);
    assert!(list.iter().all(|job| job["result"].is_null()));
    assert_eq!(list[0]["error"].as_str().map(str::len), Some(1024), "its beginning");
    let more = most_memory(&daemon) - before;
    assert!(more < 10_000, "{more} KiB for a list");
    stop(daemon);
}

#[test]
fn two_workers_never_have_the_same_job() {
    let board = board("");
    let daemon = board.wake();
    let web = board.site.web;
    let all: BTreeSet<_> = (0..100).map(|number| board.submit("/p", number.to_string())).collect();
    let work = move || {
        let mut had = Vec::new();
        loop {
            let answer = ask(web, "POST", "/p/lease?wait=1s", "", b"").expect("an answer");
            if answer.status() == 204 {
                return had;
            }
            let job = json(&answer);
            let at = job["location"].as_str().expect("text").to_owned();
            let done = format!("{at}/done?lease={}", job["lease"].as_str().expect("text"));
            let answer = ask(web, "POST", &done, "", job["input"]["text"].as_str().expect("text").as_bytes());
            assert_eq!(answer.expect("an answer").status(), 200);
            had.push(at);
        }
    };
    let workers: Vec<_> = (0..5).map(|_| std::thread::spawn(work)).collect();
    let had: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect();
    assert_eq!((had.len(), had.into_iter().collect()), (100, all));
    assert!(board.list("/p").iter().all(|job| job["state"] == "done"));
    stop(daemon);
}

#[test]
fn leases_outlive_a_crash() {
    let board = board("");
    let daemon = board.wake();
    let (first, second) = (board.submit("/p", vec![b'x'; 100_000]), board.submit("/p", ""));
    let (job, token) = lease(&board, "?for=1h");
    assert_eq!(job["location"], first.as_str());
    kill(daemon);
    let daemon = board.wake();
    assert_eq!(lease(&board, "").0["location"], second.as_str(), "the first is still its worker's");
    assert_eq!(board.get(&format!("{first}/input")).body.len(), 100_000);
    assert_eq!(told(&board, &first, "done", &token, "").status(), 200);
    kill(daemon);
    let daemon = board.wake();
    assert_eq!(board.job(&first)["state"], "done");
    assert!(!exists(&board.due()), "others do them");
    stop(daemon);
}

#[test]
fn with_nothing_to_give_it_is_204_before_any_504() {
    let board = board("timeouts = { request = \"1s\" }\n");
    let daemon = board.wake();
    for query in ["", "?wait=1s", "?wait=10m"] {
        let answer = board.post(&format!("/p/lease{query}"), "");
        assert_eq!((answer.status(), answer.body.len()), (204, 0), "{query}");
    }
    for query in ["?wait=x", "?for=x"] {
        assert_eq!(board.post(&format!("/p/lease{query}"), "").status(), 400);
    }
    stop(daemon);
}

#[test]
fn a_worker_that_has_left_gets_nothing() {
    let board = board("");
    let daemon = board.wake();
    let mut gone = connect(board.site.web);
    gone.send("POST /p/lease?wait=25s HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    assert!(wait(|| board.site.runtime.join("control.sock").exists()));
    assert!(wait(|| board.site.text().contains("/p")));
    gone.0.flush().expect("open");
    gone.0.shutdown(std::net::Shutdown::Write).expect("open");
    assert_eq!(gone.head().status(), 204, "it is over for it");
    let at = board.submit("/p", "");
    assert_eq!(lease(&board, "").0["location"], at.as_str());
    stop(daemon);
}

#[test]
fn workers_that_wait_and_jobs_that_wait_let_it_sleep() {
    let board = Board::new(&[], &format!("{}{P}", QUICK.replace("10ms", "1s"))); // for its answer to come through
    let daemon = board.wake();
    let mut worker = connect(board.site.web);
    worker.send("POST /p/lease?wait=10m HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    let answer = worker.head();
    assert_eq!((answer.status(), answer.header("retry-after")), (204, Some("60")));
    daemon.asleep();
    let daemon = board.wake();
    let at = board.submit("/p", "");
    daemon.asleep();
    assert!(!exists(&board.due()));
    let daemon = board.wake();
    assert_eq!(lease(&board, "").0["location"], at.as_str());
    daemon.asleep();
}

#[test]
fn what_others_have_done_is_forgotten_too() {
    let board = board("keep = \"1s\"\n");
    let daemon = board.wake();
    let at = board.submit("/p", vec![b'x'; 50_000]);
    let (_, token) = lease(&board, "");
    assert_eq!(told(&board, &at, "done", &token, "result").status(), 200);
    std::thread::sleep(std::time::Duration::from_millis(1100)); // its time is over
    stop(daemon);
    let daemon = board.wake();
    board.list("/p");
    assert!(wait(|| board.get(&at).status() == 404 && board.spool().is_empty()));
    stop(daemon);
}

//! How jobs stand: as JSON, as a page, in lists; and everything that is not there.

use serde_json::{Value, json};

use crate::board::{Board, STAYS, WAITS, id, json as read, pipes, stop};

const ROUTES: &str =
    "[[route]]\npath = \"/a\"\njob = [\"FOLDER/a\"]\n[[route]]\npath = \"/b\"\njob = [\"true\"]\n";

fn board(script: &str) -> Board {
    Board::new(&[("a", script)], &format!("{STAYS}{ROUTES}"))
}

fn keys(job: &Value) -> Vec<&str> {
    job.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// `2026-11-25T21:52:41.123Z`, which sorts as times do.
fn time<'j>(job: &'j Value, name: &str) -> &'j str {
    let text = job[name].as_str().unwrap_or_else(|| panic!("no {name}: {job}"));
    assert!(text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T', "{text}");
    text
}

#[test]
fn every_state_has_its_fields() {
    let board = board(&format!("echo progress 4/10 half way; echo said; {WAITS}; exit $(cat)"));
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let answer = board.ask("POST", "/a?x=1", "Content-Type: text/plain\r\n", b"0");
    assert_eq!(answer.status(), 202);
    let at = answer.header("location").expect("a place").to_owned();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let job = read(&answer);
    assert_eq!((&job["id"], &job["location"]), (&id(&at).into(), &at.clone().into()));
    let (failing, cancelled) = (board.submit("/a", "3"), board.submit("/a", ""));

    begun.line();
    let job = board.job(&at);
    assert_eq!(
        keys(&job),
        ["attempts", "created", "id", "input", "location", "output", "progress", "started", "state"]
    );
    assert_eq!(
        (&job["state"], &job["attempts"], &job["output"]),
        (&"running".into(), &1.into(), &"said\n".into())
    );
    assert_eq!(job["progress"], json!({ "done": 4, "total": 10, "percent": 40, "text": "half way" }));
    assert_eq!(job["input"], json!({ "size": 1, "type": "text/plain", "location": format!("{at}/input") }));
    assert!(time(&job, "created") <= time(&job, "started"));

    let job = board.job(&failing);
    assert_eq!(keys(&job), ["attempts", "created", "id", "input", "location", "output", "state"]);
    assert_eq!((&job["state"], &job["attempts"], &job["output"]), (&"queued".into(), &0.into(), &"".into()));
    board.ask("DELETE", &cancelled, "", b"");
    assert_eq!(
        keys(&board.job(&cancelled)),
        ["attempts", "created", "finished", "id", "input", "location", "output", "state"]
    );

    go.open(2);
    let job = board.until(&at, "done");
    assert_eq!(
        keys(&job),
        [
            "attempts",
            "created",
            "exit_code",
            "finished",
            "id",
            "input",
            "location",
            "output",
            "progress",
            "started",
            "state"
        ]
    );
    assert!(time(&job, "started") <= time(&job, "finished"));
    assert_eq!((&job["exit_code"], &job["progress"]["percent"]), (&0.into(), &40.into()));
    let job = board.until(&failing, "failed");
    assert_eq!((&job["exit_code"], &job["error"]), (&3.into(), &"exit code 3".into()));
    stop(daemon);
}

#[test]
fn a_signal_is_told_and_a_retry_says_when() {
    let board = board("kill -SEGV $$");
    board.configure(&format!("{STAYS}{ROUTES}").replacen("job =", "retries = 1\nbackoff = \"1h\"\njob =", 1));
    let daemon = board.wake();
    let at = board.submit("/a", "");
    assert!(crate::board::wait(|| board.job(&at)["due"].is_string()));
    let job = board.job(&at);
    assert_eq!(
        (&job["state"], &job["attempts"], &job["signal"]),
        (&"queued".into(), &1.into(), &11.into()),
        "{job}"
    );
    assert!(time(&job, "due") > time(&job, "started"));
    assert_eq!(job["error"], "killed by SIGSEGV");
    stop(daemon);
}

#[test]
fn browsers_have_a_page() {
    let board = board("echo '<b>'");
    let daemon = board.wake();
    let browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    let answer = board.ask("POST", "/a", browser, b"");
    assert_eq!((answer.status(), answer.header("content-type")), (202, Some("text/html; charset=utf-8")));
    let at = answer.header("location").expect("a place").to_owned();
    board.until(&at, "done");
    for (target, has) in [(at.as_str(), id(&at)), ("/a", id(&at))] {
        let page = board.ask("GET", target, browser, b"");
        assert_eq!((page.status(), page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(page.text().starts_with("<!doctype html>") && page.text().contains(has), "{}", page.text());
        assert!(!page.text().contains("<b>"));
    }
    stop(daemon);
}

#[test]
fn what_it_reads_and_prints_can_be_had() {
    // More than how it stands has of it.
    let board = board("cat; echo; echo progress 1/2; seq 1 30000; echo end");
    let daemon = board.wake();
    let large: Vec<u8> = (0..100_000_u32).map(|number| b'a' + (number % 26) as u8).collect();
    let small = board.submit("/a", "small");
    let spooled =
        board.ask("POST", "/a", "Content-Type: text/html\r\n", &large).header("location").map(str::to_owned);
    let spooled = spooled.expect("a place");
    board.until(&small, "done");
    let answer = board.get(&format!("{small}/input"));
    assert_eq!((answer.text(), answer.header("content-disposition")), ("small", Some("attachment")));
    let job = board.until(&spooled, "done");
    let answer = board.get(&format!("{spooled}/input"));
    assert!(answer.body == large && answer.header("content-type") == Some("text/html"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let answer = board.get(&format!("{small}/output"));
    let all = format!("small\n{}end\n", (1..=30_000).map(|number| format!("{number}\n")).collect::<String>());
    assert_eq!(answer.text().len(), all.len());
    assert!(answer.text() == all, "all of it, in order, without progress");
    let end = job["output"].as_str().expect("text");
    assert!(end.len() <= 64 * 1024 && end.len() > 50 * 1024 && all.ends_with(end), "{}", end.len());
    stop(daemon);
}

#[test]
fn a_list_has_everything_once_while_more_come() {
    let board = board("true");
    let daemon = board.wake();
    let first: Vec<String> = (0..25).map(|_| board.submit("/b", "")).collect();
    let (mut next, mut seen) = (Some("/b?limit=4".to_owned()), Vec::new());
    while let Some(page) = next {
        let page = read(&board.get(&page));
        let jobs = page["jobs"].as_array().expect("a list");
        assert!(jobs.len() <= 4);
        seen.extend(jobs.iter().map(|job| job["location"].as_str().expect("text").to_owned()));
        next = page["next"].as_str().map(str::to_owned);
        board.submit("/b", "");
    }
    assert_eq!(seen, first.into_iter().rev().collect::<Vec<_>>(), "the newest first");
    assert_eq!(board.list("/b").len(), 25 + 7);
    assert_eq!(board.list("/a").len(), 0);
    for target in ["/b?limit=0", "/b?limit=1001", "/b?limit=x", "/b?before=x"] {
        assert_eq!(board.get(target).status(), 400, "{target}");
    }
    stop(daemon);
}

#[test]
fn what_is_not_there_is_404_and_what_cannot_be_405() {
    let board = board("true");
    let daemon = board.wake();
    let at = board.submit("/a", "");
    let unknown = "/a/00000000000000000000000000".to_owned();
    let others = at.replacen("/a/", "/b/", 1);
    let parts = ["", "/events", "/input", "/output"];
    for job in [&unknown, &others, &format!("/a/{}", id(&at).to_uppercase()), &"/a/x".to_owned()] {
        for part in parts {
            assert_eq!(board.get(&format!("{job}{part}")).status(), 404, "{job}{part}");
        }
        assert_eq!(board.ask("DELETE", job, "", b"").status(), 404, "{job}");
    }
    for (method, target) in [
        ("GET", "/a/lease".to_owned()),
        ("POST", "/a/lease".to_owned()),
        ("POST", format!("{at}/done?lease=x")),
        ("POST", format!("{at}/progress")),
        ("GET", format!("{at}/else")),
        ("GET", format!("{at}/events/more")),
        ("GET", at.replacen("/a/", "/a//", 1)),
    ] {
        assert_eq!(board.ask(method, &target, "", b"").status(), 404, "{method} {target}");
    }
    for (method, target, allow) in [
        ("DELETE", "/a".to_owned(), "GET, HEAD, POST, PUT"),
        ("POST", at.clone(), "DELETE, GET, HEAD"),
        ("PUT", at.clone(), "DELETE, GET, HEAD"),
        ("POST", format!("{at}/events"), "GET, HEAD"),
        ("DELETE", format!("{at}/input"), "GET, HEAD"),
        ("POST", format!("{at}/output"), "GET, HEAD"),
    ] {
        let answer = board.ask(method, &target, "", b"");
        assert_eq!((answer.status(), answer.header("allow")), (405, Some(allow)), "{method} {target}");
    }
    assert_eq!(board.ask("PATCH", "/a", "", b"").status(), 405);
    for part in parts {
        let answer = board.ask("HEAD", &format!("{at}{part}"), "", b"");
        assert_eq!(answer.status(), 200, "{part}");
    }
    stop(daemon);
}

#[test]
fn strangers_have_nothing_to_do_with_a_closed_route() {
    let closed = "[[route]]\npath = \"/closed\"\njob = [\"true\"]\napi = false\n";
    let board = Board::new(&[], &format!("{STAYS}{closed}"));
    let daemon = board.wake();
    let answer = board.post("/closed", "");
    assert_eq!(answer.status(), 202, "{}", answer.text());
    let at = answer.header("location").expect("a place").to_owned();
    for target in [
        "/closed".to_owned(),
        at.clone(),
        format!("{at}/events"),
        format!("{at}/input"),
        format!("{at}/output"),
    ] {
        assert_eq!(board.get(&target).status(), 404, "{target}");
    }
    assert_eq!(board.ask("DELETE", &at, "", b"").status(), 404);
    stop(daemon);
}

#[test]
fn who_is_verified_is_all_that_a_verified_route_has() {
    let config = format!(
        "{STAYS}[[route]]\npath = \"/a\"\njob = [\"FOLDER/a\"]\n\
         verify = {{ preset = \"gitlab\", secret = \"file:FOLDER/secret\" }}\n"
    );
    let board = Board::new(&[("a", WAITS)], &config);
    std::fs::write(board.path("secret"), "a secret of some length").expect("a file");
    let (mut begun, mut go) = pipes(&board);
    let daemon = board.wake();
    let answer = board.ask("POST", "/a", "X-Gitlab-Token: a secret of some length\r\n", b"");
    let at = crate::board::accepted(&answer);
    begun.line();
    assert_eq!(board.post("/a", "").status(), 401);
    for (method, target) in
        [("GET", "/a"), ("GET", &*at), ("DELETE", &*at), ("GET", &*format!("{at}/events"))]
    {
        assert_eq!(board.ask(method, target, "", b"").status(), 404, "{method} {target}");
    }
    go.open(1);
    assert!(crate::board::wait(|| !crate::board::exists(&board.due())));
    stop(daemon);
}

//! Apps that do not start, or come down: who waits is told, the journal has the reason, and it is tried again later.

use std::time::{Duration, Instant};

use super::{SLOW, Wiki, gone};
use crate::harness::Gate;
use crate::upstream::{id, log};

/// The log's line with this id.
#[track_caller]
fn line<'l>(log: &'l str, id: &str) -> &'l str {
    log.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("no {id} in:\n{log}"))
}

/// Asks until it is answered; how often it was refused meanwhile.
fn until_answered(wiki: &Wiki) -> usize {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut refused = 0;
    loop {
        let answer = wiki.client().get("/");
        if answer.status() == 200 {
            return refused;
        }
        assert!(answer.status() == 503 && answer.header("retry-after").is_some(), "{answer:?}");
        assert!(Instant::now() < deadline, "it is not tried again");
        refused += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_that_crashes_at_its_start_is_502_and_tried_again_later() {
    let wiki = Wiki::new(SLOW, "env = { BROKEN = \"FOLDERbroken\", GATE = \"FOLDERstart\" }");
    let broken = wiki.site.unit.folder.join("broken");
    std::fs::write(&broken, "").expect("a file");
    let daemon = wiki.wake();
    let mut clients: Vec<_> = (0..5).map(|_| wiki.client()).collect();
    clients.iter_mut().for_each(|client| client.ask("/"));
    let pages: Vec<_> = clients.iter_mut().map(|client| client.answer()).collect();
    // Who came while it was starting has the 502 of that start; who came later is told when to come again.
    let told: Vec<_> = pages.iter().map(|page| (page.status(), id(page))).collect();
    assert!(told.iter().any(|(status, _)| *status == 502), "{told:?}");
    assert!(told.iter().all(|(status, id)| matches!(status, 502 | 503) && *id == told[0].1), "{told:?}");
    let again = wiki.client().get("/");
    assert_eq!((again.status(), again.header("retry-after")), (503, Some("1")));
    assert_eq!(id(&again), told[0].1);
    std::fs::remove_file(&broken).expect("it is there");
    let gate = wiki.gate();
    std::thread::scope(|scope| {
        scope.spawn(|| gate.arrived().open());
        assert!(until_answered(&wiki) > 0);
    });
    let log = log(daemon);
    let line = line(&log, &told[0].1);
    assert!(line.contains("exit code 3") && line.contains("something is missing"), "{line}");
}

#[test]
fn each_failure_is_left_alone_for_longer() {
    let wiki = Wiki::new(SLOW, "env = { BROKEN = \"FOLDERsite.toml\" }");
    let daemon = wiki.wake();
    let begun = Instant::now();
    let mut starts = 0;
    while starts < 3 {
        let status = wiki.client().get("/").status();
        starts += usize::from(status == 502);
        std::thread::sleep(Duration::from_millis(10));
    }
    // After the first 500 ms, after the second 1 s.
    assert!(begun.elapsed() >= Duration::from_millis(1500), "{:?}", begun.elapsed());
    let log = log(daemon);
    assert_eq!(log.matches("app wiki starts").count(), 3, "{log}");
}

#[test]
fn a_program_that_is_not_there_is_502() {
    let wiki = Wiki::new(SLOW, "");
    wiki.site.configure(&format!(
        "{SLOW}[[route]]\npath = \"/\"\napp = \"wiki\"\n[app.wiki]\nrun = [\"/nonexistent/wiki\"]\n"
    ));
    let daemon = wiki.wake();
    let page = wiki.client().get("/");
    assert_eq!(page.status(), 502);
    let log = log(daemon);
    assert!(line(&log, &id(&page)).contains("/nonexistent/wiki"), "{log}");
}

#[test]
fn one_that_takes_too_long_is_502() {
    for (keys, word) in [("", "nothing listened"), ("\nready = \"GET /agent\"", "GET /agent")] {
        let wiki = Wiki::new(SLOW, &format!("start_within = \"500ms\"\nenv = {{ DELAY = \"100\" }}{keys}"));
        let daemon = wiki.wake();
        let page = wiki.client().get("/");
        assert_eq!(page.status(), 502);
        let log = log(daemon);
        let line = line(&log, &id(&page));
        assert!(line.contains("start_within") && line.contains(word), "{line}");
    }
}

#[test]
fn one_that_crashes_while_it_is_up_is_502_and_started_again() {
    let wiki = Wiki::new(SLOW, "");
    let daemon = wiki.wake();
    let (pid, _) = wiki.ask();
    let gate = Gate::new(&wiki.site.unit.folder, "request");
    let mut other = wiki.client();
    other.ask(&format!("/gate?{}", wiki.site.unit.folder.join("request").display()));
    let waiting = gate.arrived();
    let page = wiki.client().get("/crash");
    assert_eq!(page.status(), 502);
    let same = other.answer();
    assert_eq!(same.status(), 502);
    drop(waiting);
    gone(pid);
    wiki.until("asleep");
    until_answered(&wiki);
    let log = log(daemon);
    line(&log, &id(&page));
    line(&log, &id(&same));
    assert!(log.contains("exit code 3") && log.contains("the last words"), "{log}");
}

#[test]
fn what_it_prints_is_in_the_journal() {
    let wiki = Wiki::new(SLOW, "");
    let daemon = wiki.wake();
    wiki.client().get("/crash");
    let log = log(daemon);
    let of_app = |line: &&str| line.contains("the last words") && line.contains("wiki");
    assert!(log.lines().any(|line| of_app(&line)), "{log}");
}

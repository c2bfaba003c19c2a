//! How an app comes up: once for all who ask, in the way the config says.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::{SLOW, Wiki, pid_and_count};
use crate::harness::reset;

#[test]
fn fifty_first_requests_start_it_once_and_all_are_answered() {
    let wiki = Wiki::new(SLOW, "env = { DELAY = \"3\" }");
    let daemon = wiki.wake();
    let begun = Instant::now();
    let mut clients: Vec<_> = (0..50).map(|_| wiki.client()).collect();
    clients.iter_mut().for_each(|client| client.ask("/"));
    wiki.until("starting, 50 requests wait");
    let answers: Vec<_> = clients.iter_mut().map(|client| pid_and_count(client.answer().text())).collect();
    assert!(begun.elapsed() > Duration::from_secs(3));
    assert!(answers.iter().all(|(pid, _)| *pid == answers[0].0), "{answers:?}");
    assert_eq!(answers.iter().map(|(_, count)| *count).max(), Some(50));
    let log = crate::upstream::log(daemon);
    assert_eq!(log.matches("app wiki starts").count(), 1, "{log}");
}

#[test]
fn it_gets_its_address_in_each_way() {
    for keys in [
        "",
        "socket = \"port\"\nenv = { PORT = \"{port}\" }",
        "socket = \"unix\"\nenv = { SOCKET = \"{socket}\" }",
        "socket = \"pass\"",
        "socket = \"pass\"\naddress = \"unix:FOLDER/own.sock\"",
        "socket = \"port\"\nready = \"GET /agent\"",
        "socket = \"pass\"\nready = \"GET /agent\"",
    ] {
        let wiki = Wiki::new(SLOW, keys);
        let daemon = wiki.wake();
        assert_eq!(wiki.ask().1, 1, "{keys}");
        let log = crate::upstream::log(daemon);
        assert!(log.contains("app wiki is up"), "{keys}: {log}");
        // Nothing is left of its socket.
        let left: Vec<_> = std::fs::read_dir(&wiki.site.runtime)
            .into_iter()
            .chain(std::fs::read_dir(wiki.site.unit.folder.join("")))
            .flatten()
            .map(|entry| entry.expect("it can be read").file_name().into_string().expect("text"))
            .filter(|name| name.ends_with(".sock"))
            .collect();
        assert!(left.is_empty(), "{keys}: {left:?}");
    }
}

#[test]
fn its_environment_is_its_own() {
    let mut wiki = Wiki::new(SLOW, "env = { OWN = \"1\" }");
    wiki.site.unit = std::mem::replace(&mut wiki.site.unit, crate::harness::Unit::new()).env("SECRET", "x");
    let _daemon = wiki.wake();
    let answer = wiki.client().get("/environment");
    let mut lines: Vec<_> = answer.text().lines().collect();
    let folder = wiki.site.unit.folder.join("");
    assert_eq!(lines.pop(), folder.to_str().map(|path| path.trim_end_matches('/')));
    // Python adds the second by itself, as PEP 538 has it.
    lines.retain(|name| !matches!(*name, "LC_CTYPE" | "USER" | "LANG"));
    assert_eq!(lines, ["HOME", "OWN", "PATH", "PORT"]);
}

#[test]
fn browsers_that_open_a_page_see_that_it_wakes() {
    let wiki = Wiki::new(SLOW, "waiting = \"page\"\nenv = { GATE = \"FOLDERstart\" }");
    let gate = wiki.gate();
    let _daemon = wiki.wake();
    let (mut browser, mut script) = (wiki.client(), wiki.client());
    let page = "GET / HTTP/1.1\r\nHost: test\r\nSec-Fetch-Mode: navigate\r\nAccept: text/html\r\n\r\n";
    browser.send(page);
    script.send("GET / HTTP/1.1\r\nHost: test\r\nSec-Fetch-Mode: cors\r\n\r\n");
    let starting = gate.arrived();
    let seen = browser.answer();
    assert_eq!((seen.status(), seen.header("retry-after")), (503, Some("1")));
    assert!(seen.text().contains("http-equiv=\"refresh\"") && seen.text().contains("wiki is waking up"));
    starting.open();
    assert_eq!(pid_and_count(script.answer().text()).1, 1);
    let mut browser = wiki.client();
    browser.send(page);
    assert_eq!(pid_and_count(browser.answer().text()).1, 2);
}

#[test]
fn more_than_may_wait_are_refused() {
    let wiki = Wiki::new(SLOW, "queue = 2\nenv = { GATE = \"FOLDERstart\" }");
    let gate = wiki.gate();
    let _daemon = wiki.wake();
    let mut clients: Vec<_> = (0..2).map(|_| wiki.client()).collect();
    clients.iter_mut().for_each(|client| client.ask("/"));
    wiki.until("starting, 2 requests wait");
    let page = wiki.client().get("/");
    assert_eq!((page.status(), page.header("retry-after")), (503, Some("1")));
    gate.arrived().open();
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn who_leaves_while_it_starts_is_not_passed_on() {
    let wiki = Wiki::new(SLOW, "env = { GATE = \"FOLDERstart\" }");
    let gate = wiki.gate();
    let _daemon = wiki.wake();
    let (mut first, mut second, mut third) = (wiki.client(), wiki.client(), wiki.client());
    first.ask("/");
    let starting = gate.arrived();
    second.ask("/");
    third.ask("/");
    wiki.until("starting, 3 requests wait");
    reset(first.0);
    second.0.shutdown(Shutdown::Write).expect("open");
    wiki.until("starting, 1 request waits");
    starting.open();
    assert_eq!(pid_and_count(third.answer().text()).1, 1);
}

#[test]
fn what_it_waits_for_is_not_the_answers_time() {
    let keys = "env = { DELAY = \"1\" }";
    let wiki = Wiki::new(&format!("{SLOW}[timeouts]\nrequest = \"300ms\"\n"), keys);
    let _daemon = wiki.wake();
    assert_eq!(wiki.ask().1, 1);
}

#[test]
fn an_upload_waits_for_it() {
    let wiki = Wiki::new(SLOW, "env = { GATE = \"FOLDERstart\" }");
    let gate = wiki.gate();
    let _daemon = wiki.wake();
    let mut client = wiki.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
    gate.arrived().open();
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn a_route_may_have_but_a_share_of_it() {
    let config =
        format!("{SLOW}[[route]]\npath = \"/one/\"\napp = \"wiki\"\nstrip_prefix = true\nconnections = 1\n");
    let wiki = Wiki::new(&config, "");
    let _daemon = wiki.wake();
    let gate = wiki.gate();
    let (mut first, mut second) = (wiki.client(), wiki.client());
    first.ask(&format!("/one/gate?{}", wiki.site.unit.folder.join("start").display()));
    let at_gate = gate.arrived();
    second.ask("/one/");
    // What was asked before this has been read; on another route the app is asked all the same, and has not seen it.
    assert_eq!(wiki.client().get("/hello").text(), "hello");
    assert_eq!(wiki.ask().1, 2);
    at_gate.open();
    assert_eq!(first.answer().status(), 200);
    assert_eq!(pid_and_count(second.answer().text()).1, 3);
}

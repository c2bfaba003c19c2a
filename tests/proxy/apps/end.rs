//! How an app ends: with dormouse, by its config, and with all that it has started.

use std::time::{Duration, Instant};

use super::{SLOW, Wiki, gone, is_alive, pid_and_count};
use crate::harness::Gate;

#[test]
fn nothing_is_left_of_it() {
    for keys in ["", "socket = \"pass\""] {
        let wiki = Wiki::new(SLOW, keys);
        let daemon = wiki.wake();
        let (pid, _) = wiki.ask();
        let child: i32 = wiki.client().get("/child").text().parse().expect("a pid");
        assert!(is_alive(child));
        daemon.signal(libc::SIGTERM);
        daemon.asleep();
        assert!(!is_alive(pid));
        gone(child);
    }
}

#[test]
fn it_takes_its_children_with_it_when_it_sleeps() {
    let wiki = Wiki::new(SLOW, "sleep_after = \"200ms\"");
    let _daemon = wiki.wake();
    let child: i32 = wiki.client().get("/child").text().parse().expect("a pid");
    gone(child);
}

#[test]
fn one_that_does_not_hear_is_killed() {
    let wiki = Wiki::new(SLOW, "stop_within = \"400ms\"\nenv = { TERM = \"ignored\" }");
    let daemon = wiki.wake();
    let (pid, _) = wiki.ask();
    let begun = Instant::now();
    daemon.signal(libc::SIGTERM);
    daemon.asleep();
    assert!(!is_alive(pid));
    let took = begun.elapsed();
    assert!(Duration::from_millis(400) <= took && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn it_does_not_outlive_a_dormouse_that_is_killed() {
    let wiki = Wiki::new(SLOW, "");
    let daemon = wiki.wake();
    let (pid, _) = wiki.ask();
    daemon.signal(libc::SIGKILL);
    daemon.left();
    gone(pid);
}

#[test]
fn a_request_in_hand_is_answered_before_it_is_stopped() {
    let wiki = Wiki::new(SLOW, "");
    let gate = Gate::new(&wiki.site.unit.folder, "request");
    let mut daemon = wiki.wake();
    let mut client = wiki.client();
    client.ask(&format!("/gate?{}", wiki.site.unit.folder.join("request").display()));
    let waiting = gate.arrived();
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    waiting.open();
    let (pid, _) = pid_and_count(client.answer().text());
    daemon.asleep();
    assert!(!is_alive(pid));
}

#[test]
fn a_stop_while_it_starts_answers_who_waits() {
    let wiki = Wiki::new(SLOW, "env = { GATE = \"FOLDERstart\" }");
    let gate = wiki.gate();
    let mut daemon = wiki.wake();
    let mut client = wiki.client();
    client.ask("/");
    let starting = gate.arrived();
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    starting.open();
    let (pid, _) = pid_and_count(client.answer().text());
    daemon.asleep();
    assert!(!is_alive(pid));
}

#[test]
fn a_second_signal_leaves_nothing_either() {
    let wiki = Wiki::new(SLOW, "env = { TERM = \"ignored\", GATE = \"FOLDERstart\" }");
    let gate = wiki.gate();
    let mut daemon = wiki.wake();
    let mut client = wiki.client();
    client.ask("/");
    gate.arrived().open();
    let (pid, _) = pid_and_count(client.answer().text());
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    daemon.signal(libc::SIGTERM);
    assert_eq!(daemon.left().0.code(), Some(75));
    gone(pid);
}

#[test]
fn a_reload_keeps_an_app_that_is_the_same_and_replaces_another() {
    let wiki = Wiki::new(SLOW, "env = { OWN = \"1\" }");
    let mut daemon = wiki.wake();
    let (first, _) = wiki.ask();
    wiki.configure(&format!("{SLOW}[limits]\nqueue = 5\n"), "env = { OWN = \"1\" }");
    daemon.signal(libc::SIGHUP);
    daemon.hear("RELOADING=1");
    let ready = daemon.hear("READY=1\nSTATUS");
    assert_eq!(wiki.ask(), (first, 2));

    let gate = Gate::new(&wiki.site.unit.folder, "request");
    let mut client = wiki.client();
    client.ask(&format!("/gate?{}", wiki.site.unit.folder.join("request").display()));
    let waiting = gate.arrived();
    wiki.configure(SLOW, "env = { OWN = \"2\" }");
    daemon.signal(libc::SIGHUP);
    daemon.hear_after("RELOADING=1", &ready);
    let deadline = Instant::now() + crate::harness::PATIENCE;
    let second = loop {
        let (pid, _) = wiki.ask();
        if pid != first {
            break pid;
        }
        assert!(Instant::now() < deadline, "the old one answers on");
    };
    // What it was asked before is answered by the old one, which then ends.
    assert!(is_alive(first));
    waiting.open();
    assert_eq!(pid_and_count(client.answer().text()).0, first);
    gone(first);
    assert!(is_alive(second));
}

#[test]
fn one_of_an_older_config_has_its_time_to_end_too() {
    let config = format!("{SLOW}drain = \"6s\"\n"); // it stops accepting five seconds before that
    let wiki = Wiki::new(&config, "env = { TERM = \"told\", GATE = \"FOLDERstart\" }");
    let (start, end) = (wiki.gate(), Gate::new(&wiki.site.unit.folder, "start.end"));
    let mut daemon = wiki.wake();
    let mut client = wiki.client();
    client.ask("/for-ever");
    start.arrived().open();
    client.head();
    wiki.configure(&config, "");
    daemon.signal(libc::SIGHUP);
    daemon.hear("RELOADING=1");
    wiki.until("up, in use by 1 request");
    daemon.signal(libc::SIGTERM);
    let told = end.arrived();
    assert!(daemon.is_running());
    told.open();
    let (status, log) = daemon.left();
    assert!(status.success());
    assert!(log.contains("app wiki sleeps"), "{log}");
}

#[test]
fn an_address_that_the_next_one_has_taken_stays_its_own() {
    let keys = "socket = \"pass\"\naddress = \"unix:FOLDERown.sock\"\n";
    let old = format!("{keys}env = {{ TERM = \"deaf\", END = \"FOLDERend\" }}");
    let wiki = Wiki::new(SLOW, &old);
    let end = Gate::new(&wiki.site.unit.folder, "end");
    let mut daemon = wiki.wake();
    let (first, _) = wiki.ask();
    wiki.configure(SLOW, keys);
    daemon.signal(libc::SIGHUP);
    daemon.hear("RELOADING=1");
    // It listens no more, and takes its time.
    let ending = end.arrived();
    let (second, _) = wiki.ask();
    assert!(is_alive(first) && is_alive(second));
    ending.open();
    wiki.until_alone();
    assert!(wiki.site.unit.folder.join("own.sock").exists());
    assert_eq!(wiki.ask(), (second, 2));
}

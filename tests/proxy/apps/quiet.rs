//! What an app's quiet is: what keeps it up, what lets it sleep, and what that means for dormouse.

use std::time::{Duration, Instant};

use super::{SLOW, Wiki, gone, is_alive, pid_and_count};
use crate::harness::Gate;
use crate::upstream::QUICK;

#[test]
fn it_sleeps_and_wakes_while_dormouse_is_awake() {
    let wiki = Wiki::new(SLOW, "sleep_after = \"300ms\"");
    let daemon = wiki.wake();
    let (first, _) = wiki.ask();
    gone(first);
    wiki.until("asleep");
    let (second, count) = wiki.ask();
    assert_ne!((first, 2), (second, count));
    assert!(is_alive(second));
    let log = crate::upstream::log(daemon);
    assert_eq!(log.matches("app wiki is up").count(), 2, "{log}");
    assert!(log.contains("app wiki sleeps"), "{log}");
    gone(second);
}

#[test]
fn it_keeps_dormouse_awake_and_no_longer() {
    let wiki = Wiki::new(QUICK, "sleep_after = \"2500ms\"");
    let daemon = wiki.wake();
    let (pid, _) = wiki.ask();
    let answered = Instant::now();
    daemon.asleep();
    let awake = answered.elapsed();
    assert!(awake >= Duration::from_millis(2400), "{awake:?}");
    assert!(!is_alive(pid));
    // Its own clock was over long before.
    assert!(awake < Duration::from_secs(6), "{awake:?}");
}

#[test]
fn its_stop_restarts_no_clock() {
    // Its stop takes a second, and ends at 1.5 s; dormouse's own clock is over at 2.5 s.
    let wiki = Wiki::new(
        "[sleep]\nafter = \"2500ms\"\nmin_awake = \"1s\"\ngrace = \"10ms\"\n",
        "sleep_after = \"500ms\"\nenv = { TERM = \"slow\" }",
    );
    let daemon = wiki.wake();
    wiki.ask();
    let answered = Instant::now();
    daemon.asleep();
    let awake = answered.elapsed();
    assert!(Duration::from_millis(2400) < awake && awake < Duration::from_millis(3800), "{awake:?}");
}

#[test]
fn a_request_in_hand_keeps_it_up() {
    let wiki = Wiki::new(QUICK, "sleep_after = \"200ms\"");
    let gate = Gate::new(&wiki.site.unit.folder, "request");
    let daemon = wiki.wake();
    let mut client = wiki.client();
    client.ask(&format!("/gate?{}", wiki.site.unit.folder.join("request").display()));
    let waiting = gate.arrived();
    std::thread::sleep(Duration::from_millis(600)); // three times its quiet
    wiki.until("up, in use by 1 request");
    waiting.open();
    let (pid, _) = pid_and_count(client.answer().text());
    daemon.asleep();
    assert!(!is_alive(pid));
}

#[test]
fn probes_extend_nothing() {
    let wiki = Wiki::new(SLOW, "sleep_after = \"700ms\"");
    let _daemon = wiki.wake();
    let (first, _) = wiki.ask();
    let deadline = Instant::now() + Duration::from_secs(20);
    // More often than its quiet lasts.
    while pid_and_count(wiki.client().get("/quiet/").text()).0 == first {
        assert!(Instant::now() < deadline, "probes keep it up");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn some_do_not_wake_it() {
    let wiki =
        Wiki::new(QUICK, "never_wake = [\"/agent\", \"/api/*\", \"UptimeRobot\"]\nasleep_status = 204");
    let daemon = wiki.wake();
    let ask = |path: &str, agent: &str| {
        let mut client = wiki.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\nUser-Agent: {agent}\r\n\r\n"));
        client.head().status()
    };
    assert_eq!([ask("/agent", "a"), ask("/api/x", "a"), ask("/", "Mozilla UptimeRobot/2")], [204; 3]);
    let log = daemon.asleep(); // so they do not keep dormouse awake either
    assert!(!log.contains("app wiki starts"), "{log}");

    let daemon = wiki.wake();
    wiki.ask();
    assert_eq!(wiki.client().get("/agent").status(), 200); // it is up, and answers itself
    drop(daemon);
}

#[test]
fn an_app_that_is_busy_is_left_alone() {
    let wiki =
        Wiki::new(SLOW, "sleep_after = \"200ms\"\nbusy = \"GET /busy\"\nenv = { BUSY = \"FOLDERbusy\" }");
    let _daemon = wiki.wake();
    let busy = wiki.site.unit.folder.join("busy");
    std::fs::write(&busy, "").expect("a file");
    let (pid, _) = wiki.ask();
    std::thread::sleep(Duration::from_millis(1200)); // six times its quiet
    assert!(is_alive(pid));
    std::fs::remove_file(&busy).expect("it is there");
    gone(pid);
}

#[test]
fn an_app_that_is_always_busy_is_not_believed_for_ever() {
    let keys = "sleep_after = \"200ms\"\nbusy = \"GET /busy\"\nbusy_at_most = \"600ms\"\n\
                env = { BUSY = \"FOLDERsite.toml\" }";
    let wiki = Wiki::new(QUICK, keys);
    let daemon = wiki.wake();
    wiki.ask();
    let log = daemon.asleep();
    assert!(log.contains("busy_at_most"), "{log}");
}

#[test]
fn why_names_the_app() {
    let wiki = Wiki::new(QUICK, "sleep_after = \"1h\"");
    let _daemon = wiki.wake();
    wiki.ask();
    wiki.until("up, stopped in");
    let text = wiki.site.text();
    assert!(text.contains("Kept awake by:") && text.contains("wiki"), "{text}");
}

#[test]
fn one_that_sleeps_at_once_answers_first() {
    let wiki = Wiki::new(SLOW, "sleep_after = \"1ms\"\nenv = { GATE = \"FOLDERstart\" }");
    let gate = wiki.gate();
    let _daemon = wiki.wake();
    let mut clients: Vec<_> = (0..5).map(|_| wiki.client()).collect();
    clients.iter_mut().for_each(|client| client.ask("/"));
    wiki.until("starting, 5 requests wait");
    gate.arrived().open();
    clients.iter_mut().for_each(|client| assert_eq!(client.answer().status(), 200));
}

//! The carry-over file: whatever happens to the process or to the file.

use std::fs;

use crate::harness::connect;
use crate::site::{FAST, SLOW, Site};

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

#[test]
fn sixty_wakes_are_counted_and_the_last_are_remembered() {
    let site = Site::new(FAST);
    for _ in 0..60 {
        let mut client = connect(site.web);
        client.send("GET /hello HTTP/1.1\r\nHost: test\r\n\r\n");
        let daemon = site.wake();
        assert_eq!(client.answer().text(), "hello");
        drop(client);
        daemon.asleep();
    }
    let look = site.json();
    assert_eq!((&look["wakes"], &look["state"]), (&60.into(), &"asleep".into()));
    let history = look["history"].as_array().expect("a list");
    assert_eq!(history.len(), 19);
    assert!(history.iter().all(|life| life["end"] == "asleep" && life["served"] == 1), "{look:#}");
    let began = |life: &serde_json::Value| life["began"].as_f64().expect("a number");
    assert!(history.windows(2).all(|pair| began(&pair[0]) > began(&pair[1])), "the newest comes first");
}

#[test]
fn a_kill_is_told_by_whoever_asks_and_by_the_next_life() {
    let site = Site::new(SLOW);
    for killed in 1..=3 {
        let daemon = site.wake_and_wait();
        daemon.signal(SIGKILL);
        daemon.left();
        assert!(site.runtime.join("control.sock").exists(), "nobody could remove it");
        let look = site.json();
        assert_eq!((&look["state"], &look["wakes"]), (&"killed".into(), &killed.into()), "{look:#}");
        assert!(site.text().contains("ended without a word (killed or crashed)"));
    }
    let _daemon = site.wake_and_wait();
    let look = site.json();
    assert_eq!((&look["state"], &look["wakes"]), (&"awake".into(), &4.into()), "{look:#}");
    let ends: Vec<_> = look["history"].as_array().expect("a list").iter().map(|life| &life["end"]).collect();
    assert_eq!(ends, ["lost", "lost", "lost"]);
}

#[test]
fn a_stop_is_told() {
    let site = Site::new(SLOW);
    let daemon = site.wake_and_wait();
    assert_eq!(connect(site.web).get("/hello").text(), "hello");
    daemon.signal(SIGTERM);
    daemon.left();
    let look = site.json();
    assert_eq!((&look["state"], &look["life"]["end"]), (&"stopped".into(), &"stopped".into()), "{look:#}");
    assert_eq!(look["life"]["served"], 1);
    let text = site.text();
    assert!(
        text.contains("was stopped by SIGTERM at ") && !site.runtime.join("control.sock").exists(),
        "{text}"
    );
}

#[test]
fn what_cannot_be_used_is_told_once_and_replaced() {
    let whole = Site::new(FAST);
    whole.wake().asleep();
    let bytes = fs::read(whole.runtime.join("carry.json")).expect("it is there");
    let version = br#"{"version":999,"wakes":7,"lives":[]}"#;
    let kinds: [(&[u8], &str); 3] = [
        (&bytes[..bytes.len() - 20], "is damaged"),
        (version, "is of version 999"),
        (b"\xff\0", "is damaged"),
    ];
    for (bytes, fault) in kinds {
        let site = Site::new(FAST);
        let file = site.runtime.join("carry.json");
        fs::write(&file, bytes).expect("a file");
        let look = site.json();
        assert_eq!(look["state"], "unknown");
        assert!(look["reason"].as_str().is_some_and(|reason| reason.contains(fault)), "{look:#}");
        let log = site.wake().asleep();
        let warnings: Vec<_> = log.lines().filter(|line| line.contains("warning")).collect();
        assert_eq!(warnings.len(), 1, "{log}");
        for part in [&file.display().to_string(), fault, "counted anew"] {
            assert!(warnings[0].contains(part), "no {part:?} in {}", warnings[0]);
        }
        assert_eq!(site.carry()["wakes"], 1);
    }
}

#[test]
fn a_directory_that_cannot_be_written_to_is_no_reason_not_to_serve() {
    let site = Site::new(FAST);
    // Root may write anywhere; not even root writes a file where a folder is.
    fs::create_dir_all(site.runtime.join("carry.json/in the way")).expect("a folder");
    let mut client = connect(site.web);
    client.send("GET /hello HTTP/1.1\r\nHost: test\r\n\r\n");
    let daemon = site.wake();
    assert_eq!(client.answer().text(), "hello");
    drop(client);
    let log = daemon.asleep();
    assert_eq!(log.matches("cannot write").count(), 1, "{log}");
}

#[test]
fn two_in_one_directory_do_not_mix() {
    let site = Site::new(SLOW);
    let first = site.wake_and_wait();
    let text = site.text();
    site.configure(FAST);
    let log = site.wake().asleep(); // the second
    assert!(log.contains("another dormouse uses"), "{log}");
    assert!(text.contains(&format!("pid {}", first.pid())));
    assert_eq!(site.json()["pid"], first.pid());
    assert_eq!(site.carry()["wakes"], 1);
}

#[test]
fn the_first_answer_knows_the_wakes() {
    let site = Site::new(FAST);
    site.configure(&format!("{FAST}[[route]]\npath = \"/healthz\"\nshow = \"health\"\n"));
    for wake in 1..=3 {
        let mut client = connect(site.web);
        client.send("GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
        let daemon = site.wake();
        let health: serde_json::Value = serde_json::from_str(client.answer().text()).expect("json");
        assert_eq!(health["wakes"], wake);
        drop(client);
        daemon.asleep();
    }
}

//! `at_once` and `queue`: who waits, who is turned away, and who is never run.

use crate::harness::reset;
use crate::program::{Stage, gone, until};

/// One at a time, two in line. Says who it runs for, and goes on when it is told.
fn stage() -> Stage {
    Stage::sh(
        "at_once = 1\nqueue = 2",
        "echo $QUERY_STRING > FOLDER/here; read x < FOLDER/go; printf \"$QUERY_STRING\"",
    )
}

#[test]
fn some_wait_in_turn_and_more_are_turned_away_at_once() {
    let stage = stage();
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let _daemon = stage.wake();
    let mut clients: Vec<_> = (0..3).map(|_| stage.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.ask(&format!("/?{number}"));
        if number == 0 {
            assert_eq!(here.line(), "0");
        }
        assert_eq!(stage.get("/hello").text(), "hello", "it is in line");
    }
    let page = stage.get("/?3");
    assert_eq!((page.status(), page.header("retry-after")), (503, Some("1")));
    here.is_silent();
    go.say("");
    for (number, mut client) in clients.into_iter().enumerate() {
        assert_eq!(client.answer().text(), number.to_string());
        if number < 2 {
            assert_eq!(here.line(), (number + 1).to_string(), "in the order they came");
            go.say("");
        }
    }
    here.is_silent();
}

#[test]
fn who_leaves_the_line_is_never_run() {
    let stage = stage();
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let _daemon = stage.wake();
    let mut first = stage.client();
    first.ask("/?first");
    assert_eq!(here.line(), "first");
    for way in ["fin", "close", "reset"] {
        let mut client = stage.client();
        client.post(&format!("/?{way}"), "", "body");
        assert_eq!(stage.get("/hello").text(), "hello", "it is in line");
        match way {
            "fin" => {
                client.0.shutdown(std::net::Shutdown::Write).expect("it is open");
                assert_eq!(client.answer().status(), 400);
            }
            "reset" => reset(client.0),
            _ => drop(client),
        }
    }
    // Two of the three would still stand in line, and this one be turned away.
    let mut last = stage.client();
    until(
        || {
            let mut client = stage.client();
            client.ask("/?last");
            assert_eq!(stage.get("/hello").text(), "hello");
            let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            let mut fds = [rustix::event::PollFd::new(&client.0, rustix::event::PollFlags::IN)];
            let is_turned_away = rustix::event::poll(&mut fds, Some(&now)) == Ok(1);
            if !is_turned_away {
                last = client;
            }
            !is_turned_away
        },
        || "they still stand in line".to_owned(),
    );
    go.say("");
    assert_eq!(first.answer().text(), "first");
    assert_eq!(here.line(), "last");
    go.say("");
    assert_eq!(last.answer().text(), "last");
}

#[test]
fn who_waits_too_long_is_503_and_never_run() {
    let keys = "at_once = 1\nqueue = 2\ntimeouts = { request = \"300ms\" }";
    let script = "printf begun; echo $QUERY_STRING $$ > FOLDER/here; read x < FOLDER/go";
    let stage = Stage::sh(keys, script);
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let _daemon = stage.wake();
    let mut first = stage.client();
    first.ask("/?first");
    let line = here.line();
    let pid = line.strip_prefix("first ").expect(&line).parse().expect("a pid");
    let page = stage.get("/?second");
    assert_eq!((page.status(), page.header("retry-after")), (503, Some("1")));
    go.say("");
    first.head();
    assert_eq!(first.chunk(), b"begun");
    assert_eq!(first.chunk(), b"");
    gone(pid);
    here.is_silent();
    let mut third = stage.client();
    third.ask("/?third");
    assert!(here.line().starts_with("third "), "the place is free again");
    go.say("");
    third.answer();
}

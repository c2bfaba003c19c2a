//! The daemon's end: programs finish within the drain, are ended after it, and never outlive the daemon.

use crate::program::{Stage, gone, sh};

/// Leaves soon after SIGTERM.
const SHORT: &str = "[sleep]\nafter = \"1h\"\ndrain = \"300ms\"\n";

/// Takes as long as a test may.
const LONG: &str = "[sleep]\nafter = \"1h\"\ndrain = \"30s\"\n";

#[test]
fn one_that_runs_finishes_within_the_drain() {
    let work = "echo $$ > FOLDER/here; read x < FOLDER/go; printf out; touch FOLDER/done";
    let routes = sh("/", "", work) + &sh("/finish", "on_disconnect = \"finish\"", work);
    for target in ["/", "/finish"] {
        let stage = Stage::new(LONG, &routes);
        let (here, go) = (stage.fifo("here"), stage.fifo("go"));
        let mut daemon = stage.wake();
        let mut client = Some(stage.client());
        client.as_mut().expect("one").ask(target);
        let pid = here.pid();
        if target == "/finish" {
            client = None;
            assert_eq!(stage.get("/hello").text(), "hello");
        }
        daemon.signal(libc::SIGTERM);
        let said = daemon.hear("STOPPING=1");
        assert!(said.contains(&format!("command {target}")), "{said}");
        go.say("");
        if let Some(mut client) = client {
            assert_eq!(client.answer().text(), "out");
        }
        gone(pid);
        let (status, log) = daemon.left();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(stage.path("done").exists());
    }
}

#[test]
fn at_the_end_of_the_drain_it_is_told_and_then_killed() {
    let listens = "trap \"touch FOLDER/told; exit 0\" TERM; echo $$ > FOLDER/here; sleep 1000 & wait";
    let ignores = "trap \"\" TERM; sleep 1000 & echo $! > FOLDER/here; echo $$ > FOLDER/here; wait";
    let finish = "on_disconnect = \"finish\"";
    let routes = [sh("/", "", listens), sh("/ignores", "", ignores), sh("/finish", finish, ignores)];
    let stage = Stage::new(SHORT, &routes.concat());
    let here = stage.fifo("here");
    let daemon = stage.wake();
    let (mut first, mut second, mut third) = (stage.client(), stage.client(), stage.client());
    first.ask("/");
    let mut pids = vec![here.pid()];
    second.ask("/ignores");
    pids.extend([here.pid(), here.pid()]);
    third.ask("/finish");
    pids.extend([here.pid(), here.pid()]);
    drop(third);
    daemon.signal(libc::SIGTERM);
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(stage.path("told").exists(), "{log}");
    pids.into_iter().for_each(gone);
    for target in ["/", "/ignores", "/finish"] {
        assert!(log.contains(&format!("run {target:?}: is ended: dormouse leaves")), "{log}");
    }
    assert!(log.contains("cut at the end of the drain"), "{log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let script = "trap \"\" TERM; sleep 1000 & echo $! > FOLDER/here; echo $$ > FOLDER/here; wait";
    let stage = Stage::new(LONG, &sh("/", "", script));
    let here = stage.fifo("here");
    let mut daemon = stage.wake();
    let mut client = stage.client();
    client.ask("/");
    let pids = [here.pid(), here.pid()];
    daemon.signal(libc::SIGTERM);
    daemon.hear("STOPPING=1");
    daemon.signal(libc::SIGTERM);
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(75), "{log}");
    pids.into_iter().for_each(gone);
}

#[test]
fn no_program_outlives_a_daemon_that_is_killed() {
    // What the program has started itself is systemd's to end, with the service.
    let stage =
        Stage::new(LONG, &sh("/", "", "trap \"\" TERM HUP; echo $$ > FOLDER/here; read x < FOLDER/go"));
    let (here, _go) = (stage.fifo("here"), stage.fifo("go"));
    let daemon = stage.wake();
    let mut client = stage.client();
    client.ask("/");
    let pid = here.pid();
    daemon.signal(libc::SIGKILL);
    daemon.left();
    gone(pid);
}

#[test]
fn who_still_waits_in_line_then_is_not_begun_with() {
    let finish = "on_disconnect = \"finish\"\nat_once = 2";
    let script = "case $HTTP_X_N in 1) trap \"\" TERM;; esac; echo > FOLDER/here; exec sleep 1000";
    let stage = Stage::new(SHORT, &sh("/", finish, script));
    let here = stage.fifo("here");
    let daemon = stage.wake();
    // One that leaves its place at once, and one that stays a while: the daemon waits for it.
    let mut clients: Vec<_> = (0..3).map(|_| stage.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-N: {number}\r\n\r\n"));
        assert_eq!(stage.get("/hello").text(), "hello", "it runs, or is in line");
    }
    for _ in 0..2 {
        here.line();
    }
    daemon.signal(libc::SIGTERM);
    let (status, log) = daemon.left();
    assert_eq!(status.code(), Some(0), "{log}");
    here.is_silent();
    assert_eq!(log.matches("is ended: dormouse leaves").count(), 2, "{log}");
    assert!(log.contains("run \"/\": is not run for 127.0.0.1: dormouse leaves"), "{log}");
}

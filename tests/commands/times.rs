//! `timeouts.request` and `timeouts.total`: 504 before the head, a cut after it, and the program is gone.

use crate::program::{Stage, gone, is_alive, line_of, log, sh};
use crate::site::SLOW;

#[test]
fn one_that_prints_nothing_in_time_is_504_and_ended() {
    let wait = "echo $$ > FOLDER/here; exec sleep 1000";
    let request = "timeouts = { request = \"200ms\" }\n";
    let routes = [
        sh("/request", request, wait),
        sh("/finish", &format!("{request}on_disconnect = \"finish\""), wait),
        sh("/whole", &format!("{request}stream = false"), &format!("echo out; {wait}")),
        sh("/cgi", &format!("{request}cgi = true"), &format!("echo A: b; {wait}")),
        sh("/total", "timeouts = { total = \"200ms\", request = \"1h\" }", wait),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let here = stage.fifo("here");
    let daemon = stage.wake();
    let mut pages = Vec::new();
    for target in ["/request", "/finish", "/whole", "/cgi", "/total"] {
        let mut client = stage.client();
        client.ask(target);
        let pid = here.pid();
        let page = client.answer();
        assert_eq!(page.status(), 504, "{target}");
        gone(pid);
        assert_eq!(client.get("/hello").text(), "hello", "the connection goes on");
        pages.push((target, page));
    }
    let log = log(daemon);
    for (target, page) in pages {
        let line = line_of(&page, &log);
        assert!(line.contains("timeouts") && line.contains(&format!("{target:?}")), "{line}");
    }
}

#[test]
fn time_that_the_client_takes_is_not_the_programs() {
    let stage = Stage::sh("timeouts = { request = \"400ms\" }", "cat");
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    for byte in ["a", "b", "c", "d"] {
        std::thread::sleep(std::time::Duration::from_millis(200)); // together twice the limit
        client.send(byte);
    }
    assert_eq!(client.answer().text(), "abcd");
}

#[test]
fn one_that_takes_too_long_in_all_is_cut_and_ended() {
    let keys = "timeouts = { total = \"300ms\" }\n";
    let script = "printf part; echo $$ > FOLDER/here; exec sleep 1000";
    let finish = format!("{keys}on_disconnect = \"finish\"");
    let stage = Stage::new(SLOW, &(sh("/", keys, script) + &sh("/finish", &finish, script)));
    let here = stage.fifo("here");
    let daemon = stage.wake();
    for target in ["/", "/finish"] {
        let mut client = stage.client();
        client.ask(target);
        let pid = here.pid();
        client.head();
        assert_eq!(client.chunk(), b"part");
        assert_eq!(client.end(), b"", "no last chunk");
        gone(pid);
    }
    // The client is gone long before.
    let mut client = stage.client();
    client.ask("/finish");
    let pid = here.pid();
    drop(client);
    assert!(is_alive(pid));
    gone(pid);
    let log = log(daemon);
    assert!(log.contains("timeouts"), "{log}");
}

#[test]
fn one_that_finishes_without_its_client_is_not_ended_by_what_that_would_have_waited() {
    let keys = "timeouts = { request = \"200ms\" }\non_disconnect = \"finish\"";
    let stage = Stage::sh(keys, "echo $$ > FOLDER/here; read x < FOLDER/go; touch FOLDER/done");
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let _daemon = stage.wake();
    for resets in [false, true] {
        let mut client = stage.client();
        client.ask("/");
        let pid = here.pid();
        if resets {
            crate::harness::reset(client.0)
        } else {
            drop(client)
        }
        std::thread::sleep(std::time::Duration::from_millis(400)); // twice the limit
        assert!(is_alive(pid), "resets: {resets}");
        go.say("");
        gone(pid);
        assert!(stage.path("done").exists());
    }
}

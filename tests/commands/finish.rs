//! `on_disconnect = "finish"`: a program that does its work whether or not somebody waits for it.

use std::net::Shutdown;

use crate::harness::reset;
use crate::program::{Stage, gone, is_alive, sh, until};
use crate::site::SLOW;

const FINISH: &str = "on_disconnect = \"finish\"\n";

/// Says that it runs, and goes on when it is told; then prints more than any pipe takes.
const WORK: &str = "echo $$ > FOLDER/here; read x < FOLDER/go; seq 1 200000; touch FOLDER/done";

#[test]
fn it_runs_on_to_its_end_without_its_client() {
    let routes = [
        sh("/silent", FINISH, WORK),
        sh("/prints", FINISH, &format!("echo begun; {WORK}")),
        sh("/whole", &format!("{FINISH}stream = false\noutput = \"10 MiB\""), WORK),
        sh("/sse", &format!("{FINISH}stream = \"sse\""), WORK),
        sh("/cgi", &format!("{FINISH}cgi = true"), &format!("printf \"X: y\\n\\n\"; {WORK}")),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let _daemon = stage.wake();
    for target in ["/silent", "/prints", "/whole", "/sse", "/cgi"] {
        for resets in [false, true] {
            let mut client = stage.client();
            client.ask(target);
            let pid = here.pid();
            if target == "/prints" {
                client.head();
            }
            if resets {
                reset(client.0)
            } else {
                drop(client)
            }
            // Another request on the way sees to it that the end has been noticed.
            assert_eq!(stage.get("/hello").text(), "hello");
            assert!(is_alive(pid));
            go.say("");
            until(|| stage.path("done").exists(), || format!("{target} is not done"));
            gone(pid);
            std::fs::remove_file(stage.path("done")).expect("it was there");
        }
    }
}

#[test]
fn one_that_has_only_closed_its_side_gets_the_answer() {
    let stage = Stage::sh(FINISH, "echo > FOLDER/here; read x < FOLDER/go; cat; printf out");
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nin");
    client.0.shutdown(Shutdown::Write).expect("it is open");
    here.line();
    go.say("");
    assert_eq!(client.answer().text(), "inout");
    assert_eq!(client.rest(), "");
}

#[test]
fn it_counts_until_it_has_ended() {
    let stage = Stage::sh(&format!("{FINISH}at_once = 1\nqueue = 0"), WORK);
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.ask("/");
    let pid = here.pid();
    drop(client);
    assert_eq!(stage.get("/").status(), 503);
    assert_eq!(stage.commands(), ["/"]);
    go.say("");
    gone(pid);
    until(|| stage.commands().is_empty(), || "it still counts".to_owned());
    let mut client = stage.client();
    client.ask("/");
    here.pid();
    go.say("");
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn one_that_waits_in_line_is_run_without_its_client() {
    let stage = Stage::sh(
        &format!("{FINISH}at_once = 1\nqueue = 5"),
        "echo $HTTP_X_N > FOLDER/here; read x < FOLDER/go",
    );
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let daemon = stage.wake();
    let mut clients: Vec<_> = (0..3).map(|_| stage.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-N: {number}\r\n\r\n"));
        if number == 0 {
            assert_eq!(here.line(), "0");
        }
        assert_eq!(stage.get("/hello").text(), "hello", "it is in line");
    }
    clients.into_iter().for_each(|client| reset(client.0));
    assert_eq!(stage.get("/hello").text(), "hello");
    for number in ["1", "2"] {
        go.say("");
        assert_eq!(here.line(), number);
    }
    go.say("");
    drop(daemon);
}

#[test]
fn a_request_that_is_not_whole_is_not_finished() {
    let stage = Stage::sh(FINISH, "echo $$ > FOLDER/here; cat > /dev/null; touch FOLDER/done");
    let here = stage.fifo("here");
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart");
    let pid = here.pid();
    drop(client);
    gone(pid);
    assert!(!stage.path("done").exists());
}

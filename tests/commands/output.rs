//! What a program prints is the answer as it comes, and how the program ends is how the answer does.

use std::os::fd::AsFd;

use crate::program::{Stage, gone, is_alive, kill, line_of, log, sh};
use crate::site::SLOW;

/// Nothing has come that was not read.
#[track_caller]
fn is_silent(client: &crate::harness::Client<std::net::TcpStream>) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::from_borrowed_fd(client.0.as_fd(), PollFlags::IN)], Some(&now)), Ok(0));
}

#[test]
fn bytes_go_out_as_they_come_and_no_head_before_the_first() {
    let script = "echo > FOLDER/here; read x < FOLDER/go; printf one; read x < FOLDER/go; printf two";
    let stage = Stage::sh("", script);
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.ask("/");
    here.line();
    assert_eq!(stage.get("/hello").text(), "hello", "whatever was to be sent has been");
    is_silent(&client);
    go.say("");
    let head = client.head();
    assert_eq!(head.status(), 200);
    assert_eq!(head.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(client.chunk(), b"one");
    is_silent(&client);
    go.say("");
    assert_eq!(client.chunk(), b"two");
    assert_eq!(client.chunk(), b"");
    client.ask("/hello");
    assert_eq!(client.answer().text(), "hello", "the connection goes on");
}

#[test]
fn an_early_failure_is_500_with_an_id_that_finds_its_last_words() {
    let routes = [
        sh("/code", "", "echo first >&2; echo what went wrong >&2; exit 3"),
        sh("/signal", "", "kill -SEGV $$"),
        sh("/status", "exit_status = { 2 = 404, 3 = 201 }", "exit $HTTP_X_CODE"),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let daemon = stage.wake();
    let (code, signal) = (stage.get("/code"), stage.get("/signal"));
    assert_eq!((code.status(), signal.status()), (500, 500));
    for (code, status) in [(0, 200), (2, 404), (3, 201), (4, 500)] {
        let mut client = stage.client();
        client.send(format!("GET /status HTTP/1.1\r\nHost: a\r\nX-Code: {code}\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status(), status, "{code}");
        if status < 300 {
            assert_eq!((answer.header("content-length"), answer.text()), (Some("0"), ""));
        }
    }
    let log = log(daemon);
    let line = line_of(&code, &log);
    assert!(line.contains("run \"/code\"") && line.contains("exit code 3: what went wrong"), "{line}");
    assert!(line_of(&signal, &log).contains("SIGSEGV"), "{log}");
}

#[test]
fn a_late_failure_cuts_the_answer() {
    let stage = Stage::sh("", "printf part; read x < FOLDER/go; echo at last >&2; exit 3");
    let go = stage.fifo("go");
    let daemon = stage.wake();
    let mut client = stage.client();
    client.ask("/");
    assert_eq!(client.head().header("transfer-encoding"), Some("chunked"));
    assert_eq!(client.chunk(), b"part");
    go.say("");
    assert_eq!(client.end(), b"", "no last chunk");
    let log = log(daemon);
    let line = log.lines().find(|line| line.contains("its answer was cut")).expect("it is logged");
    assert!(line.contains("exit code 3: at last"), "{line}");
}

#[test]
fn what_was_printed_before_a_failure_is_sent() {
    let routes =
        sh("/", "", "printf part; exit 3") + &sh("/cgi", "cgi = true", "printf \"A: b\\n\\npart\"; exit 3");
    let stage = Stage::new(SLOW, &routes);
    let _daemon = stage.wake();
    for target in ["/", "/cgi"].repeat(20) {
        let mut client = stage.client();
        client.ask(target);
        assert_eq!(client.head().status(), 200);
        assert_eq!(client.chunk(), b"part");
        assert_eq!(client.end(), b"");
    }
}

#[test]
fn one_that_closes_its_output_and_works_on_is_waited_for() {
    let script = "printf out; exec >&-; echo > FOLDER/here; read x < FOLDER/go; touch FOLDER/done; exit $x";
    let stage = Stage::sh("", script);
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let _daemon = stage.wake();
    for (code, last) in [("0", &b"0\r\n\r\n"[..]), ("1", b"")] {
        let mut client = stage.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.head();
        assert_eq!(client.chunk(), b"out");
        here.line();
        is_silent(&client);
        go.say(code);
        assert_eq!(client.end(), last);
        assert!(stage.path("done").exists());
    }
}

#[test]
fn the_answer_ends_with_the_program_and_not_with_what_it_leaves_behind() {
    let leaves = |then: &str| {
        format!(
            "setsid sh -c 'echo $$ > FOLDER/here; echo > FOLDER/ready; {then}' & read x < FOLDER/ready; printf out"
        )
    };
    let routes = [
        sh("/silent", "", &leaves("exec sleep 1000")),
        // It never stops, and prints more than a pipe takes.
        sh("/loud", "", &leaves("exec yes")),
        sh("/group", "", "sleep 1000 & echo $! > FOLDER/here; printf out"),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let (here, _ready) = (stage.fifo("here"), stage.fifo("ready"));
    let _daemon = stage.wake();
    for target in ["/silent", "/loud", "/group"] {
        let answer = stage.get(target);
        assert_eq!(answer.status(), 200);
        assert!(target == "/loud" || answer.text() == "out", "{target}: {:?}", answer.text());
        let left = here.pid();
        if target == "/silent" {
            // It has left the group, and prints nothing that nobody reads.
            assert!(is_alive(left));
            kill(left);
        }
        gone(left);
    }
}

#[test]
fn the_answer_to_head_is_a_head() {
    let routes = [
        sh("/", "type = \"text/html\"", "printf body"),
        sh("/whole", "stream = false", "printf body"),
        sh("/fails", "", "exit 1"),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let _daemon = stage.wake();
    let mut client = stage.client();
    for (target, status, length) in [("/", 200, None), ("/whole", 200, Some("4")), ("/fails", 500, None)] {
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = client.head();
        assert_eq!(head.status(), status, "{target}");
        if status == 200 {
            assert_eq!(head.header("content-length"), length, "{target}");
        }
    }
    assert_eq!(client.get("/hello").text(), "hello");
}

#[test]
fn one_that_runs_for_a_head_does_all_its_work() {
    let work = "seq 1 100000; sleep 0.2; touch FOLDER/done";
    let routes = [
        sh("/", "", work),
        sh("/sse", "stream = \"sse\"", work),
        sh("/whole", "stream = false", work),
        sh("/cgi", "cgi = true", &format!("printf \"X: y\\n\\n\"; {work}")),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let _daemon = stage.wake();
    let mut client = stage.client();
    for target in ["/", "/sse", "/whole", "/cgi"] {
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.head().status(), 200, "{target}");
        assert!(stage.path("done").exists(), "{target}: it was ended");
        std::fs::remove_file(stage.path("done")).expect("it was there");
    }
}

#[test]
fn other_methods_are_405() {
    let stage = Stage::sh("", "printf body");
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.header("allow")), (405, Some("GET, HEAD, POST")));
}

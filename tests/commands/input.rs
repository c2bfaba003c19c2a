//! A request's body is a program's stdin, as it was sent and as it comes.

use crate::program::{Stage, gone, log, sh};
use crate::site::SLOW;

#[test]
fn the_body_is_read_as_it_was_sent() {
    let stage = Stage::sh("", "cat; printf \"[%s]\" \"$CONTENT_LENGTH\"");
    let _daemon = stage.wake();
    let mut client = stage.client();
    let body: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    client.post("/", "Content-Encoding: gzip\r\n", &body);
    assert_eq!(client.answer().body, [&body[..], b"[70000]"].concat());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\none\r\n");
    client.send("4\r\n\ntwo\r\n0\r\nX-Trailer: 1\r\n\r\n");
    assert_eq!(client.answer().text(), "one\ntwo[]");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer().text(), "[]");
    assert_eq!(client.get("/").text(), "[]");
}

#[test]
fn it_is_read_as_it_comes() {
    let stage = Stage::sh("", "read a; echo $a; read b; echo $b");
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\none\n");
    client.head();
    assert_eq!(client.chunk(), b"one\n", "before the rest is there");
    client.send("two\n");
    assert_eq!(client.chunk(), b"two\n");
    assert_eq!(client.chunk(), b"");
}

#[test]
fn a_client_that_waits_for_100_gets_it_when_the_body_is_wanted() {
    let keys = "when = { \"header.X-Run\" = \"yes\" }";
    let routes =
        sh("/", keys, "cat") + &sh("/missing", "", "cat").replace("'''cat'''", "'''cat''', \"x{query.a}\"");
    let stage = Stage::new(SLOW, &routes);
    let _daemon = stage.wake();
    let expecting = |target: &str, run: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nX-Run: {run}\r\n\r\n"
        )
    };
    let mut client = stage.client();
    client.send(expecting("/", "yes"));
    assert_eq!(client.head().status(), 100);
    client.send("body");
    assert_eq!(client.answer().text(), "body");
    for (target, run, status) in [("/", "no", 204), ("/missing", "yes", 400)] {
        let mut client = stage.client();
        client.send(expecting(target, run));
        assert_eq!(client.head().status(), status, "{target}: without asking for the body");
    }
}

#[test]
fn one_that_does_not_read_it_answers_all_the_same() {
    let routes =
        sh("/ends", "", "printf out") + &sh("/closes", "", "exec <&-; read x < FOLDER/go; printf out");
    let stage = Stage::new(SLOW, &routes);
    let go = stage.fifo("go");
    let _daemon = stage.wake();
    for target in ["/ends", "/closes"] {
        // Small: the connection can be used again.
        let mut client = stage.client();
        client.post(target, "", "small");
        if target == "/closes" {
            go.say("");
        }
        assert_eq!(client.answer().text(), "out");
        client.ask("/hello");
        assert_eq!(client.answer().text(), "hello", "{target}");
    }
}

#[test]
fn much_that_nobody_reads_does_not_lose_the_answer() {
    let stage = Stage::sh("", "printf out");
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 50 << 20));
    let mut writing = client.0.try_clone().expect("a descriptor");
    let sending = std::thread::spawn(move || {
        let piece = vec![0; 1 << 20];
        (0..50).all(|_| std::io::Write::write_all(&mut writing, &piece).is_ok())
    });
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text()), (200, "out"));
    // All of it was taken, or the connection ends; nothing else comes.
    if sending.join().expect("no panic") {
        client.0.shutdown(std::net::Shutdown::Write).expect("it is open");
    }
    assert_eq!(client.end(), b"");
}

#[test]
fn a_body_over_the_limit_is_413() {
    let limits = "limits = { body = \"1 KiB\" }";
    let routes = [
        sh("/stream", limits, "echo $$ > FOLDER/here; cat > FOLDER/got; exec sleep 1000"),
        sh("/read", limits, "touch FOLDER/ran")
            .replace("'''touch FOLDER/ran'''", "'''touch FOLDER/ran''', \"{form.a}\""),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let here = stage.fifo("here");
    let _daemon = stage.wake();
    let large = vec![b'a'; 2000];
    for target in ["/stream", "/read"] {
        assert_eq!(stage.post(target, "", &large).status(), 413, "{target}: said beforehand");
    }
    here.is_silent();
    let chunked = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
                   Content-Type: application/x-www-form-urlencoded\r\n\r\n";
    let mut client = stage.client();
    client.send(format!("POST /read {chunked}7d0\r\n"));
    client.send(&large);
    assert_eq!(client.answer().status(), 413);
    let mut client = stage.client();
    client.send(format!("POST /stream {chunked}4\r\npart\r\n"));
    let pid = here.pid();
    client.send("7d0\r\n");
    client.send(&large);
    assert_eq!(client.answer().status(), 413);
    gone(pid);
    assert!(!stage.path("ran").exists());
}

#[test]
fn a_body_that_does_not_go_on_is_408_and_ends_it() {
    let stage = Stage::sh("timeouts = { body = \"200ms\" }", "echo $$ > FOLDER/here; cat");
    let here = stage.fifo("here");
    let daemon = stage.wake();
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    let pid = here.pid();
    assert_eq!(client.answer().status(), 408);
    gone(pid);
    let log = log(daemon);
    assert!(log.contains("timeouts.body"), "{log}");
}

#[test]
fn a_body_that_is_broken_off_ends_it() {
    let stage = Stage::sh("", "echo $$ > FOLDER/here; cat > /dev/null; touch FOLDER/whole");
    let here = stage.fifo("here");
    let _daemon = stage.wake();
    // It would have to see the end of its input before it hears that it has to end.
    for number in 0..60 {
        let mut client = stage.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart");
        let pid = here.pid();
        match number % 3 {
            0 => crate::harness::reset(client.0),
            1 => drop(client),
            _ => client.0.shutdown(std::net::Shutdown::Write).expect("it is open"),
        }
        gone(pid);
    }
    assert!(!stage.path("whole").exists(), "what was cut off is not taken for the whole");
}

#[test]
fn a_form_that_is_read_first_is_the_input_all_the_same() {
    let stage = Stage::new(
        SLOW,
        &sh("/", "", "cat; printf \"[%s]\" \"$1\"").replace("''']", "''', \"sh\", \"{form.a}\"]"),
    );
    let _daemon = stage.wake();
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(stage.post("/", kind, "a=%41&b=2").text(), "a=%41&b=2[A]");
    let page = stage.post("/", "Content-Type: text/plain\r\n", "a=1");
    assert_eq!(page.status(), 400);
    assert!(page.text().contains("the body is expected to be a form"), "{}", page.text());
}

//! `stream = false`: the answer is made when the program has ended.

use crate::program::{Stage, gone, line_of, log, sh};
use crate::site::SLOW;

#[test]
fn the_status_is_that_of_the_exit_code_and_the_length_is_known() {
    let keys = "stream = false\nexit_status = { 2 = 404, 3 = 409, 4 = 204 }\ntype = \"application/json\"";
    let stage = Stage::sh(keys, "printf \"{{}}\"; echo complaint >&2; exit $HTTP_X_CODE");
    let daemon = stage.wake();
    let mut client = stage.client();
    let mut failed = None;
    for (code, status) in [(0, 200), (2, 404), (3, 409), (4, 204), (1, 500), (77, 500)] {
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Code: {code}\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status(), status, "{code}");
        match status {
            204 => assert_eq!(answer.text(), ""),
            500 => failed = Some(answer),
            _ => {
                assert_eq!(
                    (answer.header("content-type"), answer.header("content-length")),
                    (Some("application/json"), Some("2"))
                );
                assert_eq!(answer.text(), "{}");
            }
        }
    }
    let line = line_of(&failed.expect("it failed"), &log(daemon));
    assert!(line.contains("exit code 77: complaint"), "{line}");
}

#[test]
fn nothing_is_sent_before_it_has_ended() {
    let stage = Stage::sh("stream = false", "printf out; echo > FOLDER/here; read x < FOLDER/go; exit 1");
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.ask("/");
    here.line();
    go.say("");
    assert_eq!(client.answer().status(), 500, "though it had printed something");
}

#[test]
fn one_that_prints_more_than_it_may_is_ended_and_is_500() {
    let routes = [
        sh("/", "stream = false\noutput = \"10 KiB\"", "echo $$ > FOLDER/here; exec yes"),
        sh("/just", "stream = false\noutput = \"10 KiB\"", "head -c 10240 /dev/zero"),
        sh("/over", "stream = false\noutput = \"10 KiB\"", "head -c 10241 /dev/zero"),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let here = stage.fifo("here");
    let daemon = stage.wake();
    let page = stage.get("/");
    assert_eq!(page.status(), 500);
    gone(here.pid());
    assert_eq!(stage.get("/just").body.len(), 10240);
    assert_eq!(stage.get("/over").status(), 500);
    let line = line_of(&page, &log(daemon));
    assert!(line.contains("more than 10240 bytes; see `output`"), "{line}");
}

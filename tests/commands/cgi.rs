//! `cgi = true`: programs that say head and body, as CGI/1.1 has it.

use crate::program::{Stage, gone, line_of, log, sh};
use crate::site::SLOW;

const CGI: &str = "cgi = true";
const WHOLE: &str = "cgi = true\nstream = false";

/// The same program with both kinds of answer.
fn both(path: &str, script: &str) -> String {
    sh(path, CGI, script) + &sh(&format!("/whole{path}"), WHOLE, script)
}

#[test]
fn heads_of_every_kind() {
    let routes = [
        both("/plain", r#"printf "Content-Type: text/html\n\n<p>""#),
        both("/crlf", r#"printf "Content-Type: text/html\r\nX-A: 1\r\nX-A: 2\r\n\r\n<p>""#),
        both("/status", r#"printf "Status: 404 Not Here\n\nnothing""#),
        both("/location", r#"printf "Location: /x?y\n\n""#),
        both("/created", r#"printf "Status: 201\nLocation: /x\n\nmade""#),
        both("/cookies", r#"printf "Set-Cookie: a=1\nSet-Cookie: b=2\n\n""#),
        both(
            "/hop",
            r#"printf "Connection: close\nTransfer-Encoding: chunked\nKeep-Alive: 1\nUpgrade: x\nTrailer: y\n\nbody""#,
        ),
        both("/none", r#"printf "\nbody""#),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let _daemon = stage.wake();
    for whole in ["", "/whole"] {
        let mut client = stage.client();
        let mut get = |path: &str| client.get(&format!("{whole}{path}"));
        let plain = get("/plain");
        assert_eq!(
            (plain.status(), plain.header("content-type"), plain.text()),
            (200, Some("text/html"), "<p>")
        );
        let crlf = get("/crlf");
        assert_eq!((crlf.head.matches("x-a: ").count(), crlf.text()), (2, "<p>"), "{}", crlf.head);
        let status = get("/status");
        assert_eq!((status.status(), status.text()), (404, "nothing"));
        let location = get("/location");
        assert_eq!((location.status(), location.header("location")), (302, Some("/x?y")));
        let created = get("/created");
        assert_eq!((created.status(), created.header("location"), created.text()), (201, Some("/x"), "made"));
        assert_eq!(get("/cookies").head.matches("set-cookie: ").count(), 2);
        let hop = get("/hop");
        assert_eq!(hop.text(), "body");
        for gone in ["upgrade", "trailer"] {
            assert_eq!(hop.header(gone), None);
        }
        assert_ne!(hop.header("connection"), Some("close"));
        assert_eq!(get("/none").text(), "body");
    }
}

#[test]
fn a_length_is_kept_whatever_is_printed() {
    let routes = [
        both("/right", r#"printf "Content-Length: 4\n\nbody""#),
        both("/long", r#"printf "Content-Length: 4\n\nbody and more""#),
        both("/short", r#"printf "Content-Length: 9\n\nbody""#),
        both("/zero", r#"printf "Content-Length: 0\n\n"; touch FOLDER/zero"#),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let daemon = stage.wake();
    for whole in ["", "/whole"] {
        let mut client = stage.client();
        for target in ["/right", "/long"] {
            let answer = client.get(&format!("{whole}{target}"));
            assert_eq!((answer.header("content-length"), answer.text()), (Some("4"), "body"), "{target}");
        }
        let zero = client.get(&format!("{whole}/zero"));
        assert_eq!((zero.status(), zero.header("content-length")), (200, Some("0")));
        std::fs::remove_file(stage.path("zero")).expect("what comes after the answer is done too");
    }
    assert_eq!(stage.get("/whole/short").status(), 500);
    let mut client = stage.client();
    client.ask("/short");
    assert_eq!(client.head().header("content-length"), Some("9"));
    assert_eq!(client.end(), b"body", "and no more");
    let log = log(daemon);
    assert_eq!(log.matches("less than its Content-Length says").count(), 2, "{log}");
}

#[test]
fn what_comes_after_an_answer_of_known_length_is_done_too() {
    // All of the answer is printed; what the program does then decides how it ends.
    let script = r#"printf "Content-Length: 4\n\nbody"; exec >&-; echo $$ > FOLDER/here; read x < FOLDER/go; touch FOLDER/done; exit $x"#;
    let stage = Stage::sh(CGI, script);
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let _daemon = stage.wake();
    for (code, body) in [("0", "body"), ("1", "bod")] {
        let mut client = stage.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.head();
        let pid = here.pid();
        go.say(code);
        assert_eq!(client.end(), body.as_bytes());
        gone(pid);
        std::fs::remove_file(stage.path("done")).expect("it is done");
    }
}

#[test]
fn answers_without_a_body() {
    let routes = [
        both("/304", r#"printf "Status: 304\nETag: \"x\"\nContent-Length: 9\n\n""#),
        both("/204", r#"printf "Status: 204\n\nno body may follow""#),
        both("/length", r#"printf "Content-Length: 9\nX-Method: $REQUEST_METHOD\n\n""#),
        both("/unknown", r#"printf "X-Method: $REQUEST_METHOD\n\nbody""#),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let daemon = stage.wake();
    for whole in ["", "/whole"] {
        let mut client = stage.client();
        for (target, status) in [("/304", 304), ("/204", 204)] {
            client.ask(&format!("{whole}{target}"));
            assert_eq!(client.head().status(), status);
        }
        for (target, length) in [("/length", Some("9")), ("/unknown", None)] {
            client.send(format!("HEAD {whole}{target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let head = client.head();
            assert_eq!((head.status(), head.header("x-method")), (200, Some("HEAD")));
            if whole.is_empty() || length.is_some() {
                assert_eq!(head.header("content-length"), length, "{whole}{target}");
            }
        }
        assert_eq!(client.get("/hello").text(), "hello", "nothing is left between them");
    }
    let log = log(daemon);
    assert!(!log.contains("is ended"), "each was left to end: {log}");
}

#[test]
fn a_head_may_come_in_pieces_and_be_long() {
    let long = r#"printf "X-Long: "; head -c 60000 /dev/zero | tr "\0" a; printf "\n\nbody""#;
    let routes = [
        sh(
            "/pieces",
            CGI,
            r#"printf "Content-Ty"; read x < FOLDER/go; printf "pe: a/b\r\n\r"; read x < FOLDER/go; printf "\nbody""#,
        ),
        both("/long", long),
        both("/over", &long.replace("60000", "66000")),
        sh("/endless", CGI, "echo $$ > FOLDER/here; exec tr \"\\0\" a < /dev/zero"),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let (go, here) = (stage.fifo("go"), stage.fifo("here"));
    let daemon = stage.wake();
    let mut client = stage.client();
    client.ask("/pieces");
    go.say("");
    go.say("");
    let answer = client.answer();
    assert_eq!((answer.header("content-type"), answer.text()), (Some("a/b"), "body"));
    for whole in ["", "/whole"] {
        let answer = stage.get(&format!("{whole}/long"));
        assert_eq!((answer.header("x-long").map(str::len), answer.text()), (Some(60000), "body"));
        assert_eq!(stage.get(&format!("{whole}/over")).status(), 500);
    }
    let page = stage.get("/endless");
    assert_eq!(page.status(), 500);
    gone(here.pid());
    let line = line_of(&page, &log(daemon));
    assert!(line.contains("longer than 64 KiB"), "{line}");
}

#[test]
fn what_is_no_head_is_500_and_the_log_says_why() {
    let routes = [
        both("/none", "printf \"just text\"; exit 0"),
        both("/empty", "exit 0"),
        both("/line", "printf \"<html>\\n\\n\""),
        both("/status", "printf \"Status: 101\\n\\n\""),
        both("/failed", "echo broken >&2; exit 7"),
        sh("/whole/late", WHOLE, "printf \"A: b\\n\\nbody\"; echo broken >&2; exit 7"),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let daemon = stage.wake();
    let mut pages = Vec::new();
    for (target, words) in [
        ("/none", "it has ended without a CGI head"),
        ("/empty", "it has ended without a CGI head"),
        ("/line", "no line of a CGI head"),
        ("/status", "\"101\" is no status"),
        ("/failed", "exit code 7: broken"),
    ] {
        pages.extend(["", "/whole"].map(|whole| (stage.get(&format!("{whole}{target}")), words)));
    }
    pages.push((stage.get("/whole/late"), "exit code 7: broken"));
    let log = log(daemon);
    for (page, words) in pages {
        assert_eq!(page.status(), 500);
        let line = line_of(&page, &log);
        assert!(line.contains(words), "{line}");
    }
}

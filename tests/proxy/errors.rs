//! Upstreams that misbehave: the client gets a clear answer, the journal the reason, and dormouse goes on.

use crate::harness::{Client, Daemon, connect};
use crate::upstream::{OK, Upstream, id, log, start};

/// Memory of a process, in KiB.
pub fn resident(daemon: &Daemon, which: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(which)).expect("a line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// The log has one line with this id, and the words.
#[track_caller]
fn tells(log: &str, id: &str, words: &[&str]) {
    let line = log.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("no {id} in:\n{log}"));
    for word in words {
        assert!(line.contains(word), "no {word:?} in: {line}");
    }
}

#[test]
fn nobody_listens() {
    let upstream = Upstream::new();
    let url = upstream.url();
    let route = upstream.route("");
    drop(upstream);
    let (site, daemon) = start(&route);
    let mut client = connect(site.web);
    let page = client.get("/some/path");
    assert_eq!(page.status(), 502);
    assert!(!page.text().contains("127.0.0.1"), "{}", page.text());
    assert_eq!(client.get("/hello").text(), "hello");
    tells(&log(daemon), &id(&page), &["502", &url, "/some/path", "refused"]);
}

#[test]
fn no_such_socket() {
    let (site, daemon) = start(&crate::upstream::route("unix:/nonexistent/app.sock", ""));
    let page = connect(site.web).get("/");
    assert_eq!(page.status(), 502);
    tells(&log(daemon), &id(&page), &["unix:/nonexistent/app.sock"]);
}

#[test]
fn garbage_is_502() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let mut ids = Vec::new();
    for garbage in [
        "220 mail.test ESMTP\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
    ] {
        client.ask("/");
        let (mut connection, _) = upstream.asked();
        connection.send(garbage);
        let page = client.answer();
        assert_eq!(page.status(), 502, "{garbage:?}");
        ids.push(id(&page));
        connection.end();
    }
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
    let log = log(daemon);
    ids.iter().for_each(|id| tells(&log, id, &["502", "no HTTP"]));
}

#[test]
fn an_upstream_that_closes_before_its_answer_is_502() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let mut ids = Vec::new();
    for part in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Le"] {
        client.ask("/");
        let (mut connection, _) = upstream.asked();
        connection.send(part);
        drop(connection);
        let page = client.answer();
        assert_eq!(page.status(), 502, "{part:?}");
        ids.push(id(&page));
    }
    let log = log(daemon);
    ids.iter().for_each(|id| tells(&log, id, &["502", "closed the connection"]));
}

#[test]
fn an_answer_that_breaks_off_is_cut() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nxyz\r\n",
    ] {
        let mut client = connect(site.web);
        client.ask("/");
        let (mut connection, _) = upstream.asked();
        connection.send(answer);
        client.head();
        drop(connection);
        let rest = client.rest();
        assert!(rest.contains("part") && !rest.ends_with("0\r\n\r\n"), "{rest:?}");
    }
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
    assert!(log(daemon).contains("broke it off"));
}

#[test]
fn an_answer_that_breaks_off_before_its_body_is_502() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    daemon.freeze(); // so that the end has come when the head is read
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    drop(connection);
    daemon.thaw();
    let page = client.answer();
    assert_eq!(page.status(), 502);
    tells(&log(daemon), &id(&page), &["502", "broke off its answer"]);
}

#[test]
fn bytes_after_an_answer_end_the_connection() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    for _ in 0..2 {
        client.ask("/");
        let (mut connection, _) = upstream.asked();
        connection.send(format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
        assert_eq!(client.answer().text(), "ok");
        connection.end();
    }
}

#[test]
fn a_head_without_end_is_502_and_costs_no_memory() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    let before = resident(&daemon, "VmHWM");
    connection.send("HTTP/1.1 200 OK\r\n");
    let line = format!("X-Many: {}\r\n", "x".repeat(1000));
    let piece = line.repeat(1000);
    // 100 MB, or as much as it takes of it.
    for _ in 0..100 {
        if std::io::Write::write_all(&mut connection.0, piece.as_bytes()).is_err() {
            break;
        }
    }
    let page = client.answer();
    assert_eq!(page.status(), 502);
    let grown = resident(&daemon, "VmHWM").saturating_sub(before);
    assert!(grown < 4 * 1024, "{grown} KiB more");
    assert_eq!(client.get("/hello").text(), "hello");
    tells(&log(daemon), &id(&page), &["502", "too large a head"]);
}

#[test]
fn interim_answers_without_end_are_no_answer() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("timeouts = { request = \"500ms\" }");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    let before = resident(&daemon, "VmHWM");
    let piece = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1000);
    while std::io::Write::write_all(&mut connection.0, piece.as_bytes()).is_ok() {}
    assert!(matches!(client.answer().status(), 502 | 504));
    let grown = resident(&daemon, "VmHWM").saturating_sub(before);
    assert!(grown < 4 * 1024, "{grown} KiB more");
    assert_eq!(client.get("/hello").text(), "hello");
}

#[test]
fn an_upgrade_nobody_asked_for_is_502() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    connection.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
    let page = client.answer();
    assert_eq!(page.status(), 502);
    connection.end();
    tells(&log(daemon), &id(&page), &["502"]);
}

#[test]
fn json_and_html_are_told_in_their_form() {
    let upstream = Upstream::new();
    let route = upstream.route("");
    drop(upstream);
    let (site, _daemon) = start(&route);
    let ask = |accept: &str| {
        let mut client: Client<_> = connect(site.web);
        client.send(format!("GET /a HTTP/1.1\r\nHost: test\r\nAccept: {accept}\r\n\r\n"));
        client.answer()
    };
    let json: serde_json::Value = serde_json::from_slice(&ask("application/json").body).expect("json");
    assert_eq!((&json["status"], json["id"].is_string()), (&502.into(), true));
    assert!(ask("text/html").text().contains("id <code>"));
}

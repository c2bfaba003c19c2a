//! Bodies on their way: piece by piece, with their ends and trailers, and none where there is none.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::harness::{Client, connect};
use crate::upstream::{OK, Upstream};

impl<S: Read + Write> Client<S> {
    /// What must come next.
    #[track_caller]
    pub fn expect(&mut self, bytes: &str) {
        let mut came = vec![0; bytes.len()];
        self.0.read_exact(&mut came).expect("it comes");
        assert_eq!(String::from_utf8_lossy(&came), bytes);
    }

    /// The lines after the last chunk, up to the empty one.
    pub fn trailers(&mut self) -> Vec<String> {
        assert_eq!(self.line(), "0");
        std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty())).collect()
    }
}

/// A client whose request has come to the upstream.
fn asked(upstream: &Upstream, client: &mut Client<TcpStream>, request: &str) -> Client<TcpStream> {
    client.send(request.replace('\n', "\r\n"));
    upstream.asked().0
}

#[test]
fn an_answer_in_chunks_goes_on_piece_by_piece() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let mut connection = asked(&upstream, &mut client, "GET / HTTP/1.1\nHost: test\n\n");
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.head().header("transfer-encoding"), Some("chunked"));
    for piece in ["one", "two", "three"] {
        connection.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        assert_eq!(client.chunk(), piece.as_bytes()); // here before the next is sent
    }
    connection.send("0\r\n\r\n");
    assert_eq!(client.chunk(), b"");
}

#[test]
fn an_answer_with_a_length_goes_on_piece_by_piece() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let mut connection = asked(&upstream, &mut client, "GET / HTTP/1.1\nHost: test\n\n");
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    assert_eq!(client.head().header("content-length"), Some("9"));
    for piece in ["one", "two", "six"] {
        connection.send(piece);
        client.expect(piece);
    }
    // Both connections go on.
    client.ask("/");
    connection.head();
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn an_answer_that_ends_with_its_connection_is_whole() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let mut connection = asked(&upstream, &mut client, "GET / HTTP/1.1\nHost: test\n\n");
    connection.send("HTTP/1.0 200 OK\r\n\r\none");
    client.head();
    assert_eq!(client.chunk(), b"one");
    connection.send("two");
    assert_eq!(client.chunk(), b"two");
    drop(connection);
    assert_eq!(client.chunk(), b"");
}

#[test]
fn uploads_go_on_piece_by_piece() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let chunked = "POST / HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\n";
    let mut connection = asked(&upstream, &mut client, chunked);
    for piece in ["one", "two"] {
        client.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        assert_eq!(connection.chunk(), piece.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(connection.chunk(), b"");
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");

    client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\n");
    assert_eq!(connection.head().header("content-length"), Some("6"));
    for piece in ["one", "two"] {
        client.send(piece);
        connection.expect(piece);
    }
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn an_answer_may_come_while_the_upload_goes_on() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let chunked = "POST / HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\n1\na\n";
    let mut connection = asked(&upstream, &mut client, chunked);
    assert_eq!(connection.chunk(), b"a");
    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.head();
    for piece in ["b", "c"] {
        client.send(format!("1\r\n{piece}\r\n"));
        assert_eq!(connection.chunk(), piece.as_bytes());
        connection.send(format!("1\r\n{piece}\r\n"));
        assert_eq!(client.chunk(), piece.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(connection.chunk(), b"");
    connection.send("0\r\n\r\n");
    assert_eq!(client.chunk(), b"");
}

#[test]
fn trailers_pass_both_ways() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let request = "POST / HTTP/1.1\nHost: test\nTE: trailers\nTrailer: X-Sum\nTransfer-Encoding: chunked\n\n\
                   3\none\n0\nX-Sum: 7\n\n";
    client.send(request.replace('\n', "\r\n"));
    let (mut connection, head) = upstream.asked();
    assert_eq!((head.header("te"), head.header("trailer")), (Some("trailers"), Some("X-Sum")));
    assert_eq!(connection.chunk(), b"one");
    let lower = |lines: Vec<String>| lines.iter().map(|line| line.to_lowercase()).collect::<Vec<_>>();
    assert_eq!(lower(connection.trailers()), ["x-sum: 7"]);
    connection.send("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\nX-Sum: 8\r\n\r\n");
    assert_eq!(client.head().header("trailer"), Some("X-Sum"));
    assert_eq!(client.chunk(), b"two");
    assert_eq!(lower(client.trailers()), ["x-sum: 8"]);
}

#[test]
fn answers_without_a_body_have_none() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let mut connection = asked(&upstream, &mut client, "HEAD /a HTTP/1.1\nHost: test\n\n");
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    assert_eq!(client.head().header("content-length"), Some("1234"));
    for (status, headers) in
        [("204 No Content", ""), ("304 Not Modified", "ETag: \"a\"\r\nContent-Length: 77\r\n")]
    {
        client.ask("/");
        connection.head();
        connection.send(format!("HTTP/1.1 {status}\r\n{headers}\r\n"));
        let head = client.head();
        assert!(head.line().ends_with(status), "{}", head.head);
        assert_eq!(head.header("transfer-encoding"), None);
    }
    client.ask("/");
    connection.head();
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
    upstream.is_left_alone();
}

#[test]
fn events_are_passed_as_they_come_and_end_between_two() {
    let upstream = Upstream::new();
    let (site, daemon) = upstream.behind("timeouts = { idle = \"50ms\" }");
    let mut client = connect(site.web);
    let mut connection = asked(&upstream, &mut client, "GET / HTTP/1.1\nHost: test\n\n");
    connection
        .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.head();
    for event in ["data: 1\n\n", "data: 2\n\n", "data: "] {
        std::thread::sleep(std::time::Duration::from_millis(100)); // longer than the limit that is not theirs
        connection.send(format!("{:x}\r\n{event}\r\n", event.len()));
        assert_eq!(client.chunk(), event.as_bytes());
    }
    daemon.signal(libc::SIGTERM);
    // It waits for the event's end, and then ends in order though the upstream goes on.
    connection.send("3\r\n3\n\n\r\n");
    assert_eq!(client.chunk(), b"3\n\n");
    assert_eq!(client.chunk(), b"");
    connection.end();
    daemon.asleep();
}

#[test]
fn an_upload_that_is_not_wanted_is_not_sent() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let (mut connection, head) = upstream.asked();
    assert_eq!(head.header("expect"), Some("100-continue"));
    connection.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.head().status(), 413);
    connection.end();
    client.end();
}

#[test]
fn an_upload_that_is_wanted_is_asked_for() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let (mut connection, _) = upstream.asked();
    connection.send("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.head().status(), 100);
    client.send("hello");
    connection.expect("hello");
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn an_upstream_that_knows_no_expectation_gets_the_body_all_the_same() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let (mut connection, _) = upstream.asked();
    assert_eq!(client.head().status(), 100); // after a second
    client.send("hello");
    connection.expect("hello");
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

/// An upload of which the upstream reads nothing, and which it refuses.
fn refused_early(end: impl FnOnce(Client<TcpStream>) -> Option<Client<TcpStream>>) {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000000\r\n\r\n");
    let (mut connection, _) = upstream.asked();
    let mut sending = client.0.try_clone().expect("a descriptor");
    let pouring = std::thread::spawn(move || while sending.write_all(&[0; 65536]).is_ok() {});
    // It comes in the middle of the upload.
    let mut some = vec![0; 1 << 20];
    connection.0.read_exact(&mut some).expect("it comes");
    connection.send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    let kept = end(connection);
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text()), (413, "no"));
    drop(kept);
    client.0.shutdown(std::net::Shutdown::Both).expect("open");
    pouring.join().expect("no panic");
}

#[test]
fn an_upload_refused_halfway_is_told() {
    refused_early(Some);
    refused_early(|connection| {
        connection.0.shutdown(std::net::Shutdown::Write).expect("open");
        Some(connection)
    });
}

#[test]
fn an_upload_refused_halfway_with_a_reset_is_told() {
    for _ in 0..10 {
        refused_early(|connection| {
            drop(connection); // with bytes unread
            None
        });
    }
}

#[test]
fn a_get_may_have_a_body_of_unknown_length() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.send(
        "GET /search HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n",
    );
    let (mut connection, asked) = upstream.asked();
    assert_eq!(asked.header("transfer-encoding"), Some("chunked"), "{}", asked.head);
    assert_eq!(connection.chunk(), b"all");
    connection.expect("0\r\n\r\n");
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn a_stranger_is_not_believed_in_its_trailers_either() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.send(
        "PUT / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Forwarded-For, X-Sum\r\n\r\n\
         3\r\nall\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nX-Sum: 7\r\n\r\n",
    );
    let (mut connection, _) = upstream.asked();
    assert_eq!(connection.chunk(), b"all");
    connection.expect("0\r\nx-sum: 7\r\n\r\n");
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn a_length_said_twice_is_passed_on_once() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let mut connection = None;
    for lengths in ["Content-Length: 2, 2", "Content-Length: 2\r\nContent-Length: 2"] {
        client.ask("/");
        let connection = connection.get_or_insert_with(|| upstream.accept());
        connection.head();
        connection.send(format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nok"));
        let head = client.head();
        assert_eq!(head.head.to_lowercase().matches("content-length: 2\r\n").count(), 1, "{}", head.head);
        assert!(!head.head.contains("2, 2"), "{}", head.head);
        client.expect("ok");
    }
}

//! Heads on their way: paths, headers, who asks.

use std::io::Read;

use crate::harness::connect;
use crate::upstream::{OK, Upstream};

/// What arrives at the upstream when `request` is sent; its lines, in lower case and sorted.
fn arrives(keys: &str, request: &str) -> Vec<String> {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind(keys);
    let mut client = connect(site.web);
    client.send(request.replace('\n', "\r\n"));
    let (mut connection, asked) = upstream.asked();
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
    let mut lines: Vec<String> = asked.head.trim_end().lines().skip(1).map(str::to_lowercase).collect();
    lines.sort();
    lines
}

#[test]
fn paths_and_queries_arrive_as_they_were_sent() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    let mut connection = None;
    for target in [
        "/",
        "/web/2015/http://example.com//a/../b?x",
        "/a/./../%2e%2E/%2F/b",
        "//double//slash//",
        "/a?",
        "/a?b?c&&d=%zz&e=http://x/../y",
        "/%zz",
        "/a;b,c:d@e!$&'()*+=~",
        "/?",
    ] {
        client.ask(target);
        let connection = connection.get_or_insert_with(|| upstream.accept());
        assert_eq!(connection.head().line(), format!("GET {target} HTTP/1.1"));
        connection.send(OK);
        assert_eq!(client.answer().text(), "ok");
    }
}

#[test]
fn what_is_about_the_connection_ends_with_it() {
    let request = "POST /a HTTP/1.1\nHost: site.test\nConnection: close, X-Own\nX-Own: 1\nX-Kept: 1\nKeep-Alive: 9\n\
                   Proxy-Connection: keep-alive\nTE: gzip\nTransfer-Encoding: chunked\n\n0\n\n";
    let lines = [
        "host: site.test",
        "transfer-encoding: chunked",
        "via: 1.1 dormouse",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: site.test",
        "x-forwarded-proto: http",
        "x-kept: 1",
    ];
    assert_eq!(arrives("", request), lines);

    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.ask("/");
    let (mut connection, _) = upstream.asked();
    connection.send(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Own\r\nX-Own: 1\r\nX-Kept: 1\r\nKeep-Alive: timeout=1234\r\n\
         Proxy-Connection: close\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
    );
    let answer = client.answer();
    assert_eq!((answer.header("x-kept"), answer.text()), (Some("1"), "ok"));
    for gone in ["x-own", "proxy-connection", "upgrade", "connection"] {
        assert_eq!(answer.header(gone), None, "{}", answer.head);
    }
    assert!(!answer.head.contains("1234"), "{}", answer.head);
}

const SAID: &str = "GET /a HTTP/1.1\nHost: site.test\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\n\
                    X-Forwarded-Host: wiki.test\nForwarded: for=192.0.2.1\nVia: 1.0 other\n\n";

#[test]
fn a_stranger_is_not_believed() {
    let lines = [
        "forwarded: for=127.0.0.1;host=\"site.test\";proto=http",
        "host: site.test",
        "via: 1.0 other, 1.1 dormouse",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: site.test",
        "x-forwarded-proto: http",
    ];
    assert_eq!(arrives("forwarded = true", SAID), lines);
}

#[test]
fn whom_trust_names_is_believed() {
    let lines = [
        "forwarded: for=192.0.2.1, for=127.0.0.1;host=\"site.test\";proto=https",
        "host: site.test",
        "via: 1.0 other, 1.1 dormouse",
        "x-forwarded-for: 192.0.2.1, 127.0.0.1",
        "x-forwarded-host: wiki.test",
        "x-forwarded-proto: https",
    ];
    assert_eq!(arrives("forwarded = true\n[trust]\nproxies = [\"127.0.0.0/8\"]", SAID), lines);
}

/// `PROXY` version 2 of 192.0.2.9:4711 to 192.0.2.1:80.
fn version_2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([192, 0, 2, 9, 192, 0, 2, 1]);
    header.extend([0x12, 0x67, 0, 80]);
    header
}

#[test]
fn a_proxy_header_of_a_trusted_peer_names_the_client() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("[trust]\nproxies = [\"127.0.0.1\"]");
    let mut connection = None;
    for header in [b"PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\n".to_vec(), version_2()] {
        let mut client = connect(site.web);
        client.send(header);
        client.ask("/");
        let connection = connection.get_or_insert_with(|| upstream.accept());
        assert_eq!(connection.head().header("x-forwarded-for"), Some("192.0.2.9"));
        connection.send(OK);
        assert_eq!(client.answer().text(), "ok");
    }
}

#[test]
fn a_proxy_header_of_a_stranger_is_no_request() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("[trust]\nproxies = [\"192.0.2.1\"]");
    for header in [b"PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\n".to_vec(), version_2()] {
        let mut client = connect(site.web);
        client.send(header);
        client.ask("/");
        assert_eq!(client.head().status(), 400);
    }
    upstream.is_left_alone();
}

#[test]
fn a_proxy_header_goes_out_on_a_connection_of_its_own() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("proxy_protocol = true\n[trust]\nproxies = [\"127.0.0.1\"]");
    let mut client = connect(site.web);
    client.send(version_2());
    for _ in 0..2 {
        client.ask("/");
        let mut connection = upstream.accept();
        let mut header = [0; 28];
        connection.0.read_exact(&mut header).expect("a header");
        assert_eq!(header[..20], version_2()[..20]);
        assert_eq!(header[24..26], version_2()[24..26], "its port");
        assert_eq!(connection.head().line(), "GET / HTTP/1.1");
        connection.send(OK);
        assert_eq!(client.answer().text(), "ok");
        connection.end();
    }
}

#[test]
fn prefixes_come_and_go() {
    let upstream = Upstream::new();
    let url = upstream.url();
    let config = format!(
        "[[route]]\npath = \"/off/\"\nproxy = \"{url}\"\nstrip_prefix = true\n\
         [[route]]\npath = \"/on/\"\nproxy = \"{url}\"\nadd_prefix = \"/x\"\n\
         [[route]]\npath = \"/both/\"\nproxy = \"{url}\"\nstrip_prefix = true\nadd_prefix = \"/x/y\"\n"
    );
    let (site, _daemon) = crate::upstream::start(&config);
    let mut client = connect(site.web);
    let mut connection = None;
    for (sent, arrives) in [
        ("/off/a//b/../c?d", "/a//b/../c?d"),
        ("/off/", "/"),
        ("/off//a", "//a"),
        ("/on/a?b", "/x/on/a?b"),
        ("/both/a%2Fb?", "/x/y/a%2Fb?"),
    ] {
        client.ask(sent);
        let connection = connection.get_or_insert_with(|| upstream.accept());
        assert_eq!(connection.head().line(), format!("GET {arrives} HTTP/1.1"), "{sent}");
        connection.send(OK);
        assert_eq!(client.answer().text(), "ok");
    }
}

#[test]
fn the_host_is_kept_or_the_upstreams_or_another() {
    let upstream = Upstream::new();
    let (url, own) = (upstream.url(), upstream.address().to_string());
    let config = format!(
        "[[route]]\npath = \"/keep\"\nproxy = \"{url}\"\n\
         [[route]]\npath = \"/own\"\nproxy = \"{url}\"\nupstream_host = \"upstream\"\n\
         [[route]]\npath = \"/name\"\nproxy = \"{url}\"\nupstream_host = \"wiki.test:81\"\n"
    );
    let (site, _daemon) = crate::upstream::start(&config);
    let mut client = connect(site.web);
    let mut connection = None;
    for (path, host) in [("/keep", "test"), ("/own", &own), ("/name", "wiki.test:81")] {
        client.ask(path);
        let connection = connection.get_or_insert_with(|| upstream.accept());
        let asked = connection.head();
        assert_eq!((asked.header("host"), asked.header("x-forwarded-host")), (Some(host), Some("test")));
        connection.send(OK);
        assert_eq!(client.answer().text(), "ok");
    }
}

#[test]
fn a_unix_socket_is_an_upstream() {
    let folder = crate::harness::Folder::new();
    let path = folder.join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a fresh path");
    let route = crate::upstream::route(&format!("unix:{}", path.display()), "upstream_host = \"upstream\"");
    let (site, _daemon) = crate::upstream::start(&route);
    let mut client = connect(site.web);
    client.ask("/a");
    let mut connection = crate::harness::Client(listener.accept().expect("it connects").0);
    let asked = connection.head();
    assert_eq!((asked.line(), asked.header("host")), ("GET /a HTTP/1.1", Some("localhost")));
    connection.send(OK);
    assert_eq!(client.answer().text(), "ok");
}

#[test]
fn a_request_for_an_address_is_one_for_its_host() {
    let lines = [
        "host: other.test",
        "via: 1.1 dormouse",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: other.test",
        "x-forwarded-proto: http",
    ];
    assert_eq!(arrives("", "GET http://other.test/a HTTP/1.1\nHost: other.test\n\n"), lines);
}

#[test]
fn a_tunnel_is_not_for_the_asking() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client.send("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n");
    let status = client.head().status();
    assert!((400..=501).contains(&status), "{status}");
    upstream.is_left_alone();
}

#[test]
fn requests_sent_ahead_are_asked_one_after_the_other() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    let mut client = connect(site.web);
    client
        .send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
    client.ask("/3");
    let (mut connection, asked) = upstream.asked();
    assert_eq!(asked.line(), "GET /1 HTTP/1.1");
    connection.send(OK);
    assert_eq!(connection.head().line(), "POST /2 HTTP/1.1");
    connection.expect("ab");
    connection.send(OK);
    assert_eq!(connection.head().line(), "GET /3 HTTP/1.1");
    connection.send(OK);
    for _ in 0..3 {
        assert_eq!(client.answer().text(), "ok");
    }
    upstream.is_left_alone();
}

#[test]
fn a_stranger_is_not_believed_in_another_spelling() {
    // To whatever makes variables of headers (CGI, WSGI) both are HTTP_X_FORWARDED_FOR.
    let request = "GET /a HTTP/1.1\nHost: site.test\nX_Forwarded_For: 6.6.6.6\nX-Forwarded_Ssl: on\nX_Real-IP: 6.6.6.6\n\
                   X_Own: 1\n\n";
    let lines = [
        "host: site.test",
        "via: 1.1 dormouse",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: site.test",
        "x-forwarded-proto: http",
        "x_own: 1",
    ];
    assert_eq!(arrives("", request), lines);
}

#[test]
fn an_address_says_the_host_without_whoever_it_is_for() {
    let lines = arrives("", "GET http://user:secret@site.test:81/a HTTP/1.1\nHost: other.test\n\n");
    assert_eq!(lines[0], "host: site.test:81");
    assert_eq!(lines[3], "x-forwarded-host: site.test:81");
}

#[test]
fn no_tunnel_is_made_by_connect() {
    let upstream = Upstream::new();
    let (site, _daemon) = upstream.behind("");
    for target in ["/a", "test:80"] {
        let mut client = connect(site.web);
        client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let status = client.head().status();
        assert!([400, 404].contains(&status), "{target}: {status}");
    }
    upstream.is_left_alone();
}

#[test]
fn a_proxy_that_does_not_know_for_whom_it_asks_speaks_for_a_stranger() {
    let trusts = "[trust]\nproxies = [\"127.0.0.1\"]";
    for (header, seen) in [("PROXY UNKNOWN\n", "127.0.0.1"), ("", "192.0.2.1, 127.0.0.1")] {
        let lines = arrives(trusts, &format!("{header}{SAID}"));
        assert!(lines.contains(&format!("x-forwarded-for: {seen}")), "{header:?}: {lines:?}");
    }
}

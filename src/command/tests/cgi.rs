use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Uri, Version};
use proptest::prelude::*;

use crate::activation::Peer;
use crate::command::Unfit;
use crate::command::cgi::{Request, Variables, split, variables};
use crate::guard::Client;
use crate::handler::Head;

struct Sent<'s> {
    uri: &'s str,
    headers: &'s [(&'s str, &'s str)],
    route: (&'s str, bool),
    peer: Peer,
    is_trusted: bool,
    length: Option<u64>,
}

impl Default for Sent<'_> {
    fn default() -> Self {
        let peer = Peer::Tcp("192.0.2.7:4711".parse().expect("an address"));
        Self { uri: "/", headers: &[], route: ("", false), peer, is_trusted: false, length: None }
    }
}

impl Sent<'_> {
    fn told(&self) -> Result<Variables, Unfit> {
        let uri: Uri = self.uri.parse().expect(self.uri);
        let mut headers = HeaderMap::new();
        headers.extend(self.headers.iter().map(|(name, value)| {
            (name.parse::<HeaderName>().expect(name), HeaderValue::from_str(value).expect(value))
        }));
        let client = Client { near: &self.peer, is_trusted: self.is_trusted };
        let (rest, is_subtree) = self.route;
        let (script_name, path_info) = split(uri.path(), rest, is_subtree);
        variables(&Request {
            head: Head { method: &Method::POST, uri: &uri, headers: &headers },
            version: Version::HTTP_11,
            client,
            remote: client.remote(&headers, |address: IpAddr| address.is_loopback()),
            script_name,
            path_info,
            length: self.length,
        })
    }

    fn get(&self, name: &str) -> Option<String> {
        let told = self.told().expect("variables");
        let found = told.into_iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.to_string_lossy().into_owned())
    }
}

#[test]
fn what_the_rfc_wants() {
    let sent = Sent {
        uri: "/git/my%20repo/info?service=a+b%20c",
        headers: &[
            ("Host", "git.example.org:8443"),
            ("Content-Type", "text/plain"),
            ("Content-Length", "5"),
            ("Accept", "a"),
            ("Accept", "b"),
            ("Cookie", "a=1"),
            ("Cookie", "b=2"),
            ("Git-Protocol", "version=2"),
        ],
        route: ("my%20repo/info", true),
        length: Some(5),
        ..Sent::default()
    };
    let mut told: Vec<_> = sent.told().expect("variables").into_iter().collect();
    told.sort();
    let expected = [
        ("CONTENT_LENGTH", "5"),
        ("CONTENT_TYPE", "text/plain"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("HTTP_ACCEPT", "a, b"),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("HTTP_GIT_PROTOCOL", "version=2"),
        ("HTTP_HOST", "git.example.org:8443"),
        ("PATH_INFO", "/my repo/info"),
        ("QUERY_STRING", "service=a+b%20c"),
        ("REMOTE_ADDR", "192.0.2.7"),
        ("REMOTE_PORT", "4711"),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", "/git/my%20repo/info?service=a+b%20c"),
        ("SCRIPT_NAME", "/git"),
        ("SERVER_NAME", "git.example.org"),
        ("SERVER_PORT", "8443"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", concat!("dormouse/", env!("CARGO_PKG_VERSION"))),
    ];
    assert_eq!(told, expected.map(|(name, value)| (OsString::from(name), OsString::from(value))));
}

#[test]
fn the_path_is_cut_in_two() {
    for (path, rest, is_subtree, expected) in [
        ("/git/a/b", "a/b", true, ("/git", "/a/b")),
        ("/git/", "", true, ("/git", "/")),
        ("/a", "a", true, ("", "/a")),
        ("/", "", true, ("", "/")),
        ("/u/ann//x", "/x", true, ("/u/ann", "//x")),
        ("/run", "", false, ("/run", "")),
        ("/run/", "", false, ("/run/", "")),
        ("/git/a", "b", true, ("/git/a", "")), // never of a router
    ] {
        assert_eq!(split(path, rest, is_subtree), expected, "{path}");
    }
}

#[test]
fn names_and_ports_are_what_the_client_asked_for() {
    for (uri, headers, expected) in [
        ("/", &[][..], ("localhost", "80")),
        ("/", &[("Host", "h")][..], ("h", "80")),
        ("/", &[("Host", "[::1]:81")], ("[::1]", "81")),
        ("/", &[("Host", "<h>")], ("localhost", "80")),
        ("/", &[("Host", "h:99999")], ("h", "80")),
        ("http://a:82/", &[("Host", "h:83")], ("a", "82")),
    ] {
        let sent = Sent { uri, headers, ..Sent::default() };
        let told = (sent.get("SERVER_NAME"), sent.get("SERVER_PORT"));
        assert_eq!(
            (told.0.as_deref(), told.1.as_deref()),
            (Some(expected.0), Some(expected.1)),
            "{headers:?}"
        );
    }
    assert_eq!(Sent { uri: "http://h/a?b", ..Sent::default() }.get("REQUEST_URI").as_deref(), Some("/a?b"));
}

#[test]
fn who_asks_is_not_a_strangers_to_say() {
    let headers =
        &[("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("X_Forwarded_For", "1.2.3.4")];
    let stranger = Sent { headers, ..Sent::default() };
    assert_eq!(stranger.get("REMOTE_ADDR").as_deref(), Some("192.0.2.7"));
    for name in ["HTTPS", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"] {
        assert_eq!(stranger.get(name), None, "{name}");
    }
    for peer in [Peer::Tcp("127.0.0.1:1".parse().expect("an address")), Peer::Unix(None)] {
        let trusted = Sent { headers, is_trusted: true, peer, ..Sent::default() };
        assert_eq!(trusted.get("REMOTE_ADDR").as_deref(), Some("6.6.6.6"));
        assert_eq!(trusted.get("REMOTE_PORT"), None);
        assert_eq!(trusted.get("HTTPS").as_deref(), Some("on"));
        assert_eq!(trusted.get("SERVER_PORT").as_deref(), Some("443"));
        assert_eq!(trusted.get("HTTP_X_FORWARDED_FOR").as_deref(), Some("6.6.6.6"));
    }
    let unix = Sent { peer: Peer::Unix(Some(1)), ..Sent::default() };
    assert_eq!((unix.get("REMOTE_ADDR").as_deref(), unix.get("REMOTE_PORT")), (Some(""), None));
}

#[test]
fn headers_that_would_be_something_else_are_left_out() {
    let headers = &[
        ("Proxy", "http://evil.example/"),
        ("Authorization", "Basic eA=="),
        ("Proxy-Authorization", "Basic eA=="),
        ("Content-Length", "7"),
        ("Connection", "close, X-Secret"),
        ("X-Secret", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Transfer-Encoding", "chunked"),
        ("TE", "trailers"),
        ("Trailer", "X"),
        ("Upgrade", "websocket"),
        ("X_Y", "1"),
        ("X.Y", "1"),
        ("X!Y", "1"),
    ];
    let told = Sent { headers, ..Sent::default() }.told().expect("variables");
    let names: Vec<_> = told.iter().map(|(name, _)| name.to_string_lossy()).collect();
    assert!(!names.iter().any(|name| name.starts_with("HTTP_") || name == "CONTENT_LENGTH"), "{names:?}");
}

#[test]
fn what_no_program_should_see_is_refused() {
    let told =
        |uri: &str, rest: &str| Sent { uri, route: (rest, true), ..Sent::default() }.told().map(|_| ());
    assert_eq!(told("/a/b%00c", "b%00c"), Err(Unfit::NulInPath));
    for rest in ["..", "../x", "x/..", "x/../y", "%2e%2E/x", "x%2f..%2fy"] {
        assert_eq!(told(&format!("/a/{rest}"), rest), Err(Unfit::Climbs), "{rest}");
    }
    for rest in ["...", "x..y", ".", "a//b", ".git/config"] {
        assert_eq!(told(&format!("/a/{rest}"), rest), Ok(()), "{rest}");
    }
    let exact = Sent { uri: "/a%00", ..Sent::default() };
    assert_eq!(exact.told().map(|_| ()), Err(Unfit::NulInPath));
    let long = "x".repeat(128 << 10);
    let long = Sent { headers: &[("X-Long", &long)], ..Sent::default() };
    assert_eq!(long.told().map(|_| ()), Err(Unfit::HeadTooLong));
}

proptest! {
    #[test]
    fn every_variable_is_one_and_its_own(
        path in "(/[a-c%0-9A-F.]{0,6}){1,4}",
        query in "(\\?[a-z=&%0-9]{0,9})?",
        headers in prop::collection::vec(("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", "[ -~]{0,12}"), 0..8),
        rest in 0..4usize,
    ) {
        let segments: Vec<_> = path.splitn(rest + 2, '/').collect();
        let rest = segments[segments.len() - 1];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let uri = format!("{path}{query}");
        let sent = Sent { uri: &uri, headers: &headers, route: (rest, true), ..Sent::default() };
        let Ok(told) = sent.told() else { return Ok(()) };
        let mut names: Vec<_> = told.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), told.len(), "each name once");
        prop_assert!(!names.iter().any(|name| name == "HTTP_PROXY" || name == "HTTP_AUTHORIZATION"));
        for (name, value) in &told {
            let is_name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
            prop_assert!(name.as_bytes().iter().all(is_name) && !name.is_empty(), "{:?}", name);
            prop_assert!(!value.as_bytes().contains(&0));
        }
        let get = |wanted: &str| told.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_bytes().to_vec());
        let whole = [get("SCRIPT_NAME"), get("PATH_INFO")].map(|part| part.expect("a part")).concat();
        prop_assert_eq!(whole, percent_encoding::percent_decode_str(&path).collect::<Vec<_>>());
    }
}

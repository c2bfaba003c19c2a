//! Headers that are about one connection, and so end with it (RFC 9110 section 7.6.1).

use hyper::HeaderMap;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};

/// Those that need not be named in `Connection`.
static ALWAYS: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"), // RFC 7540 section 3.2.1: of an upgrade that is not passed on
];

/// What a message says of its connection that the next one is told too.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// The protocol that is to be spoken instead, or is from here on.
    pub upgrade: Option<HeaderValue>,
    /// Trailers are welcome (`TE: trailers`).
    pub wants_trailers: bool,
}

/// Takes away what is about this connection alone.
pub fn strip(headers: &mut HeaderMap) -> Passed {
    let mut passed = Passed::default();
    // In one pass: most messages have one of them or none, and to look for each takes longer than all else here.
    let mut is_there = [false; ALWAYS.len()];
    for name in headers.keys() {
        if let Some(at) = ALWAYS.iter().position(|always| always == name) {
            is_there[at] = true;
        }
    }
    if !is_there.contains(&true) {
        return passed;
    }
    let named = names(headers);
    if named.contains(&UPGRADE) {
        passed.upgrade = headers.get(UPGRADE).filter(|value| is_to_be_passed(value)).cloned();
    }
    let says_trailers =
        |value: &HeaderValue| tokens(value).any(|token| token.eq_ignore_ascii_case("trailers"));
    passed.wants_trailers = headers.get_all(TE).iter().any(says_trailers);
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH); // it did not count (RFC 9112 section 6.3)
    }
    let always = ALWAYS.iter().zip(is_there).filter_map(|(name, is_there)| is_there.then_some(name));
    for name in named.iter().chain(always) {
        headers.remove(name);
    }
    passed
}

/// Leaves one length of several (RFC 9110 section 8.6). They are the same: hyper takes no others for an answer.
pub fn say_length_once(headers: &mut HeaderMap) {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return };
    if lengths.next().is_none() && !first.as_bytes().contains(&b',') {
        return;
    }
    let first = first.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default();
    if let Ok(length) = HeaderValue::from_bytes(first.trim_ascii()) {
        headers.insert(CONTENT_LENGTH, length);
    }
}

/// Says again what [`strip`] took away and the next connection is to know.
pub fn say(headers: &mut HeaderMap, passed: &Passed) {
    if let Some(upgrade) = &passed.upgrade {
        headers.insert(UPGRADE, upgrade.clone());
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    if passed.wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        let connection = if passed.upgrade.is_some() { "upgrade, te" } else { "te" };
        headers.insert(CONNECTION, HeaderValue::from_static(connection));
    }
}

/// HTTP/2 in the guise of an upgrade would pass requests by every guard.
fn is_to_be_passed(upgrade: &HeaderValue) -> bool {
    !tokens(upgrade).any(|protocol| {
        let name = protocol.split('/').next().unwrap_or_default();
        name.eq_ignore_ascii_case("h2c")
            || name.eq_ignore_ascii_case("h2")
            || name.eq_ignore_ascii_case("http")
    })
}

/// What `Connection` names, as headers. The two usual words are none that are not removed anyway.
fn names(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter();
    let is_word =
        |token: &&str| token.eq_ignore_ascii_case("keep-alive") || token.eq_ignore_ascii_case("close");
    let tokens = values.flat_map(tokens).filter(|token| !is_word(token));
    tokens.filter_map(|token| token.parse().ok()).filter(may_be_named).collect()
}

/// A client that names them in `Connection` would have them kept from the app: who it is must not be its to hide
/// (RFC 9110 section 7.6.1: not for fields "intended for all recipients").
fn may_be_named(name: &HeaderName) -> bool {
    let name = name.as_str();
    !(name.starts_with("x-forwarded-")
        || matches!(
            name,
            "forwarded" | "host" | "authorization" | "cookie" | "content-length" | "content-type"
        ))
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
        };
        lines.iter().map(line).collect()
    }

    fn left(lines: &[(&str, &str)]) -> (Vec<String>, Passed) {
        let mut headers = headers(lines);
        let passed = strip(&mut headers);
        (headers.keys().map(|name| name.to_string()).collect(), passed)
    }

    #[test]
    fn what_is_about_the_connection_goes_and_what_it_names() {
        let (left, passed) = left(&[
            ("Connection", "close, X-Secret"),
            ("X-Secret", "1"),
            ("X-Kept", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Transfer-Encoding", "chunked"),
            ("TE", "gzip"),
            ("Upgrade", "websocket"),
        ]);
        assert_eq!((left, passed), (vec!["x-kept".to_owned()], Passed::default()));
    }

    #[test]
    fn an_upgrade_is_passed_on_only_if_it_was_meant_for_this_connection() {
        let (_, passed) = left(&[("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket")]);
        assert_eq!(passed.upgrade, Some(HeaderValue::from_static("websocket")));
        for protocol in ["h2c", "H2C, websocket", "HTTP/2.0"] {
            let (left, passed) = left(&[
                ("Connection", "Upgrade, HTTP2-Settings"),
                ("Upgrade", protocol),
                ("HTTP2-Settings", "x"),
            ]);
            assert_eq!((left.len(), passed.upgrade), (0, None), "{protocol}");
        }
    }

    #[test]
    fn a_length_that_did_not_count_goes() {
        let (left, _) = left(&[("Transfer-Encoding", "chunked"), ("Content-Length", "5")]);
        assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn a_client_cannot_hide_who_it_is() {
        let (left, _) = left(&[
            ("Connection", "X-Forwarded-For, Cookie"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("Cookie", "a"),
        ]);
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn trailers_are_asked_for_again() {
        let mut headers = headers(&[("TE", "trailers, deflate;q=0.5")]);
        let passed = strip(&mut headers);
        say(&mut headers, &passed);
        assert_eq!(
            (&headers["te"], &headers["connection"]),
            (&"trailers".parse().expect("a value"), &"te".parse().expect("a value"))
        );
    }
}

//! A request's head as the upstream gets it. Pure.

use std::fmt::Write;
use std::net::IpAddr;

use hyper::header::{COOKIE, FORWARDED, HOST, HeaderMap, HeaderValue, VIA};
use hyper::http::uri::PathAndQuery;
use hyper::{Uri, Version};

use crate::guard::Client;
use crate::guard::client::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};

/// The path that goes on to the upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// The route's path is taken off.
    pub strips_prefix: bool,
    /// This is put in front.
    pub add_prefix: Option<String>,
}

/// The `Host` that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamHost {
    /// As the client sent it.
    Keep,
    /// The upstream's own.
    Upstream,
    /// This.
    Name(HeaderValue),
}

impl Paths {
    /// The path and query for the upstream, byte for byte as they came. `rest` is what follows the route's path, if that
    /// takes everything below it; `None` if what results is no path.
    pub fn target(&self, uri: &Uri, rest: Option<&str>) -> Option<PathAndQuery> {
        if !self.strips_prefix && self.add_prefix.is_none() {
            return Some(uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
        }
        let mut path = self.add_prefix.clone().unwrap_or_default();
        match (self.strips_prefix, rest) {
            (false, _) => path.push_str(uri.path()),
            (true, rest) => {
                path.push('/');
                path.push_str(rest.unwrap_or_default());
            }
        }
        if let Some(query) = uri.query() {
            path.push('?');
            path.push_str(query);
        }
        PathAndQuery::from_maybe_shared(bytes::Bytes::from(path)).ok()
    }
}

/// What the client asked for, from whatever says it: the address or `Host` (RFC 9112 section 3.2.2). What an address says
/// of a user is no part of that (RFC 9110 section 4.2.4).
pub fn asked_host(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    match uri.authority() {
        Some(authority) => {
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            HeaderValue::from_str(host).ok()
        }
        None => headers.get(HOST).cloned(),
    }
}

/// How many headers are added at most.
const ADDED: usize = 7;

/// Adds whom the request is from, and by whom it came.
pub fn introduce(
    headers: &mut HeaderMap,
    client: &Client<'_>,
    host: Option<&HeaderValue>,
    also_forwarded: bool,
) {
    client.clean(headers);
    headers.reserve(ADDED);
    let scheme = client.scheme(headers);
    if let Some(near) = client.address().and_then(text_of) {
        append(headers, X_FORWARDED_FOR, &near);
    }
    if let Some(host) = host {
        headers.entry(X_FORWARDED_HOST).or_insert_with(|| host.clone());
    }
    if also_forwarded && let Some(element) = element(client, host, &scheme) {
        append(headers, FORWARDED, &element);
    }
    headers.insert(X_FORWARDED_PROTO, scheme);
}

/// Cookies that came one by one, as HTTP/2 likes them, become one line: what is not HTTP/2 expects no other (RFC 9113
/// section 8.2.3).
pub fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for cookie in std::iter::once(second).chain(cookies) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)) {
        headers.insert(COOKIE, joined);
    }
}

/// An address as a header. By hand where it is short: what can format everything takes as long as all other headers.
fn text_of(address: IpAddr) -> Option<HeaderValue> {
    let IpAddr::V4(address) = address else { return HeaderValue::try_from(address.to_string()).ok() };
    let (mut text, mut len) = ([b'.'; "255.255.255.255".len()], 0);
    for (index, octet) in address.octets().into_iter().enumerate() {
        len += usize::from(index > 0);
        for (unit, least) in [(100, 100), (10, 10), (1, 0)] {
            if octet >= least {
                text[len] = b'0' + octet / unit % 10;
                len += 1;
            }
        }
    }
    HeaderValue::from_bytes(&text[..len]).ok()
}

/// Adds by what protocol the request came here (RFC 9110 section 7.6.3).
pub fn add_via(headers: &mut HeaderMap, came_by: Version) {
    let by = match came_by {
        Version::HTTP_2 => HeaderValue::from_static("2 dormouse"),
        Version::HTTP_10 | Version::HTTP_09 => HeaderValue::from_static("1.0 dormouse"),
        _ => HeaderValue::from_static("1.1 dormouse"),
    };
    append(headers, VIA, &by);
}

/// One element of `Forwarded` (RFC 7239 section 4).
fn element(client: &Client<'_>, host: Option<&HeaderValue>, scheme: &HeaderValue) -> Option<HeaderValue> {
    let mut text = match client.address() {
        Some(IpAddr::V6(address)) => format!("for=\"[{address}]\""),
        Some(address) => format!("for={address}"),
        None => "for=unknown".to_owned(),
    };
    if let Some(host) = host.and_then(|host| host.to_str().ok()) {
        let _ = write!(text, ";host=\"{}\"", host.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let scheme =
        scheme.to_str().ok().filter(|scheme| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let _ = write!(text, ";proto={}", scheme.unwrap_or("http"));
    HeaderValue::try_from(text).ok()
}

/// Adds an element to a list, which stays one line.
fn append(headers: &mut HeaderMap, name: hyper::header::HeaderName, element: &HeaderValue) {
    let mut before = headers.get_all(&name).iter();
    let Some(first) = before.next() else {
        headers.insert(name, element.clone());
        return;
    };
    let mut list = first.as_bytes().to_vec();
    for value in before.chain([element]) {
        list.extend_from_slice(b", ");
        list.extend_from_slice(value.as_bytes());
    }
    if let Ok(list) = HeaderValue::from_maybe_shared(bytes::Bytes::from(list)) {
        headers.insert(name, list);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::activation::Peer;

    fn target(paths: &Paths, uri: &'static str, rest: Option<&str>) -> String {
        paths.target(&Uri::from_static(uri), rest).expect("a path").to_string()
    }

    #[test]
    fn paths_go_on_as_they_came() {
        let plain = Paths::default();
        let odd = "/web/2015/http://example.com//a/../b?q=1&r=%2F?";
        assert_eq!(target(&plain, odd, Some("web")), odd);
        assert_eq!(target(&plain, "/a?", None), "/a?");
        assert_eq!(target(&plain, "http://example.org/a%2Fb", None), "/a%2Fb");
    }

    #[test]
    fn prefixes_come_and_go() {
        let strips = Paths { strips_prefix: true, add_prefix: None };
        assert_eq!(target(&strips, "/wiki//a/../b?c", Some("/a/../b")), "//a/../b?c");
        assert_eq!(target(&strips, "/wiki", None), "/");
        let adds = Paths { strips_prefix: false, add_prefix: Some("/x".into()) };
        assert_eq!(target(&adds, "/wiki/a?b", Some("a")), "/x/wiki/a?b");
        let both = Paths { strips_prefix: true, add_prefix: Some("/x".into()) };
        assert_eq!(target(&both, "/wiki/a?b", Some("a")), "/x/a?b");
    }

    fn introduced(is_trusted: bool, peer: &Peer, lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (hyper::header::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers: HeaderMap = lines.iter().map(line).collect();
        let client = Client { near: peer, is_trusted };
        introduce(&mut headers, &client, Some(&HeaderValue::from_static("h:8080")), true);
        headers
    }

    #[test]
    fn strangers_are_not_believed() {
        let peer = Peer::Tcp("192.0.2.7:4711".parse().expect("an address"));
        let said = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
        ];
        let headers = introduced(false, &peer, &said);
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-host"], "h:8080");
        assert_eq!(headers["forwarded"], "for=192.0.2.7;host=\"h:8080\";proto=http");
        assert!(!headers.contains_key("x-real-ip"));
    }

    #[test]
    fn those_in_trust_are() {
        let peer = Peer::Tcp("[::1]:4711".parse().expect("an address"));
        let said =
            [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "wiki")];
        let headers = introduced(true, &peer, &said);
        assert_eq!(headers["x-forwarded-for"], "192.0.2.1, ::1");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "wiki");
        assert_eq!(headers["forwarded"], "for=\"[::1]\";host=\"h:8080\";proto=https");
        // A Unix peer adds nothing to the list, and is no part of it.
        assert_eq!(introduced(true, &Peer::Unix(None), &said)["x-forwarded-for"], "192.0.2.1");
    }

    proptest! {
        #[test]
        fn addresses_are_written_as_others_write_them(four: u32, six: u128) {
            for address in [IpAddr::from(four.to_be_bytes()), IpAddr::from(six.to_be_bytes())] {
                prop_assert_eq!(text_of(address).expect("a header"), address.to_string());
            }
        }
    }

    #[test]
    fn cookies_of_http2_become_one_line() {
        let mut headers = HeaderMap::new();
        for cookie in ["a=1", "b=2", "c=3"] {
            headers.append(COOKIE, HeaderValue::from_static(cookie));
        }
        join_cookies(&mut headers);
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }

    #[test]
    fn lists_stay_one_line() {
        let mut headers = HeaderMap::new();
        add_via(&mut headers, Version::HTTP_2);
        add_via(&mut headers, Version::HTTP_11);
        assert_eq!(headers["via"], "2 dormouse, 1.1 dormouse");
    }
}

//! Host names: in the config and in requests.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::net::Ipv6Addr;

use hyper::header::HOST;
use hyper::{HeaderMap, Uri};
use thiserror::Error;

/// A route's `host`, in small letters, without port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPattern {
    /// `example.org`, `192.0.2.7`, `[2001:db8::7]`
    Named(String),
    /// `*.example.org`, kept as `.example.org`: every name below it, at any depth, but not itself.
    Below(String),
}

/// Why something is not a host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// Nothing there.
    #[error("a host has a name")]
    Empty,
    /// `example.org:8080`
    #[error("a host goes without port: the port is in the .socket unit")]
    Port,
    /// `https://example.org`
    #[error("a host is a bare name, without scheme or path")]
    Url,
    /// `*`, `www.*.org`
    #[error("a * stands only at the front, as in \"*.example.org\"; a route for every host has no `host`")]
    Star,
    /// `bücher.example`
    #[error("{0:?} does not belong in a host name; names in other scripts are written as \"xn--...\"")]
    Character(char),
}

impl HostPattern {
    /// Reads a host as written in the config.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.contains('/') {
            return Err(HostError::Url);
        }
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<Ipv6Addr>() {
            return Ok(Self::Named(format!("[{address}]")));
        }
        if text.contains(':') {
            return Err(HostError::Port);
        }
        let (is_wild, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if name.is_empty() {
            return Err(if text.contains('*') { HostError::Star } else { HostError::Empty });
        }
        match name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))) {
            Some('*') => Err(HostError::Star),
            Some(c) => Err(HostError::Character(c)),
            None if is_wild => Ok(Self::Below(format!(".{name}"))),
            None => Ok(Self::Named(name)),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// The host a request is for, without port, as sent: of an absolute target or `:authority` if there is one, else of
/// `Host` (RFC 9112 section 3.2.2).
pub fn request_host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let host = match uri.authority() {
        Some(authority) => authority.host(),
        None => without_port(headers.get(HOST)?.to_str().ok()?),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then_some(host)
}

fn without_port(host: &str) -> &str {
    match (host.starts_with('['), host.find(']'), host.find(':')) {
        (true, Some(end), _) => &host[..=end],
        (false, _, Some(colon)) => &host[..colon],
        _ => host,
    }
}

/// An IPv6 literal in its shortest spelling; anything else as it is.
pub(super) fn canonical(host: &str) -> Cow<'_, str> {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match literal.and_then(|literal| literal.parse::<Ipv6Addr>().ok()) {
        Some(address) => Cow::Owned(format!("[{address}]")),
        None => Cow::Borrowed(host),
    }
}

/// Compares a name in small letters with one as sent, so that nothing needs to be copied to be looked up.
pub(super) fn compare(small: &str, sent: &str) -> Ordering {
    small.bytes().cmp(sent.bytes().map(|byte| byte.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_forms_of_the_manual() {
        let host = |text| HostPattern::parse(text).map(|host| host.to_string());
        assert_eq!(host("Example.ORG"), Ok("example.org".into()));
        assert_eq!(host("example.org."), Ok("example.org".into()));
        assert_eq!(host("*.example.org"), Ok("*.example.org".into()));
        assert_eq!(host("192.0.2.7"), Ok("192.0.2.7".into()));
        assert_eq!(host("2001:DB8::0:7"), Ok("[2001:db8::7]".into()));
        assert_eq!(host("[2001:db8::7]"), Ok("[2001:db8::7]".into()));
    }

    #[test]
    fn what_is_no_host_says_why() {
        let error = |text| HostPattern::parse(text).expect_err(text);
        assert_eq!(error(""), HostError::Empty);
        assert_eq!(error("."), HostError::Empty);
        assert_eq!(error("example.org:8080"), HostError::Port);
        assert_eq!(error("https://example.org"), HostError::Url);
        assert_eq!(error("*"), HostError::Star);
        assert_eq!(error("*."), HostError::Star);
        assert_eq!(error("www.*.org"), HostError::Star);
        assert_eq!(error("*.*.org"), HostError::Star);
        assert_eq!(error("bücher.example"), HostError::Character('ü'));
    }

    #[test]
    fn the_host_of_a_request() {
        let of = |target: &'static str, header: Option<&'static str>| {
            let headers = HeaderMap::from_iter(header.map(|header| (HOST, HeaderValue::from_static(header))));
            request_host(&Uri::from_static(target), &headers).map(str::to_owned)
        };
        assert_eq!(of("/", Some("example.org:8080")).as_deref(), Some("example.org"));
        assert_eq!(of("/", Some("example.org.")).as_deref(), Some("example.org"));
        assert_eq!(of("/", Some("[::1]:80")).as_deref(), Some("[::1]"));
        assert_eq!(of("/", Some("[::1]")).as_deref(), Some("[::1]"));
        assert_eq!(of("http://a.example:1/", Some("b.example")).as_deref(), Some("a.example"));
        assert_eq!(of("http://[::1]:1/", None).as_deref(), Some("[::1]"));
        assert_eq!(of("/", Some("")), None);
        assert_eq!(of("/", None), None);
        assert_eq!(canonical("[0:0::1]"), "[::1]");
    }
}

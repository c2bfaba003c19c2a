//! Where a redirect leads, and that it leads nowhere else.
//!
//! The danger is the open redirect: a client's bytes that end up in the host part of `Location` send whoever clicks a
//! link of ours to somebody else's site. So placeholders stand in the host part only as whole labels, and a path that
//! would begin with `//` (a host, to a browser) gets a harmless `/.` in front.

use hyper::Uri;
use hyper::header::HeaderValue;
use thiserror::Error;

use crate::handler::Head;
use crate::handler::placeholder::{Part, PlaceholderError, Source, Template};

/// The address of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pieces: Vec<Piece>,
    keeps_query: bool,
    /// `//host/...`, as its author wanted it.
    is_scheme_relative: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Value(Source),
    /// The request's own host.
    Host,
    /// One whole label of the host part.
    Label(Source),
}

/// Why something is no address to redirect to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum TargetError {
    #[error(transparent)]
    Placeholder(#[from] PlaceholderError),
    #[error("an address begins with a scheme (https://...) or a slash")]
    NotAbsolute,
    #[error("whoever makes a link could send people anywhere: an address cannot begin with a placeholder")]
    Open,
    #[error(
        "in the host of an address a placeholder is a whole label, as in \"https://{{name}}.example.org/\""
    )]
    InHost,
    #[error("a control character cannot stand in an address")]
    Control,
}

/// The part of the address that is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    /// Within the host; whether a label begins here.
    Host {
        is_label_start: bool,
    },
    Rest,
}

impl Target {
    /// Reads an address for a route with these parameters.
    pub fn parse(text: &str, parameters: &[&str]) -> Result<Self, TargetError> {
        if text.contains(|c: char| c.is_control()) {
            return Err(TargetError::Control);
        }
        let parts = Template::parse(text, parameters)?.parts;
        let mut pieces = Vec::with_capacity(parts.len());
        let mut at = At::Start;
        for (index, part) in parts.iter().enumerate() {
            let piece = match part {
                Part::Literal(literal) => {
                    at = after_literal(at, literal)?;
                    Piece::Literal(literal.clone())
                }
                Part::Value(source) => {
                    let ends_label =
                        matches!(parts.get(index + 1), Some(Part::Literal(next)) if next.starts_with('.'));
                    let piece = value(at, source, ends_label)?;
                    at = match piece {
                        Piece::Value(_) => At::Rest,
                        _ => At::Host { is_label_start: false },
                    };
                    piece
                }
            };
            pieces.push(piece);
        }
        if at == At::Start {
            return Err(TargetError::NotAbsolute);
        }
        let query = text.split('#').next().unwrap_or_default();
        Ok(Self { keeps_query: !query.contains('?'), is_scheme_relative: text.starts_with("//"), pieces })
    }

    /// The address for one request; `None` if something in it cannot be a host.
    pub fn location(&self, head: &Head<'_>, captures: &[(&str, &str)]) -> Option<HeaderValue> {
        let mut out = Vec::with_capacity(128);
        let mut fragment = None;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => {
                    fragment = fragment.or_else(|| literal.find('#').map(|at| out.len() + at));
                    encode(&mut out, literal.as_bytes(), |_| false);
                }
                Piece::Value(source) => {
                    encode(&mut out, &source.value(head, captures), |byte| matches!(byte, b'?' | b'#'))
                }
                Piece::Host => {
                    let host = Source::Host.value(head, captures);
                    let is_literal = host.starts_with(b"[") && host.ends_with(b"]");
                    let is_host = |byte: &u8| {
                        is_label_byte(byte) || *byte == b'.' || (is_literal && b"[:]".contains(byte))
                    };
                    push_checked(&mut out, &host, is_host)?;
                }
                Piece::Label(source) => push_checked(&mut out, &source.value(head, captures), is_label_byte)?,
            }
        }
        if let (true, Some(query)) = (self.keeps_query, head.uri.query()) {
            let at = fragment.unwrap_or(out.len());
            let tail = out.split_off(at);
            out.push(b'?');
            encode(&mut out, query.as_bytes(), |_| false);
            out.extend(tail);
        }
        finish(out, self.is_scheme_relative)
    }
}

/// `Location` of a path with a slash appended, the query kept.
pub(crate) fn with_slash(uri: &Uri) -> Option<HeaderValue> {
    let mut out = Vec::with_capacity(128);
    encode(&mut out, uri.path().as_bytes(), |_| false);
    out.push(b'/');
    if let Some(query) = uri.query() {
        out.push(b'?');
        encode(&mut out, query.as_bytes(), |_| false);
    }
    finish(out, false)
}

fn finish(mut location: Vec<u8>, may_name_host: bool) -> Option<HeaderValue> {
    if location.starts_with(b"//") && !may_name_host {
        location.splice(..0, *b"/.");
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(location)).ok()
}

fn after_literal(at: At, literal: &str) -> Result<At, TargetError> {
    let host = match at {
        At::Rest => return Ok(At::Rest),
        At::Host { .. } => literal,
        At::Start => match literal.strip_prefix("//").or_else(|| after_scheme(literal)?.strip_prefix("//")) {
            Some(host) if host.starts_with(['/', '?', '#']) => return Err(TargetError::NotAbsolute),
            Some(host) => host,
            None if literal.starts_with('/') || after_scheme(literal).is_some() => return Ok(At::Rest),
            None => return Err(TargetError::NotAbsolute),
        },
    };
    // A backslash is a slash to browsers.
    let is_over = host.contains(['/', '?', '#', '\\']);
    Ok(if is_over { At::Rest } else { At::Host { is_label_start: host.is_empty() || host.ends_with('.') } })
}

fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some(rest)
}

fn value(at: At, source: &Source, ends_label: bool) -> Result<Piece, TargetError> {
    match (at, source) {
        // A path begins with a slash, so it ends the host wherever it stands.
        (At::Rest, _) | (At::Start | At::Host { .. }, Source::Path) => Ok(Piece::Value(source.clone())),
        (At::Start, _) => Err(TargetError::Open),
        (At::Host { is_label_start: true }, Source::Host) => Ok(Piece::Host),
        (At::Host { is_label_start: true }, _) if ends_label => Ok(Piece::Label(source.clone())),
        (At::Host { .. }, _) => Err(TargetError::InHost),
    }
}

fn is_label_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn push_checked(out: &mut Vec<u8>, value: &[u8], fits: impl Fn(&u8) -> bool) -> Option<()> {
    let is_fit = !value.is_empty() && value.iter().all(fits);
    is_fit.then(|| out.extend_from_slice(value))
}

/// Appends what may stand in an address as it is (RFC 3986 section 2), the rest percent-encoded.
fn encode(out: &mut Vec<u8>, bytes: &[u8], is_special: impl Fn(u8) -> bool) {
    for &byte in bytes {
        let may_stand = byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
        if may_stand && !is_special(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HOST, HeaderName};
    use hyper::{HeaderMap, Method};
    use proptest::prelude::*;

    use super::*;

    fn location(target: &str, path: &str, captures: &[(&str, &str)], header: &[u8]) -> Option<String> {
        let names: Vec<_> = captures.iter().map(|(name, _)| *name).collect();
        let target = Target::parse(target, &names).expect(target);
        let header = HeaderValue::from_bytes(header).expect("a value");
        let headers = HeaderMap::from_iter([(HOST, header.clone()), (HeaderName::from_static("x"), header)]);
        let uri: Uri = path.parse().expect(path);
        let head = Head { method: &Method::GET, uri: &uri, headers: &headers };
        target.location(&head, captures).map(|value| value.to_str().expect("ascii").to_owned())
    }

    #[track_caller]
    fn leads(target: &str, path: &str, captures: &[(&str, &str)], expected: &str) {
        assert_eq!(location(target, path, captures, b"h.example:80").as_deref(), Some(expected));
    }

    #[test]
    fn placeholders_are_filled_in_raw() {
        leads(
            "https://example.org/new/{page}",
            "/old/a%20b",
            &[("page", "a%20b")],
            "https://example.org/new/a%20b",
        );
        leads("https://{host}{path}", "/a/../b", &[], "https://h.example/a/../b");
        leads("https://{host}:8443/", "/", &[], "https://h.example:8443/");
        leads("https://{user}.example.org/", "/ann", &[("user", "ann")], "https://ann.example.org/");
        leads("/by/{query.q}", "/?q=1%262", &[], "/by/1%262?q=1%262");
        leads("mailto:x@example.org", "/", &[], "mailto:x@example.org");
        leads("//cdn.example/x", "/", &[], "//cdn.example/x");
    }

    #[test]
    fn the_query_is_kept_unless_the_target_has_one() {
        leads("/new", "/old?a=b&c", &[], "/new?a=b&c");
        leads("/new?x=1", "/old?a=b", &[], "/new?x=1");
        leads("/new?", "/old?a=b", &[], "/new?");
        leads("/new#part", "/old?a=b", &[], "/new?a=b#part");
        leads("/new#what?", "/old?a=b", &[], "/new?a=b#what?");
    }

    #[test]
    fn no_link_of_ours_leads_to_a_strangers_host() {
        leads("/{rest}", "/old//evil.example", &[("rest", "/evil.example")], "/.//evil.example");
        leads("/{rest}", "/old/\\evil.example", &[("rest", "\\evil.example")], "/%5Cevil.example");
        leads("{path}", "//evil.example", &[], "/.//evil.example");
        for bad in ["evil.example/", "evil.example\\", "", "a@b", "a:1", "a.b"] {
            assert_eq!(location("https://{u}.example.org/", "/", &[("u", bad)], b"h"), None, "{bad:?}");
        }
        for bad in [&b"evil.example/x"[..], b"a@evil.example", b"", b"a b"] {
            assert_eq!(location("https://{host}/", "/", &[], bad), None, "{bad:?}");
        }
        let error = |target| Target::parse(target, &["u"]).expect_err(target);
        for open in ["{u}", "{query.to}", "{host}"] {
            assert_eq!(error(open), TargetError::Open, "{open}");
        }
        for glued in
            ["https://example.org{u}", "https://{u}", "https://{u}/", "https://x{host}/", "https://{u}{path}"]
        {
            assert_eq!(error(glued), TargetError::InHost, "{glued}");
        }
        for relative in ["", "new", "?a", "#b", "https:///x", "///x", "1a:b"] {
            assert_eq!(error(relative), TargetError::NotAbsolute, "{relative}");
        }
        assert_eq!(error("/a\r\nSet-Cookie: x"), TargetError::Control);
    }

    #[test]
    fn a_slash_is_appended_before_the_query() {
        let slash = |uri: &'static str| with_slash(&Uri::from_static(uri)).expect("a location");
        assert_eq!(slash("/docs"), "/docs/");
        assert_eq!(slash("/docs?a=b"), "/docs/?a=b");
        assert_eq!(slash("//evil.example"), "/.//evil.example/");
        assert_eq!(slash("http://h.example/docs"), "/docs/");
    }

    proptest! {
        #[test]
        fn only_the_bytes_of_an_address_come_out(
            target in "(https://(\\{host\\}|\\{a\\}\\.x|x)|)/?[a-z?#{}.]{0,12}(\\{(a|path|query\\.q|header\\.x)\\})?",
            capture in "[!-~]{0,12}",
            path in "/[a-z/.%?=&]{0,12}",
            header in prop::collection::vec(32_u8..=255, 0..12),
        ) {
            prop_assume!(Target::parse(&target, &["a"]).is_ok());
            let header: Vec<_> = header.into_iter().filter(|byte| *byte != 127).collect();
            if let Some(location) = location(&target, &path, &[("a", &capture)], &header) {
                prop_assert!(!location.starts_with("//"), "{}", location);
                let is_fit = location.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte));
                prop_assert!(is_fit, "{}", location);
                if let Some(rest) = location.strip_prefix("https://") {
                    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                    prop_assert!(!host.contains('@') && !host.is_empty(), "{}", location);
                }
            }
        }
    }
}

//! The one placeholder language: `{path.NAME}` (short `{NAME}`), `{query.NAME}`, `{header.NAME}`, `{path}`, `{host}`;
//! `{{` and `}}` are braces.

use std::borrow::Cow;

use hyper::header::HeaderName;
use thiserror::Error;

use super::Head;
use crate::route::request_host;
use crate::schema::nearest;

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Never two literals in a row.
    pub parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Stands for itself.
    Literal(String),
    /// Stands for something of the request.
    Value(Source),
}

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The path as sent.
    Path,
    /// A parameter of the route's path.
    Parameter(String),
    /// The first parameter of this name in the query.
    Query(String),
    /// The first header of this name.
    Header(HeaderName),
    /// The host the request is for, without port.
    Host,
}

/// Why something is not a template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlaceholderError {
    /// `{name`, `name}`
    #[error("a brace has no partner; a brace that is meant as such is written twice")]
    LoneBrace,
    /// `{pgae}`
    #[error("unknown placeholder {{{name}}}")]
    Unknown {
        /// As written.
        name: String,
        /// The nearest that there is.
        nearest: Option<String>,
    },
}

impl PlaceholderError {
    /// The way out.
    pub fn help(&self, parameters: &[&str]) -> String {
        if let Self::Unknown { nearest: Some(nearest), .. } = self {
            return format!("did you mean {{{nearest}}}?");
        }
        let own: Vec<_> = parameters.iter().map(|name| format!("{{{name}}}")).collect();
        let own = if own.is_empty() { String::new() } else { format!("{} of the path, ", own.join(" ")) };
        format!("there are {own}{{path}}, {{host}}, {{query.NAME}} and {{header.NAME}}")
    }
}

impl Template {
    /// Reads a template for a route with these parameters.
    pub fn parse(text: &str, parameters: &[&str]) -> Result<Self, PlaceholderError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let end = rest.find(['{', '}']).filter(|end| brace == "{" && rest[*end..].starts_with('}'));
            let end = end.ok_or(PlaceholderError::LoneBrace)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Value(Source::parse(&rest[..end], parameters)?));
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }
}

impl Source {
    fn parse(name: &str, parameters: &[&str]) -> Result<Self, PlaceholderError> {
        let source = match name.split_once('.') {
            None if name == "path" => Some(Self::Path),
            None if name == "host" => Some(Self::Host),
            None => parameters.contains(&name).then(|| Self::Parameter(name.to_owned())),
            Some(("path", name)) => parameters.contains(&name).then(|| Self::Parameter(name.to_owned())),
            Some(("query", name)) if !name.is_empty() => Some(Self::Query(name.to_owned())),
            Some(("header", name)) => name.parse().ok().map(Self::Header),
            Some(_) => None,
        };
        source.ok_or_else(|| {
            let short = name.strip_prefix("path.").unwrap_or(name);
            let known = parameters.iter().copied().chain(["path", "host"]);
            PlaceholderError::Unknown {
                name: name.to_owned(),
                nearest: nearest(short, known).map(str::to_owned),
            }
        })
    }

    /// The bytes it stands for, as sent; nothing if the request has no such thing.
    pub fn value<'r>(&self, head: &Head<'r>, captures: &[(&str, &'r str)]) -> Cow<'r, [u8]> {
        match self {
            Self::Path => head.uri.path().as_bytes().into(),
            Self::Parameter(name) => {
                captures.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value).as_bytes().into()
            }
            Self::Query(name) => query(head.uri.query().unwrap_or_default(), name).as_bytes().into(),
            Self::Header(name) => head.headers.get(name).map_or(&b""[..], |value| value.as_bytes()).into(),
            Self::Host => request_host(head.uri, head.headers).unwrap_or_default().as_bytes().into(),
        }
    }
}

fn query<'q>(query: &'q str, name: &str) -> &'q str {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method, Uri};
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> Vec<Part> {
        Template::parse(text, &["page", "rest"]).expect(text).parts
    }

    #[test]
    fn the_forms_of_the_manual() {
        let literal = |text: &str| Part::Literal(text.into());
        assert_eq!(parts(""), []);
        assert_eq!(parts("a{{b}}c"), [literal("a{b}c")]);
        assert_eq!(
            parts("/{page}{path.rest}?{query.q}"),
            [
                literal("/"),
                Part::Value(Source::Parameter("page".into())),
                Part::Value(Source::Parameter("rest".into())),
                literal("?"),
                Part::Value(Source::Query("q".into())),
            ]
        );
        let from = HeaderName::from_static("x-from");
        assert_eq!(
            parts("{host}{path}{header.X-From}"),
            [Source::Host, Source::Path, Source::Header(from)].map(Part::Value)
        );
    }

    #[test]
    fn what_is_no_placeholder_says_why() {
        let error = |text| Template::parse(text, &["page"]).expect_err(text);
        let unknown = |name: &str, nearest: Option<&str>| PlaceholderError::Unknown {
            name: name.into(),
            nearest: nearest.map(str::to_owned),
        };
        assert_eq!(error("{pgae}"), unknown("pgae", Some("page")));
        assert_eq!(error("{path.pgae}"), unknown("path.pgae", Some("page")));
        assert_eq!(error("{}"), unknown("", None));
        assert_eq!(error("{query.}"), unknown("query.", None));
        assert_eq!(error("{header.a b}"), unknown("header.a b", None));
        assert_eq!(error("{cookie.x}"), unknown("cookie.x", None));
        for text in ["{page", "page}", "{pa{ge}", "{{page}", "}{"] {
            assert_eq!(error(text), PlaceholderError::LoneBrace, "{text}");
        }
        assert_eq!(error("{pgae}").help(&["page"]), "did you mean {page}?");
        assert!(error("{x.y}").help(&["page"]).contains("{page} of the path"));
    }

    #[test]
    fn values_are_the_bytes_that_came() {
        let uri = Uri::from_static("/a%2Fb?q=x%20y&q=2&flag&e=");
        let headers =
            HeaderMap::from_iter([(hyper::header::HOST, "example.org:80".parse().expect("a value"))]);
        let head = Head { method: &Method::GET, uri: &uri, headers: &headers };
        let value = |text: &str| match &parts(text)[..] {
            [Part::Value(source)] => source.value(&head, &[("page", "%41")]).into_owned(),
            parts => panic!("{parts:?}"),
        };
        assert_eq!(value("{path}"), b"/a%2Fb");
        assert_eq!(value("{page}"), b"%41");
        assert_eq!(value("{query.q}"), b"x%20y");
        assert_eq!(value("{query.flag}"), b"");
        assert_eq!(value("{query.none}"), b"");
        assert_eq!(value("{header.none}"), b"");
        assert_eq!(value("{host}"), b"example.org");
    }

    proptest! {
        #[test]
        fn literals_come_back_when_their_braces_are_doubled(text in "\\PC*") {
            let written = text.replace('{', "{{").replace('}', "}}");
            let expected: Vec<_> = (!text.is_empty()).then_some(Part::Literal(text)).into_iter().collect();
            prop_assert_eq!(parts(&written), expected);
        }

        #[test]
        fn no_text_panics(text in "\\PC*|[{}.a-z]*") {
            let _ = Template::parse(&text, &["a"]);
        }
    }
}

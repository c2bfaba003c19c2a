//! The one placeholder language: `{path.NAME}` (short `{NAME}`), `{query.NAME}`, `{header.NAME}`, `{path}`, `{host}`;
//! `{{` and `}}` are braces. Commands also know `{form.NAME}`, `{json.a.b}` and `{client}`, see [`CommandSource`].

mod command;

use std::borrow::Cow;

use hyper::header::HeaderName;
use thiserror::Error;

use super::Head;
use crate::route::request_host;
use crate::schema::nearest;

pub use command::CommandSource;

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template<S = Source> {
    /// Never two literals in a row.
    pub parts: Vec<Part<S>>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part<S = Source> {
    /// Stands for itself.
    Literal(String),
    /// Stands for something of the request.
    Value(S),
}

/// What can stand between braces: it depends on where the text stands.
pub trait Placeholder: Sized {
    /// Reads what stands between the braces, on a route with these parameters.
    fn parse(name: &str, parameters: &[&str]) -> Result<Self, PlaceholderError>;
}

/// What a placeholder stands for that a request's head can tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
        /// Those that there are, beside the path's parameters.
        known: &'static str,
    },
    /// `{json.ref}` in an address.
    #[error("{{{0}}} stands for something only in a command: in `run` and `job`")]
    OnlyInCommands(String),
    /// `{client}` where that is a parameter of the path too.
    #[error("{{{0}}} would be the client's address, and a parameter of the path is called so too")]
    TwoMeanings(String),
}

/// What every placeholder can be, beside the path's parameters.
const KNOWN: &str = "{path}, {host}, {query.NAME} and {header.NAME}";
const FAMILIES: [&str; 3] = ["path", "query", "header"];

impl PlaceholderError {
    /// The way out.
    pub fn help(&self, parameters: &[&str]) -> String {
        let known = match self {
            Self::Unknown { nearest: Some(nearest), .. } => return format!("did you mean {{{nearest}}}?"),
            Self::TwoMeanings(name) => {
                return format!("write {{path.{name}}} for the parameter, or call it something else");
            }
            Self::Unknown { known, .. } => known,
            Self::LoneBrace | Self::OnlyInCommands(_) => KNOWN,
        };
        let own: Vec<_> = parameters.iter().map(|name| format!("{{{name}}}")).collect();
        let own = if own.is_empty() { String::new() } else { format!("{} of the path, ", own.join(" ")) };
        format!("there are {own}{known}")
    }

    /// An unknown one, and what may have been meant: one of `words`, a parameter, or something of one of `families`.
    fn unknown(
        name: &str,
        parameters: &[&str],
        words: &[&'static str],
        families: &[&'static str],
        known: &'static str,
    ) -> Self {
        let of_family =
            name.split_once('.').filter(|(family, of)| !families.contains(family) && !of.is_empty());
        let short = name.strip_prefix("path.").unwrap_or(name);
        let of_family = of_family.and_then(|(family, of)| {
            nearest(family, families.iter().copied()).map(|family| format!("{family}.{of}"))
        });
        let word =
            || nearest(short, parameters.iter().copied().chain(words.iter().copied())).map(str::to_owned);
        Self::Unknown { name: name.to_owned(), nearest: of_family.or_else(word), known }
    }
}

impl<S: Placeholder> Template<S> {
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
            parts.push(Part::Value(S::parse(&rest[..end], parameters)?));
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }
}

impl Placeholder for Source {
    fn parse(name: &str, parameters: &[&str]) -> Result<Self, PlaceholderError> {
        Self::known(name, parameters).ok_or_else(|| match CommandSource::parse(name, &[]) {
            Ok(_) => PlaceholderError::OnlyInCommands(name.to_owned()),
            Err(_) => PlaceholderError::unknown(name, parameters, &["path", "host"], &FAMILIES, KNOWN),
        })
    }
}

impl Source {
    fn known(name: &str, parameters: &[&str]) -> Option<Self> {
        match name.split_once('.') {
            None if name == "path" => Some(Self::Path),
            None if name == "host" => Some(Self::Host),
            None => parameters.contains(&name).then(|| Self::Parameter(name.to_owned())),
            Some(("path", name)) => parameters.contains(&name).then(|| Self::Parameter(name.to_owned())),
            Some(("query", name)) if !name.is_empty() => Some(Self::Query(name.to_owned())),
            Some(("header", name)) => name.parse().ok().map(Self::Header),
            Some(_) => None,
        }
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
        let error = |text| Template::<Source>::parse(text, &["page"]).expect_err(text);
        let unknown = |name: &str, nearest: Option<&str>| PlaceholderError::Unknown {
            name: name.into(),
            nearest: nearest.map(str::to_owned),
            known: KNOWN,
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
        assert_eq!(error("{Hedaer.X-From}"), unknown("Hedaer.X-From", Some("header.X-From")));
    }

    #[test]
    fn what_only_commands_know_is_refused_by_name() {
        for name in ["form.x", "json.a.0", "client"] {
            let error = Template::<Source>::parse(&format!("/{{{name}}}"), &["page"]).expect_err(name);
            assert_eq!(error, PlaceholderError::OnlyInCommands(name.into()));
            assert!(error.help(&["page"]).ends_with(KNOWN), "{}", error.help(&["page"]));
        }
        assert_eq!(
            Template::parse("{client}", &["client"]).map(|template| template.parts),
            Ok(vec![Part::Value(Source::Parameter("client".into()))])
        );
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
            let _ = Template::<Source>::parse(&text, &["a"]);
            let _ = Template::<CommandSource>::parse(&text, &["a"]);
        }
    }
}

//! A route's path as written, and what it means.

use std::fmt;

use thiserror::Error;

/// A route's path: exact, or a subtree if it ends in `/` or `{*rest}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// In matchit's language, parameters renamed to their position: names belong to the route, not to the tree.
    key: String,
    names: Vec<String>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exact,
    /// The key ends in a slash.
    Subtree {
        /// Whether the last name is the rest's.
        names_rest: bool,
    },
}

/// Why something is not a path of a route.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// `docs/`
    #[error("a path begins with a slash")]
    NoSlash,
    /// `/search?q=`
    #[error("{0:?} does not belong to a path: routes are chosen by the path alone")]
    NotPath(char),
    /// A character that no client sends as it is.
    #[error("{0:?} never comes in a request as it is, paths are matched as sent")]
    NeverSent(char),
    /// `/img-{id}.png`
    #[error("a parameter is a whole segment, between two slashes")]
    PartOfSegment,
    /// `/{`
    #[error("a brace is not closed; a brace that is meant as such is written twice")]
    LoneBrace,
    /// `/{}`, `/{a-b}`
    #[error("{0:?} is no name for a parameter: letters, digits and _")]
    BadName(String),
    /// `/{a}/{a}`
    #[error("two parameters are called {0:?}")]
    SameName(String),
    /// `/{*rest}/more`
    #[error("{{*{0}}} takes the rest of the path, so nothing can follow it")]
    AfterRest(String),
}

impl PatternError {
    /// The way out, where there is a particular one.
    pub fn help(&self, text: &str) -> Option<String> {
        match self {
            Self::NoSlash => Some(format!("write {:?}", format!("/{text}"))),
            Self::NeverSent(_) => Some(format!("write {:?}", percent_encoded(text))),
            Self::PartOfSegment => {
                Some("for example /img/{name}, and /img/{*rest} takes slashes too".to_owned())
            }
            _ => None,
        }
    }
}

fn percent_encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'!'..=b'~' if !is_never_sent(byte.into()) => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn is_never_sent(c: char) -> bool {
    !c.is_ascii_graphic() || matches!(c, '<' | '>' | '`' | '"')
}

impl Pattern {
    /// Reads a path as written in the config.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let segments = text.strip_prefix('/').ok_or(PatternError::NoSlash)?;
        if let Some(c) = text.chars().find(|c| matches!(c, '?' | '#')) {
            return Err(PatternError::NotPath(c));
        }
        if let Some(c) = text.chars().find(|c| is_never_sent(*c)) {
            return Err(PatternError::NeverSent(c));
        }
        let mut pattern =
            Self { text: text.to_owned(), key: String::new(), names: Vec::new(), kind: Kind::Exact };
        let mut segments = segments.split('/').peekable();
        while let Some(segment) = segments.next() {
            pattern.key.push('/');
            match parameter(segment)? {
                Some(Parameter::One(name)) => {
                    pattern.key.push_str(&format!("{{p{}}}", pattern.names.len()));
                    pattern.name(name)?;
                }
                Some(Parameter::Rest(name)) if segments.peek().is_none() => {
                    pattern.kind = Kind::Subtree { names_rest: true };
                    pattern.name(name)?;
                }
                Some(Parameter::Rest(name)) => return Err(PatternError::AfterRest(name.to_owned())),
                None => pattern.key.push_str(segment),
            }
        }
        if pattern.kind == Kind::Exact && text.ends_with('/') {
            pattern.kind = Kind::Subtree { names_rest: false };
        }
        Ok(pattern)
    }

    fn name(&mut self, name: &str) -> Result<(), PatternError> {
        if self.names.iter().any(|known| known == name) {
            return Err(PatternError::SameName(name.to_owned()));
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// The names of its parameters, the rest's last.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether it takes everything below.
    pub fn is_subtree(&self) -> bool {
        matches!(self.kind, Kind::Subtree { .. })
    }

    /// Everything below an exact path; `None` of one that is a subtree already.
    pub fn below(&self) -> Option<Self> {
        let below = format!("{}/", self.text);
        (!self.is_subtree()).then(|| Self::parse(&below).ok()).flatten()
    }

    /// Whether `{*rest}` gives the rest a name.
    pub(super) fn names_rest(&self) -> bool {
        self.kind == Kind::Subtree { names_rest: true }
    }

    /// Its key in a tree; that of a subtree ends in a slash. Equal keys cannot be told apart.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// How many slashes its key has.
    pub(super) fn depth(&self) -> usize {
        self.key.matches('/').count()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

enum Parameter<'s> {
    One(&'s str),
    Rest(&'s str),
}

/// The parameter a segment is, or `None` for a literal (whose doubled braces matchit reads as well).
fn parameter(segment: &str) -> Result<Option<Parameter<'_>>, PatternError> {
    let Some(brace) = lone_brace(segment) else {
        return Ok(None);
    };
    let Some(inner) = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) else {
        let is_closed = segment[brace..].starts_with('{') && segment[brace..].contains('}');
        return Err(if is_closed { PatternError::PartOfSegment } else { PatternError::LoneBrace });
    };
    if inner.contains(['{', '}']) {
        return Err(PatternError::PartOfSegment);
    }
    let (name, parameter): (&str, fn(_) -> _) = match inner.strip_prefix('*') {
        Some(name) => (name, Parameter::Rest),
        None => (inner, Parameter::One),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name { Ok(Some(parameter(name))) } else { Err(PatternError::BadName(name.to_owned())) }
}

/// Where the first brace stands that is not one of a pair, read from the left as matchit reads.
fn lone_brace(segment: &str) -> Option<usize> {
    let bytes = segment.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'{', b'}', &bytes[at..]) {
        at += found;
        if bytes.get(at + 1) != Some(&bytes[at]) {
            return Some(at);
        }
        at += 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> (String, Vec<String>, bool) {
        let pattern = Pattern::parse(text).expect(text);
        (pattern.key, pattern.names, matches!(pattern.kind, Kind::Subtree { .. }))
    }

    #[test]
    fn the_forms_of_the_manual() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(key("/"), ("/".into(), names(&[]), true));
        assert_eq!(key("/healthz"), ("/healthz".into(), names(&[]), false));
        assert_eq!(key("/docs/"), ("/docs/".into(), names(&[]), true));
        assert_eq!(key("/old/{page}"), ("/old/{p0}".into(), names(&["page"]), false));
        assert_eq!(key("/{user}/files/"), ("/{p0}/files/".into(), names(&["user"]), true));
        assert_eq!(key("/wiki/{*rest}"), ("/wiki/".into(), names(&["rest"]), true));
        assert_eq!(key("/a//b/../%2F"), ("/a//b/../%2F".into(), names(&[]), false));
        assert_eq!(key("/{{literal}}/{x}"), ("/{{literal}}/{p0}".into(), names(&["x"]), false));
    }

    #[test]
    fn what_is_no_path_says_why() {
        let error = |text| Pattern::parse(text).expect_err(text);
        assert_eq!(error("docs/"), PatternError::NoSlash);
        assert_eq!(error(""), PatternError::NoSlash);
        assert_eq!(error("/a?b=c"), PatternError::NotPath('?'));
        assert_eq!(error("/köln"), PatternError::NeverSent('ö'));
        assert_eq!(error("/köln").help("/köln").as_deref(), Some(r#"write "/k%C3%B6ln""#));
        assert_eq!(error("/a b"), PatternError::NeverSent(' '));
        assert_eq!(error("/img-{id}.png"), PatternError::PartOfSegment);
        assert_eq!(error("/{a}{b}"), PatternError::PartOfSegment);
        assert_eq!(error("/{a"), PatternError::LoneBrace);
        assert_eq!(error("/a}"), PatternError::LoneBrace);
        assert_eq!(error("/}{{}"), PatternError::LoneBrace);
        assert_eq!(error("/{}"), PatternError::BadName(String::new()));
        assert_eq!(error("/{a-b}"), PatternError::BadName("a-b".into()));
        assert_eq!(error("/{a}/{a}"), PatternError::SameName("a".into()));
        assert_eq!(error("/{*rest}/more"), PatternError::AfterRest("rest".into()));
        assert_eq!(error("/{*rest}/"), PatternError::AfterRest("rest".into()));
    }

    proptest! {
        /// Whatever is a path for us is one for matchit too, alone in a tree.
        #[test]
        fn matchit_takes_every_pattern(text in "(/([a{}*x_0]{0,5}|[{}]{1,6}|\\{[a-c]\\}|\\{\\*r\\})){0,4}/?") {
            if let Ok(pattern) = Pattern::parse(&text) {
                matchit::Router::new().insert(pattern.key(), ()).expect("a valid key");
            }
        }
    }
}

//! What a placeholder can be in a command, whose request may have been read to its end.

use std::fmt;

use super::{FAMILIES, Placeholder, PlaceholderError, Source};

/// What a placeholder of a command stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommandSource {
    /// Something of the request's head.
    Head(Source),
    /// The first field of this name in the form that is the request's body.
    Form(String),
    /// What stands in the JSON that is the request's body: the keys that lead there. A number is also a place in a list.
    Json(Vec<String>),
    /// The client's address.
    Client,
}

const KNOWN: &str = "{path}, {host}, {client}, {query.NAME}, {header.NAME}, {form.NAME} and {json.a.b}";

impl Placeholder for CommandSource {
    fn parse(name: &str, parameters: &[&str]) -> Result<Self, PlaceholderError> {
        let source = match name.split_once('.') {
            None if name == "client" && parameters.contains(&name) => {
                return Err(PlaceholderError::TwoMeanings(name.to_owned()));
            }
            None if name == "client" => Some(Self::Client),
            Some(("form", name)) if !name.is_empty() => Some(Self::Form(name.to_owned())),
            Some(("json", keys)) if keys.split('.').all(|key| !key.is_empty()) => {
                Some(Self::Json(keys.split('.').map(str::to_owned).collect()))
            }
            _ => Source::known(name, parameters).map(Self::Head),
        };
        source.ok_or_else(|| {
            let families: Vec<_> = FAMILIES.into_iter().chain(["form", "json"]).collect();
            PlaceholderError::unknown(name, parameters, &["path", "host", "client"], &families, KNOWN)
        })
    }
}

/// As it is written between braces; a parameter of the path by its long name.
impl fmt::Display for CommandSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(Source::Path) => f.write_str("path"),
            Self::Head(Source::Host) => f.write_str("host"),
            Self::Head(Source::Parameter(name)) => write!(f, "path.{name}"),
            Self::Head(Source::Query(name)) => write!(f, "query.{name}"),
            Self::Head(Source::Header(name)) => write!(f, "header.{name}"),
            Self::Form(name) => write!(f, "form.{name}"),
            Self::Json(keys) => write!(f, "json.{}", keys.join(".")),
            Self::Client => f.write_str("client"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(name: &str) -> Result<CommandSource, PlaceholderError> {
        CommandSource::parse(name, &["page"])
    }

    #[test]
    fn commands_know_more() {
        let keys = |keys: &[&str]| CommandSource::Json(keys.iter().map(|key| (*key).to_owned()).collect());
        assert_eq!(parse("client"), Ok(CommandSource::Client));
        assert_eq!(parse("form.a b.c"), Ok(CommandSource::Form("a b.c".into())));
        assert_eq!(parse("json.ref"), Ok(keys(&["ref"])));
        assert_eq!(parse("json.commits.0.id-x y"), Ok(keys(&["commits", "0", "id-x y"])));
        assert_eq!(parse("page"), Ok(CommandSource::Head(Source::Parameter("page".into()))));
        assert_eq!(parse("page"), parse("path.page"));
        assert_eq!(parse("header.X-Event"), parse("header.x-event"));
    }

    #[test]
    fn what_is_none_says_what_is() {
        let help = |name: &str| parse(name).expect_err(name).help(&["page"]);
        assert_eq!(help("jsn.ref"), "did you mean {json.ref}?");
        assert_eq!(help("JSON.ref"), "did you mean {json.ref}?");
        assert_eq!(help("from.name"), "did you mean {form.name}?");
        assert_eq!(help("cleint"), "did you mean {client}?");
        for name in ["form.", "json.", "json..a", "json.a.", "json.a..b", "cookie.x", ""] {
            assert!(
                help(name).starts_with("there are {page} of the path, {path}, {host}, {client}"),
                "{name}"
            );
        }
        let two = CommandSource::parse("client", &["client"]).expect_err("two meanings");
        assert_eq!(two.help(&["client"]), "write {path.client} for the parameter, or call it something else");
        assert!(CommandSource::parse("path.client", &["client"]).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(name in "(form|json|query|path)\\.[a-z0-9. -]{1,9}|client|path|host") {
            if let Ok(source) = CommandSource::parse(&name, &["a"]) {
                prop_assert_eq!(&source.to_string(), &name);
                prop_assert_eq!(CommandSource::parse(&source.to_string(), &["a"]), Ok(source));
            }
        }
    }
}

//! `allow` and `when`: patterns for whole values.

use std::hash::{Hash, Hasher};

use regex_lite::{Regex, RegexBuilder};

use crate::handler::placeholder::{CommandSource, Placeholder};
use crate::schema::{Fault, Key, Placed, Reader};

/// How large a pattern may become, in bytes: matching takes time with that times the value's length.
const LARGEST: usize = 256 << 10;

/// Placeholders and the patterns for their values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Patterns(Vec<(CommandSource, Pattern)>);

/// A pattern for a whole value.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As written.
    text: String,
    /// Holds from the first byte to the last.
    regex: Regex,
}

impl Patterns {
    /// Reads a table of them. What is wrong is left out, and the reader has been told; `complain` says what is wrong with a
    /// placeholder there, and the way out.
    pub fn read(
        reader: &mut Reader<'_>,
        key: &Key,
        parameters: &[&str],
        complain: impl Fn(&CommandSource) -> Option<(String, &'static str)>,
    ) -> Self {
        let mut all: Vec<(CommandSource, Pattern)> = Vec::new();
        for (name, text) in reader.map(key) {
            let source = source(name, parameters).map_err(|fault| reader.fault(fault));
            let pattern = pattern(text, key).map_err(|fault| reader.fault(fault));
            let (Ok(source), Ok(pattern)) = (source, pattern) else { continue };
            if all.iter().any(|(other, _)| *other == source) {
                let what = format!("{{{source}}} has a pattern in `{}` already", key.name);
                reader.fault(Fault::new(name.place, what).help("leave one out"));
            } else if let Some((what, help)) = complain(&source) {
                reader.fault(Fault::new(name.place, what).help(help));
            }
            all.push((source, pattern));
        }
        Self(all)
    }

    /// The pattern for what a placeholder stands for.
    pub fn of(&self, source: &CommandSource) -> Option<&Pattern> {
        self.iter().find(|(own, _)| own == source).map(|(_, pattern)| pattern)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &(CommandSource, Pattern)> {
        self.0.iter()
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, regex_lite::Error> {
        let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(LARGEST).build();
        build(text)?; // alone, or `a)|(?:b` would be right in between
        // A comment at its end, which (?x) allows, takes the parenthesis with it, but no new line.
        let whole = build(&format!(r"\A(?:{text})\z"));
        let regex = whole.or_else(|_| build(&format!("\\A(?:{text}\n)\\z")))?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// Whether it fits the whole value. Patterns are of characters: what is no UTF-8 fits none.
    pub fn fits(&self, value: &[u8]) -> bool {
        std::str::from_utf8(value).is_ok_and(|text| self.regex.is_match(text))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

fn source(name: Placed<'_>, parameters: &[&str]) -> Result<CommandSource, Fault> {
    if let Some(bare) = name.text.strip_prefix('{').and_then(|bare| bare.strip_suffix('}')) {
        let fault = Fault::new(name.place, "here the names of placeholders go without braces");
        return Err(fault.help(format!("write {bare:?}")));
    }
    CommandSource::parse(name.text, parameters)
        .map_err(|error| Fault::new(name.place, error.to_string()).help(error.help(parameters)))
}

fn pattern(text: Placed<'_>, key: &Key) -> Result<Pattern, Fault> {
    Pattern::parse(text.text).map_err(|error| {
        let fault = Fault::new(text.place, format!("{:?} is no pattern: {error}", text.text));
        fault.help(format!("a regular expression; for example: {}", key.line()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, value: &str) -> bool {
        Pattern::parse(pattern).expect(pattern).fits(value.as_bytes())
    }

    #[test]
    fn a_pattern_is_for_the_whole_value() {
        for (pattern, fit, unfit) in [
            ("push", &["push"][..], &["push\n", "\npush", "pushed", "a push", "push\npush", ""][..]),
            ("a|b", &["a", "b"], &["ab", "a\nb", "xb", "ax"]),
            ("^a$", &["a"], &["a\n", "b\na"]),
            ("(?m)^a$", &["a"], &["a\nb", "b\na", "a\n"]),
            ("(?s).*", &["", "a\nb"], &[]),
            (".*", &["", "ab"], &["a\nb", "\n"]),
            ("(?x) a b  # letters", &["ab"], &["ab\n", "a b", "ab# letters"]),
            ("(?i)main", &["MAIN"], &["MAINS"]),
            ("", &[""], &["a", "\n"]),
            (
                r"refs/heads/(main|release-\d+)",
                &["refs/heads/main", "refs/heads/release-12"],
                &["refs/heads/main/", "xrefs/heads/main", "refs/heads/release-"],
            ),
        ] {
            fit.iter().for_each(|value| assert!(fits(pattern, value), "{pattern:?} {value:?}"));
            unfit.iter().for_each(|value| assert!(!fits(pattern, value), "{pattern:?} {value:?}"));
        }
        assert!(!Pattern::parse("(?s).*").expect("a pattern").fits(b"\xff"));
    }

    #[test]
    fn what_is_no_pattern_alone_is_none() {
        for text in ["(", "a)", "a)|(?:b", "[a", "*", "\\", "(?x)a\\", "(?P<>a)", ".{999999}"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        assert!(
            Pattern::parse("[A-Za-z0-9._/-]{1,255}").is_ok(),
            "no pattern that people write is too large"
        );
    }

    proptest! {
        /// Whatever a pattern finds within a value, it fits only what it finds from end to end.
        #[test]
        fn nothing_slips_by_at_either_end(pattern in "[ab.*+?|^$()\\[\\]#\\n]{1,8}|\\(\\?[imsx]\\)[ab |#]{1,6}", value in "[ab\\n]{0,6}") {
            if let Ok(fitting) = Pattern::parse(&pattern) {
                let alone = Regex::new(&pattern).expect("a pattern alone");
                if fitting.fits(value.as_bytes()) {
                    prop_assert!(alone.is_match(&value), "{pattern:?} {value:?}");
                }
                let found = alone.find(&value).map(|found| found.range());
                if found == Some(0..value.len()) {
                    prop_assert!(fitting.fits(value.as_bytes()), "{pattern:?} {value:?}");
                }
                if found.is_none() {
                    prop_assert!(!fitting.fits(value.as_bytes()), "{pattern:?} {value:?}");
                }
            }
        }

        #[test]
        fn literals_fit_themselves_alone(text in "[a-z0-9/_-]{0,12}", more in "\\PC|\\n") {
            prop_assert!(fits(&text, &text));
            let longer = [format!("{text}{more}"), format!("{more}{text}")];
            prop_assert!(!longer.iter().any(|longer| fits(&text, longer)));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}|[a-z(){}\\[\\]|*?+\\\\0-9,:^$#]{0,20}", value in "\\PC{0,20}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                pattern.fits(value.as_bytes());
            }
        }
    }
}

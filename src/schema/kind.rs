//! What a key takes.

use std::time::Duration;

use super::Key;

/// What a key takes, beyond its type in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any string.
    Text,
    /// A length of time, at least `least`.
    Duration {
        /// The shortest that makes sense.
        least: Duration,
    },
    /// A length of time above zero, or `"never"`.
    DurationOrNever,
    /// A number of bytes: `"1 MiB"`.
    Size,
    /// A whole number.
    Integer {
        /// The least allowed.
        least: i64,
        /// The most allowed.
        most: i64,
    },
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `true`, `false`, or one of these words.
    BooleanOr(&'static [&'static str]),
    /// So many in so long: `"1/2s"`, `"100/min"`.
    Rate,
    /// A string, or a list of strings.
    Texts,
    /// A list of strings, at least one.
    List,
    /// A table of strings.
    Map,
    /// A table of whole numbers.
    Numbers {
        /// The least allowed.
        least: i64,
        /// The most allowed.
        most: i64,
    },
    /// A table with these keys.
    Table(&'static [Key]),
    /// An HTTP status.
    Status {
        /// The least allowed.
        least: u16,
        /// The most allowed.
        most: u16,
    },
    /// An absolute path in the file system.
    Path,
}

impl Kind {
    /// A value of this kind, written as in [`super::Key::example`].
    pub const fn example(self) -> &'static str {
        match self {
            Self::Text | Self::Texts => "...",
            Self::Duration { .. } | Self::DurationOrNever => "30s",
            Self::Size => "1 MiB",
            Self::Integer { .. } => "1",
            Self::Boolean | Self::BooleanOr(_) => "true",
            Self::OneOf(words) => words[0],
            Self::Rate => "1/2s",
            Self::List => r#"["..."]"#,
            Self::Table(_) => "{ }",
            Self::Map => r#"{ "Name" = "value" }"#,
            Self::Numbers { .. } => "{ name = 1 }",
            Self::Status { .. } => "200",
            Self::Path => "/srv/www",
        }
    }

    /// What it takes, for people: "a duration".
    pub fn describe(self) -> String {
        match self {
            Self::Text => "a string".into(),
            Self::Duration { .. } => "a duration".into(),
            Self::DurationOrNever => r#"a duration or "never""#.into(),
            Self::Size => "a size".into(),
            Self::Integer { least, most } => format!("a whole number from {least} to {most}"),
            Self::Boolean => "true or false".into(),
            Self::OneOf(words) => quoted_words(words),
            Self::BooleanOr(words) => format!("true or false or {}", quoted_words(words)),
            Self::Rate => r#"a rate such as "1/2s" or "100/min""#.into(),
            Self::List => "a list of strings".into(),
            Self::Table(keys) => {
                let names: Vec<_> = keys.iter().map(|key| format!("`{}`", key.name)).collect();
                format!("a table of {}", names.join(", "))
            }
            Self::Texts => "a string or a list of strings".into(),
            Self::Map => "a table of strings".into(),
            Self::Numbers { least, most } => format!("a table of whole numbers from {least} to {most}"),
            Self::Status { least, most } => format!("an HTTP status from {least} to {most}"),
            Self::Path => "an absolute path".into(),
        }
    }

    /// An example or default as it stands in the file: strings get their quotes.
    pub fn quoted(self, text: &str) -> String {
        let is_bare = match self {
            Self::Integer { .. } | Self::Boolean | Self::Status { .. } => true,
            Self::Map | Self::Numbers { .. } | Self::Table(_) | Self::List => true,
            Self::BooleanOr(_) => matches!(text, "true" | "false"),
            Self::Texts => text.starts_with('['),
            _ => false,
        };
        if is_bare { text.to_owned() } else { format!("{text:?}") }
    }
}

fn quoted_words(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or ")
}

//! One key of a table.

use super::Kind;

/// One key of a table: its name, what it takes, and what a reader of the manual has to know about it.
///
/// ```
/// use dormouse::schema::{Key, Kind};
/// const LISTING: Key = Key::new("listing", Kind::Boolean, "Lists folders that have no index.html.").default("false");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// One line for the manual, a sentence.
    pub help: &'static str,
    /// What holds when it is absent, written as in [`Key::example`].
    pub default: Option<&'static str>,
    /// A value people would write; without the quotes of a string, see [`Kind::quoted`].
    pub example: &'static str,
}

impl Key {
    /// A key without default; its example is the kind's own.
    pub const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, help, default: None, example: kind.example() }
    }

    /// The value that holds when the key is absent. It doubles as the example until there is a better one.
    #[must_use]
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self.example = default;
        self
    }

    /// A value people would write.
    #[must_use]
    pub const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    /// The example as a line of the file: `after = "30s"`.
    pub fn line(&self) -> String {
        format!("{} = {}", self.name, self.kind.quoted(self.example))
    }
}

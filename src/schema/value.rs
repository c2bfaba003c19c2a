//! A file's content, free of the language it was written in.

use std::ops::Range;

use super::Fault;

/// Where something stands in the file. Opaque: only who reads files can make one or look inside.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    start: usize,
    end: usize,
}

impl Place {
    pub(crate) fn new(bytes: Range<usize>) -> Self {
        Self { start: bytes.start, end: bytes.end.max(bytes.start) }
    }

    pub(crate) fn bytes(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What it is.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// What a file can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `"..."`
    Text(String),
    /// `42`; `None` when it does not fit 64 bits.
    Integer(Option<i64>),
    /// `true`
    Boolean(bool),
    /// `[...]`
    List(Vec<Item>),
    /// `{ ... }`
    Table(Table),
    /// Something no key takes, by its name for people ("a date").
    Other(&'static str),
}

impl Value {
    /// What it is, for people.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
    }
}

/// Keys and values, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Where it begins: its header or brace.
    pub place: Place,
    /// What stands in it.
    pub entries: Vec<Entry>,
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub name: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub item: Item,
}

impl Table {
    /// The entry of this name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// A complaint of each key that is none of the known ones.
    pub fn unknown_keys<'t>(&'t self, known: &'t [&str]) -> impl Iterator<Item = Fault> + 't {
        let unknown = self.entries.iter().filter(|entry| !known.contains(&&entry.name[..]));
        unknown.map(|entry| Fault::unknown(entry, known))
    }
}

//! Hands a table's values to whoever declared its keys.

use std::time::Duration;

use super::fit::Fit;
use super::rate::Rate;
use super::{Fault, Faults, Key, Kind, Place, Table};

/// A string of the file with its place, for complaints that only its reader can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed<'t> {
    /// What is written.
    pub text: &'t str,
    /// Where.
    pub place: &'t Place,
}

/// Reads one table by its declared keys.
///
/// Every method gives the value, or what stands in for it: the key's default if the key is absent or wrong. What is
/// wrong is noted among the faults, and whoever asked goes on, so that one reading finds everything.
pub struct Reader<'t> {
    table: &'t Table,
    faults: &'t mut Faults,
}

impl<'t> Reader<'t> {
    /// A reader of a table that notes what is wrong in `faults`.
    pub fn new(table: &'t Table, faults: &'t mut Faults) -> Self {
        Self { table, faults }
    }

    /// Whether the key is there, right or wrong.
    pub fn has(&self, key: &Key) -> bool {
        self.table.get(key.name).is_some()
    }

    /// Where the key's value stands; the table's beginning if the key is absent.
    pub fn place(&self, key: &Key) -> Place {
        self.table.get(key.name).map_or(&self.table.place, |entry| &entry.item.place).clone()
    }

    /// Notes something wrong that only this reader's caller can see.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// A string ([`Kind::Text`], [`Kind::OneOf`]); of [`Kind::BooleanOr`] also `"true"` and `"false"`.
    pub fn text(&mut self, key: &Key) -> Option<&'t str> {
        match self.fit(key)? {
            Fit::Text(text) => Some(text),
            Fit::Choice(word) => Some(word),
            other => undeclared(key, &other),
        }
    }

    /// A path ([`Kind::Path`]).
    pub fn path(&mut self, key: &Key) -> Option<&'t std::path::Path> {
        self.text(key).map(std::path::Path::new)
    }

    /// A length of time; zero if the key has no default either.
    pub fn duration(&mut self, key: &Key) -> Duration {
        match self.fit(key) {
            Some(Fit::Duration(length)) => length,
            Some(other) => undeclared(key, &other).unwrap_or_default(),
            None => Duration::ZERO,
        }
    }

    /// A length of time; `None` for `"never"`.
    pub fn duration_or_never(&mut self, key: &Key) -> Option<Duration> {
        match self.fit(key)? {
            Fit::Duration(length) => Some(length),
            Fit::Never => None,
            other => undeclared(key, &other),
        }
    }

    /// So many in so long.
    pub fn rate(&mut self, key: &Key) -> Option<Rate> {
        match self.fit(key)? {
            Fit::Rate(rate) => Some(rate),
            other => undeclared(key, &other),
        }
    }

    /// A table of its own ([`Kind::Table`]), whose unknown keys have been complained of; `None` if the key is absent.
    pub fn table(&mut self, key: &Key) -> Option<Reader<'_>> {
        let Kind::Table(keys) = key.kind else { return None };
        let table = match self.fit(key)? {
            Fit::Table(table) => table,
            other => return undeclared(key, &other),
        };
        let known: Vec<_> = keys.iter().map(|key| key.name).collect();
        table.unknown_keys(&known).for_each(|fault| self.faults.add(fault));
        Some(Reader { table, faults: self.faults })
    }

    /// A number of bytes.
    pub fn size(&mut self, key: &Key) -> Option<u64> {
        match self.fit(key)? {
            Fit::Size(bytes) => Some(bytes),
            other => undeclared(key, &other),
        }
    }

    /// A whole number.
    pub fn integer(&mut self, key: &Key) -> Option<i64> {
        match self.fit(key)? {
            Fit::Integer(number) => Some(number),
            other => undeclared(key, &other),
        }
    }

    /// An HTTP status.
    pub fn status(&mut self, key: &Key) -> Option<hyper::StatusCode> {
        let number = self.integer(key)?;
        u16::try_from(number).ok().and_then(|number| hyper::StatusCode::from_u16(number).ok())
    }

    /// True or false.
    pub fn boolean(&mut self, key: &Key) -> Option<bool> {
        match self.fit(key)? {
            Fit::Boolean(boolean) => Some(boolean),
            other => undeclared(key, &other),
        }
    }

    /// One string or several; `None` if the key is absent.
    pub fn texts(&mut self, key: &Key) -> Option<Vec<Placed<'t>>> {
        match self.fit(key)? {
            Fit::Texts(texts) => {
                Some(texts.into_iter().map(|(text, place)| Placed { text, place }).collect())
            }
            other => undeclared(key, &other),
        }
    }

    /// Names with their strings; empty if the key is absent.
    pub fn map(&mut self, key: &Key) -> Vec<(Placed<'t>, Placed<'t>)> {
        let placed = |(text, place)| Placed { text, place };
        match self.fit(key) {
            Some(Fit::Map(entries)) => {
                entries.into_iter().map(|e| (placed(e.name), placed(e.value))).collect()
            }
            Some(other) => undeclared(key, &other).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Names with their numbers; empty if the key is absent.
    pub fn numbers(&mut self, key: &Key) -> Vec<(Placed<'t>, i64)> {
        match self.fit(key) {
            Some(Fit::Numbers(entries)) => {
                let placed = |(text, place)| Placed { text, place };
                entries.into_iter().map(|entry| (placed(entry.name), entry.number)).collect()
            }
            Some(other) => undeclared(key, &other).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Whether there is a value, read or by default: what the tests of declarations ask.
    #[cfg(test)]
    pub(crate) fn check(&mut self, key: &Key) -> bool {
        self.fit(key).is_some()
    }

    fn fit(&mut self, key: &Key) -> Option<Fit<'t>> {
        let default = || key.default.and_then(|text| key.kind.fit_default(text));
        let Some(entry) = self.table.get(key.name) else { return default() };
        match key.kind.fit(&entry.item) {
            Ok(fit) => Some(fit),
            Err(misfit) => {
                let message = format!("`{}` takes {}: {}", key.name, key.kind.describe(), misfit.reason);
                let help = match key.kind.meant(&entry.item) {
                    Some(word) => format!("did you mean {word:?}?"),
                    None => format!("for example: {}", key.line()),
                };
                self.faults.add(Fault::new(misfit.place, message).help(help));
                default()
            }
        }
    }
}

/// A key read as something else than it was declared: a bug in the declaration, which the first test that reads it
/// finds. In a release, it reads as absent.
fn undeclared<T>(key: &Key, fit: &Fit<'_>) -> Option<T> {
    debug_assert!(
        false,
        "`{}` is declared as {:?} but read as something else than {fit:?}",
        key.name, key.kind
    );
    None
}

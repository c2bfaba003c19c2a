//! Whether a value fits the kind its key asks for.

use std::time::Duration;

use super::rate::{self, Rate};
use super::{Entry, Item, Kind, Place, Table, Value, duration, nearest, size};

/// A value that fits its kind.
#[derive(Debug, PartialEq)]
pub(super) enum Fit<'t> {
    Text(&'t str),
    Duration(Duration),
    Never,
    Size(u64),
    Integer(i64),
    Boolean(bool),
    Choice(&'static str),
    Rate(Rate),
    Texts(Vec<(&'t str, &'t Place)>),
    Map(Vec<MapEntry<'t>>),
    Numbers(Vec<NumberEntry<'t>>),
    Table(&'t Table),
}

/// One entry of a [`Kind::Map`].
#[derive(Debug, PartialEq)]
pub(super) struct MapEntry<'t> {
    pub name: (&'t str, &'t Place),
    pub value: (&'t str, &'t Place),
}

/// One entry of a [`Kind::Numbers`].
#[derive(Debug, PartialEq)]
pub(super) struct NumberEntry<'t> {
    pub name: (&'t str, &'t Place),
    pub number: i64,
}

/// Why a value does not fit, and where exactly.
#[derive(Debug, PartialEq)]
pub(super) struct Misfit<'t> {
    pub place: &'t Place,
    pub reason: String,
}

impl Kind {
    /// Reads a value of the file.
    pub(super) fn fit(self, item: &Item) -> Result<Fit<'_>, Misfit<'_>> {
        let fit = match (self, &item.value) {
            (Self::Texts, Value::Text(text)) => Ok(Fit::Texts(vec![(text, &item.place)])),
            (Self::Texts, Value::List(items)) => return texts(items).map(Fit::Texts),
            (Self::List, Value::List(items)) if items.is_empty() => Err("this one is empty".into()),
            (Self::List, Value::List(items)) => return texts(items).map(Fit::Texts),
            (Self::Table(_), Value::Table(table)) => Ok(Fit::Table(table)),
            (Self::Map, Value::Table(table)) => return map(table).map(Fit::Map),
            (Self::Numbers { least, most }, Value::Table(table)) => {
                return numbers(table, least, most).map(Fit::Numbers);
            }
            (Self::Boolean, Value::Boolean(boolean)) => Ok(Fit::Boolean(*boolean)),
            (Self::BooleanOr(_), Value::Boolean(boolean)) => {
                Ok(Fit::Choice(if *boolean { "true" } else { "false" }))
            }
            (_, Value::Text(text)) => self.fit_text(text),
            (_, Value::Integer(number)) => self.fit_number(*number),
            (_, other) => Err(format!("this is {}", other.describe())),
        };
        fit.map_err(|reason| Misfit { place: &item.place, reason })
    }

    /// The word that was meant, if the kind is one of words.
    pub(super) fn meant(self, item: &Item) -> Option<&'static str> {
        match (self, &item.value) {
            (Self::OneOf(words) | Self::BooleanOr(words), Value::Text(text)) => {
                nearest(text, words.iter().copied())
            }
            _ => None,
        }
    }

    /// Reads a default, which is written without quotes whatever its kind.
    pub(super) fn fit_default(self, text: &'static str) -> Option<Fit<'static>> {
        match self {
            Self::Boolean => text.parse().ok().map(Fit::Boolean),
            Self::BooleanOr(_) if text == "true" => Some(Fit::Choice("true")),
            Self::BooleanOr(_) if text == "false" => Some(Fit::Choice("false")),
            Self::Integer { .. } | Self::Status { .. } => self.fit_number(text.parse().ok()).ok(),
            _ => self.fit_text(text).ok(),
        }
    }

    fn fit_text(self, text: &str) -> Result<Fit<'_>, String> {
        match self {
            Self::Text => Ok(Fit::Text(text)),
            Self::DurationOrNever if text.trim() == "never" => Ok(Fit::Never),
            Self::DurationOrNever => length(text, Duration::from_nanos(1)).map(Fit::Duration),
            Self::Duration { least } => length(text, least).map(Fit::Duration),
            Self::Size => size::parse(text).map(Fit::Size).map_err(|error| error.to_string()),
            Self::Rate => rate::parse(text).map(Fit::Rate).map_err(|error| error.to_string()),
            Self::BooleanOr(_) if text.parse::<bool>().is_ok() => Err("it goes without quotes".into()),
            Self::OneOf(words) | Self::BooleanOr(words) => word(text, words).map(Fit::Choice),
            Self::Path if text.contains('\0') => Err("a path holds no NUL".into()),
            Self::Path if text.starts_with('/') => Ok(Fit::Text(text)),
            Self::Path => Err("this does not begin with a slash".into()),
            Self::Boolean if text.parse::<bool>().is_ok() => Err("it goes without quotes".into()),
            Self::Integer { .. } | Self::Status { .. } if text.parse::<i64>().is_ok() => {
                Err("it goes without quotes".into())
            }
            Self::List => Err("this is one string".into()),
            Self::Boolean
            | Self::Integer { .. }
            | Self::Status { .. }
            | Self::Texts
            | Self::Map
            | Self::Numbers { .. }
            | Self::Table(_) => Err("this is a string".into()),
        }
    }

    fn fit_number(self, number: Option<i64>) -> Result<Fit<'static>, String> {
        let (least, most) = match self {
            Self::Integer { least, most } => (least, most),
            Self::Status { least, most } => (least.into(), most.into()),
            Self::Duration { .. } | Self::DurationOrNever | Self::Size | Self::Rate => {
                return Err("a bare number has no unit".into());
            }
            _ => return Err("this is a number".into()),
        };
        number
            .filter(|n| (least..=most).contains(n))
            .map(Fit::Integer)
            .ok_or_else(|| "this is out of range".into())
    }
}

fn length(text: &str, least: Duration) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(length) if length >= least => Ok(length),
        Ok(_) if least <= Duration::from_nanos(1) => {
            Err("zero would be over at once; \"never\" sets no limit".into())
        }
        Ok(_) => Err(format!("at least {:?} makes sense", duration::text(least))),
        Err(error) => Err(error.to_string()),
    }
}

fn word(text: &str, words: &'static [&'static str]) -> Result<&'static str, String> {
    words.iter().find(|word| **word == text).copied().ok_or_else(|| format!("{text:?} is none of them"))
}

fn texts(items: &[Item]) -> Result<Vec<(&str, &Place)>, Misfit<'_>> {
    items.iter().map(string).collect()
}

fn map(table: &Table) -> Result<Vec<MapEntry<'_>>, Misfit<'_>> {
    let entries = table.entries.iter();
    entries
        .map(|entry| Ok(MapEntry { name: (&entry.name, &entry.place), value: string(&entry.item)? }))
        .collect()
}

fn numbers(table: &Table, least: i64, most: i64) -> Result<Vec<NumberEntry<'_>>, Misfit<'_>> {
    let entry = |entry: &'_ Entry| match Kind::fit(Kind::Integer { least, most }, &entry.item) {
        Ok(Fit::Integer(number)) => Ok(number),
        Ok(_) => Err("this is no number".to_owned()),
        Err(misfit) => Err(misfit.reason),
    };
    let entries = table.entries.iter().map(|found| match entry(found) {
        Ok(number) => Ok(NumberEntry { name: (&found.name, &found.place), number }),
        Err(reason) => Err(Misfit { place: &found.item.place, reason }),
    });
    entries.collect()
}

fn string(item: &Item) -> Result<(&str, &Place), Misfit<'_>> {
    match &item.value {
        Value::Text(text) => Ok((text, &item.place)),
        other => Err(Misfit { place: &item.place, reason: format!("this is {}", other.describe()) }),
    }
}

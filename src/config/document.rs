//! From TOML to the schema's values, with their places.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::schema::{Entry, Fault, Faults, Item, Place, Table, Value};

/// As many errors of TOML itself as are looked at.
const MOST: usize = 50;

/// Reads TOML as far as it can be read. What is no TOML is noted among the faults.
pub(super) fn parse(text: &str, faults: &mut Faults) -> Table {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors.into_iter().take(MOST) {
        faults.add(Fault::new(&Place::new(error.span().unwrap_or_default()), lower_case(error.message())));
    }
    let whole = Place::new(table.span());
    self::table(table.into_inner(), whole)
}

fn lower_case(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

fn table(table: DeTable<'_>, place: Place) -> Table {
    let mut entries: Vec<_> = table.into_iter().map(entry).collect();
    entries.sort_by(|a, b| a.place.cmp(&b.place)); // toml sorts by name
    Table { place, entries }
}

fn entry((name, value): (Spanned<DeString<'_>>, Spanned<DeValue<'_>>)) -> Entry {
    Entry { place: Place::new(name.span()), name: name.into_inner().into_owned(), item: item(value) }
}

fn item(value: Spanned<DeValue<'_>>) -> Item {
    let place = Place::new(value.span());
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Array(items) => Value::List(items.into_iter().map(item).collect()),
        DeValue::Table(inner) => Value::Table(table(inner, place.clone())),
        DeValue::Float(_) => Value::Other("a number with a point"),
        DeValue::Datetime(_) => Value::Other("a date or time"),
    };
    Item { value, place }
}

//! Commands from the text of a route to the arguments of a program; what CGI tells is in `cgi`.

mod cgi;
mod fill;
mod read;

use std::collections::BTreeMap;

use super::Command;
use super::keys::KEYS;
use crate::guard::Waits;
use crate::handler::RouteShape;
use crate::lasting::Lasting;
use crate::schema::{Entry, Faults, Item, Key, Kind, Place, Reader, Table, Value};

const RUN: Key = Key::new("run", Kind::List, "The program.").example(r#"["/usr/local/bin/deploy"]"#);

/// Reads a route's table with the parameter `page`, as if `run` were its verb.
fn read(table: &Table, operand: Option<&Key>) -> (Option<Command>, Faults) {
    let (mut faults, apps, lasting) = (Faults::default(), BTreeMap::new(), Lasting::default());
    let route = RouteShape {
        path: "/x/{page}",
        place: "/x/{page}",
        methods: None,
        largest_body: None,
        parameters: &["page"],
        is_subtree: false,
        waits: Waits::default(),
        apps: &apps,
        lasting: &lasting,
    };
    let known: Vec<_> = KEYS.iter().map(|key| key.name).chain(["run"]).collect();
    table.unknown_keys(&known).for_each(|fault| faults.add(fault));
    let command = Command::read(&mut Reader::new(table, &mut faults), operand, &route);
    (command, faults)
}

fn item(value: Value) -> Item {
    Item { value, place: Place::default() }
}

fn entry(name: &str, value: Value) -> Entry {
    Entry { name: name.into(), place: Place::default(), item: item(value) }
}

fn texts(line: &[&str]) -> Value {
    Value::List(line.iter().map(|text| item(Value::Text((*text).into()))).collect())
}

fn map(entries: &[(&str, &str)]) -> Value {
    let entries = entries.iter().map(|(name, text)| entry(name, Value::Text((*text).into())));
    Value::Table(Table { entries: entries.collect(), ..Table::default() })
}

/// A command without mistakes.
fn command(line: &[&str], allow: &[(&str, &str)], when: &[(&str, &str)]) -> Command {
    let entries = vec![entry("run", texts(line)), entry("allow", map(allow)), entry("when", map(when))];
    let (command, faults) = read(&Table { entries, ..Table::default() }, Some(&RUN));
    assert!(faults.is_empty(), "{faults:?}");
    command.expect("a command")
}

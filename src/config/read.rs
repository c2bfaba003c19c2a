//! From a file's text to a config: everything wrong with it at once.

use super::apps::{self, APP};
use super::lines::Lines;
use super::settings::{self, SECTIONS};
use super::{document, routes};
use crate::lasting::Lasting;
use crate::route::{Router, Spec};
use crate::schema::{Entry, Fault, Faults, Place, Table, Value};
use crate::server::Settings;
use crate::site::{Route, Site};

/// The key of the routes.
const ROUTE: &str = "route";

/// A config that can be put to work.
pub struct Loaded {
    /// What answers requests.
    pub site: Site,
    /// What the engine is told.
    pub settings: Settings,
    /// Apps that no route names.
    pub idle_apps: Vec<String>,
}

/// Reads a config. `sockets` are the names systemd passed, where they are known.
pub(super) fn read(text: &str, sockets: Option<&[String]>, lasting: &Lasting) -> Result<Loaded, Vec<Fault>> {
    let lines = Lines::new(text);
    let mut syntax = Faults::default();
    let document = document::parse(text, &mut syntax);
    let mut faults = Faults::default();
    top_level(&document, &mut faults);
    let empty = Table::default();
    let section = |name: &str| match document.get(name).map(|entry| &entry.item.value) {
        Some(Value::Table(table)) => table,
        _ => &empty,
    };
    for schema in SECTIONS {
        let known: Vec<_> = schema.keys.iter().map(|key| key.name).collect();
        section(schema.name).unknown_keys(&known).for_each(|fault| faults.add(fault));
    }
    let (settings, limits, of_server) = settings::read(section, &mut faults);
    let apps = apps::read(&document, settings.sleep.after, lasting, &mut faults);
    let around = routes::Around { sockets, of_server, apps: &apps, lasting };
    let (router, routes) = read_routes(&lines, &document, &around, &mut faults);
    if !syntax.is_empty() {
        // What cannot be read may make the rest look worse than it is.
        let unread: Vec<_> = syntax.iter().map(|fault| lines.line(&fault.place)).collect();
        faults.retain(|fault| !fault.is_absence && !unread.contains(&lines.line(&fault.place)));
        faults.append(syntax);
    }
    match router {
        Some(router) if faults.is_empty() => {
            let places = limits.room.map(|room| lasting.places(String::new(), room));
            let site = Site { router, routes, places, is_provisional: false };
            let is_named = |name: &String| site.routes.iter().any(|route| route.names_app(name));
            let idle_apps = apps.into_keys().filter(|name| !is_named(name)).collect();
            Ok(Loaded { site, settings, idle_apps })
        }
        _ => Err(faults.into_sorted()),
    }
}

/// Complains of what does not belong outside of the tables, and of tables that are none.
fn top_level(document: &Table, faults: &mut Faults) {
    for entry in &document.entries {
        match &entry.item.value {
            Value::List(_) if entry.name == ROUTE => {}
            Value::Table(_) if entry.name == ROUTE => {
                faults.add(
                    Fault::new(&entry.place, "a route stands in double brackets").help("write [[route]]"),
                );
            }
            Value::Table(_) if entry.name == APP => {}
            Value::List(_) if entry.name == APP => {
                let fault = Fault::new(&entry.place, "an app stands in single brackets, with its name");
                faults.add(fault.help("write [app.NAME]"));
            }
            Value::Table(_) if SECTIONS.iter().any(|section| section.name == entry.name) => {}
            _ if entry.name == ROUTE || SECTIONS.iter().any(|section| section.name == entry.name) => {
                let brackets =
                    if entry.name == ROUTE { "[[route]]".to_owned() } else { format!("[{}]", entry.name) };
                let what =
                    format!("`{}` is a table, and this is {}", entry.name, entry.item.value.describe());
                faults.add(Fault::new(&entry.place, what).help(format!("begin it with {brackets}")));
            }
            _ => faults.add(strange(entry)),
        }
    }
}

/// Something unknown outside of the tables: perhaps it only stands in the wrong place.
fn strange(entry: &Entry) -> Fault {
    let section = SECTIONS.iter().find(|section| section.keys.iter().any(|key| key.name == entry.name));
    if let Some(section) = section {
        let fault = Fault::new(&entry.place, format!("`{}` stands outside of its table", entry.name));
        return fault.help(format!("it belongs below [{}]", section.name));
    }
    if routes::all_keys().any(|key| key.name == entry.name) {
        let fault = Fault::new(&entry.place, format!("`{}` stands outside of any route", entry.name));
        return fault.help("it belongs below [[route]]");
    }
    let known: Vec<_> = SECTIONS.iter().map(|section| section.name).chain([APP, ROUTE]).collect();
    Fault::unknown(entry, &known)
}

/// Reads every route; the router is there if they can be told apart.
fn read_routes(
    lines: &Lines<'_>,
    document: &Table,
    around: &routes::Around<'_>,
    faults: &mut Faults,
) -> (Option<Router>, Vec<Route>) {
    let tables: Vec<_> = match document.get(ROUTE).map(|entry| &entry.item.value) {
        Some(Value::List(items)) => items.iter().filter_map(|item| table(item, faults)).collect(),
        Some(Value::Table(table)) => vec![table],
        _ => vec![],
    };
    let mut specs: Vec<Spec> = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    let mut read = Vec::new();
    for route in tables.into_iter().filter_map(|table| routes::read(table, around, faults)) {
        specs.push(route.spec);
        places.push(route.place);
        read.extend(route.route);
    }
    let paths: Vec<_> = specs.iter().map(|spec| spec.pattern.to_string()).collect();
    let conflicts = match Router::new(specs) {
        Ok(router) => return (Some(router), read),
        Err(conflicts) => conflicts,
    };
    for conflict in conflicts {
        let (first, second) = (&places[conflict.first], &places[conflict.second]);
        let message = format!(
            "nothing tells {} from {} on line {}: both would take the same requests",
            paths[conflict.second],
            paths[conflict.first],
            lines.line(first)
        );
        let fault = Fault::new(second, message).other(first, "the other one");
        faults.add(fault.help("change a path, or set them apart by `host`, `methods` or `socket`"));
    }
    (None, read)
}

fn table<'t>(item: &'t crate::schema::Item, faults: &mut Faults) -> Option<&'t Table> {
    match &item.value {
        Value::Table(table) => Some(table),
        other => {
            let what = format!("a route is a table, and this is {}", other.describe());
            faults.add(Fault::new(&item.place, what).help("write [[route]]"));
            None
        }
    }
}

#[cfg(test)]
mod tests;

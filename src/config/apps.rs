//! `[app.NAME]`: from a table to an app that routes can name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::app::keys::{ADDRESS, RUN, SECTION, UNIT};
use crate::app::{AppSettings, Configured};
use crate::lasting::Lasting;
use crate::schema::{Entry, Fault, Faults, Item, Key, Reader, Table, Value};

/// The apps of a config by their names; `None` for those that are not right.
pub(super) type Apps = BTreeMap<String, Option<Arc<Configured>>>;

/// The table in which all of them stand.
pub(super) const APP: &str = SECTION.name;

/// Reads every app. `after` is `sleep.after`.
pub(super) fn read(
    document: &Table,
    after: Option<Duration>,
    lasting: &Lasting,
    faults: &mut Faults,
) -> Apps {
    let Some(Value::Table(apps)) = document.get(APP).map(|entry| &entry.item.value) else {
        return Apps::new();
    };
    one_app_each(&UNIT, &apps.entries, faults);
    one_app_each(&ADDRESS, &apps.entries, faults);
    apps.entries.iter().map(|entry| (entry.name.clone(), app(entry, after, lasting, faults))).collect()
}

/// Of two apps that are the same unit, each would stop the other's; two programs cannot listen at one address.
fn one_app_each(key: &Key, apps: &[Entry], faults: &mut Faults) {
    let mut seen = BTreeMap::new();
    for app in apps {
        let Value::Table(table) = &app.item.value else { continue };
        let Some(Item { value: Value::Text(text), place }) = table.get(key.name).map(|entry| &entry.item)
        else {
            continue;
        };
        if key.name == ADDRESS.name && table.get(RUN.name).is_none() {
            continue; // a unit's own business
        }
        if let Some((name, other)) = seen.insert(text, (&app.name, place)) {
            let fault = Fault::new(place, format!("{text} is the app {name:?} already"));
            faults.add(fault.other(other, "there").help(format!("routes may share it: app = {name:?}")));
        }
    }
}

fn app(
    entry: &Entry,
    after: Option<Duration>,
    lasting: &Lasting,
    faults: &mut Faults,
) -> Option<Arc<Configured>> {
    let Value::Table(table) = &entry.item.value else {
        let known: Vec<_> = SECTION.keys.iter().map(|key| key.name).collect();
        let what = if known.contains(&&entry.name[..]) {
            format!("`{}` belongs to one app, and this is the table of all", entry.name)
        } else {
            format!("an app is a table, and this is {}", entry.item.value.describe())
        };
        faults.add(Fault::new(&entry.place, what).help("begin each app with [app.NAME]"));
        return None;
    };
    if !is_name(&entry.name) {
        let what = format!("{:?} is no name for an app", entry.name);
        faults.add(Fault::new(&entry.place, what).help("letters, digits, - and _, at most 32"));
    }
    let known: Vec<_> = SECTION.keys.iter().map(|key| key.name).collect();
    table.unknown_keys(&known).for_each(|fault| faults.add(fault));
    let settings = AppSettings::read(&entry.name, &mut Reader::new(table, faults), after)?;
    Some(lasting.apps.get(settings, &lasting.folders))
}

/// It stands in the journal, and in the names of files.
fn is_name(name: &str) -> bool {
    let is_of_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !name.is_empty() && name.len() <= 32 && name.chars().all(is_of_names)
}

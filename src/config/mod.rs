//! The config file: read by the declared schema, every error at once, each with its place and a way out.
//!
//! Only this module knows TOML. A bad config never takes the port down: see [`Source::load`].

mod apps;
mod common;
mod diagnostics;
mod document;
mod last_good;
mod limits;
mod lines;
mod read;
mod routes;
mod settings;
mod sleep;
mod source;
mod stamp;
mod timeouts;
mod trust;

pub use diagnostics::{Colour, Diagnostics};
pub use read::Loaded;
pub use source::{DEFAULT_FILE, Outcome, Source};

use crate::handler::VERBS;
use crate::schema::Document;

/// Everything a config file can say, for those who describe it.
pub fn schema() -> Document {
    Document {
        sections: settings::SECTIONS.to_vec(),
        named: vec![&crate::app::keys::SECTION],
        common: routes::common_keys().collect(),
        verbs: VERBS.iter().map(|verb| &verb.schema).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Faults, Key, Reader, Table};

    fn keys() -> Vec<Key> {
        let Document { sections, named, common, verbs } = schema();
        let of_sections = sections.iter().chain(&named).flat_map(|section| section.keys.iter());
        let of_verbs = verbs.iter().flat_map(|verb| verb.keys.iter().chain([&verb.operand]));
        of_sections.chain(common).chain(of_verbs).copied().collect()
    }

    /// Whether a line of the file says something that its key takes.
    fn is_taken(key: &Key, line: &str) -> bool {
        let mut faults = Faults::default();
        let table: Table = document::parse(line, &mut faults);
        Reader::new(&table, &mut faults).check(key);
        faults.is_empty()
    }

    #[test]
    fn every_declared_example_and_default_is_right() {
        for key in keys() {
            assert!(is_taken(&key, &key.line()), "example of {}", key.name);
            if let Some(default) = key.default {
                assert!(
                    is_taken(&key.example(default), &key.example(default).line()),
                    "default of {}",
                    key.name
                );
                assert!(
                    Reader::new(&Table::default(), &mut Faults::default()).check(&key),
                    "default of {}",
                    key.name
                );
            }
            assert!(key.help.ends_with('.'), "help of {}", key.name);
        }
    }

    #[test]
    fn verbs_and_keys_have_names_of_their_own() {
        let verbs: Vec<_> = VERBS.iter().map(|verb| verb.schema.name()).collect();
        let Document { sections: _, named: _, common, verbs: all } = schema();
        let of_routes = || {
            common.iter().copied().chain(all.iter().flat_map(|verb| verb.keys.iter().chain([&verb.operand])))
        };
        for name in &verbs {
            assert_eq!(of_routes().filter(|key| key.name == *name).count(), 1, "{name}");
        }
    }

    #[test]
    fn the_manual_and_the_schema_name_every_key() {
        let (page, json) =
            (crate::schema::man::render(&schema(), "0"), crate::schema::json::render(&schema()));
        let _: serde_json::Value = serde_json::from_str(&json).expect("json");
        for key in keys() {
            assert!(page.contains(key.name), "{}", key.name);
            assert!(json.contains(&format!("\"{}\"", key.name)), "{}", key.name);
        }
    }
}

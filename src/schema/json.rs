//! The JSON schema, with which editors complete and check a config (taplo, VS Code).

use serde_json::{Map, Value, json};

use super::{Document, Key, Kind, Verb};

/// The JSON schema of a config.
pub fn render(document: &Document) -> String {
    let mut tables: Map<_, _> = document
        .sections
        .iter()
        .map(|section| (section.name.to_owned(), table(section.about, section.keys.iter(), &[])))
        .collect();
    for section in &document.named {
        let one = table(section.about, section.keys.iter(), &[]);
        tables.insert(section.name.to_owned(), json!({ "type": "object", "additionalProperties": one }));
    }
    let verbs: Vec<_> = document.verbs.iter().map(|verb| route(&document.common, verb)).collect();
    tables.insert("route".to_owned(), json!({ "type": "array", "items": { "oneOf": verbs } }));
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dormouse.toml",
        "type": "object",
        "properties": tables,
        "additionalProperties": false,
    });
    format!("{schema:#}\n")
}

fn route(common: &[&'static Key], verb: &Verb) -> Value {
    let keys = common.iter().copied().chain([&verb.operand]).chain(verb.keys);
    table(verb.operand.help, keys, &["path", verb.name()])
}

fn table<'k>(about: &str, keys: impl Iterator<Item = &'k Key>, required: &[&str]) -> Value {
    let keys: Map<_, _> = keys.map(|key| (key.name.to_owned(), property(key))).collect();
    json!({
        "type": "object",
        "description": about,
        "properties": keys,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut property = kind(key.kind);
    property["description"] = key.help.into();
    if let Some(default) = key.default {
        property["default"] = written(key.kind, default);
    }
    property
}

/// A default, which is declared without quotes.
fn written(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Boolean | Kind::BooleanOr(_) | Kind::Integer { .. } | Kind::Status { .. } => {
            text.parse().unwrap_or(Value::Null)
        }
        _ => text.into(),
    }
}

/// A number with a unit, and perhaps more of them.
const DURATION: &str = r"^\s*([0-9]+\s*[a-z]+\s*)+$";

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Duration { .. } => json!({ "type": "string", "pattern": DURATION }),
        Kind::DurationOrNever => {
            json!({ "type": "string", "pattern": format!("^\\s*never\\s*$|{DURATION}") })
        }
        Kind::Size => json!({ "type": "string", "pattern": r"^\s*[0-9]+\s*(B|KiB|MiB|GiB)\s*$" }),
        Kind::Integer { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::OneOf(words) => json!({ "enum": words }),
        Kind::BooleanOr(words) => json!({ "anyOf": [{ "type": "boolean" }, { "enum": words }] }),
        Kind::Rate => json!({ "type": "string", "pattern": "^\\s*[0-9]+\\s*/\\s*[0-9]*\\s*[a-z]+\\s*$" }),
        Kind::List => json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
        Kind::Table(keys) => table("", keys.iter(), &[]),
        Kind::Texts => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }] })
        }
        Kind::Map => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Numbers { least, most } => json!({
            "type": "object",
            "additionalProperties": { "type": "integer", "minimum": least, "maximum": most },
        }),
        Kind::Status { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Path => json!({ "type": "string", "pattern": "^/" }),
    }
}

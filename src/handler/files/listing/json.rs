//! A listing for programs.

use serde_json::json;

use super::entries::{Entries, Entry};
use super::stamp::Stamp;

/// `{"entries":[{"name":"a.txt","kind":"file","href":"./a.txt","modified":"...","size":5}],"cut":false}`
pub fn page(entries: &Entries) -> String {
    let list: Vec<_> = entries.list.iter().map(entry).collect();
    format!("{}\n", json!({ "entries": list, "cut": entries.is_cut }))
}

fn entry(entry: &Entry) -> serde_json::Value {
    let mut value = json!({
        "name": entry.name(),
        "kind": if entry.is_directory() { "directory" } else { "file" },
        "href": entry.link(),
        "modified": Stamp(entry.modified_secs).to_string(),
    });
    if let Some(size) = entry.size {
        value["size"] = size.into();
    }
    value
}

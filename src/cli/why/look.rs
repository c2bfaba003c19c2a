//! Looks at one instance: asks it if it runs, else reads what it left behind. The result is one JSON document.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::instance::Instance;
use crate::carry::document::life_to_json;
use crate::carry::{self, Document, FILE, Folder, Unreadable};
use crate::cli::plain::clean;
use crate::control::client::{Asked, ask};
use crate::control::{self, document::history};
use crate::lifecycle::End;

/// Something may be on its way in or out: how often, and how far apart, it is asked again.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// What there is to say of an instance. Its `state` is `awake`, and the rest as the daemon tells; or
///
/// - `asleep`, `stopped` or `killed`: `life` is the last one, `history` those before;
/// - `never`: it has not run since boot;
/// - `silent`: it runs, and does not answer; `reason` says why;
/// - `forbidden`: this user may not ask;
/// - `unknown`: nothing runs, and what it left behind cannot be read; `reason` says why.
pub fn look(instance: &Instance) -> Value {
    let mut document = state(&instance.runtime);
    if let Value::Object(members) = &mut document {
        members.insert("name".to_owned(), instance.name.clone().into());
        members.insert("runtime".to_owned(), instance.runtime.display().to_string().into());
        members.insert("socket_unit".to_owned(), instance.socket_unit.clone().into());
    }
    clean_all(&mut document);
    document
}

fn state(runtime: &Path) -> Value {
    for _ in 0..TRIES {
        match ask(runtime) {
            Asked::Answered(document) => return document,
            Asked::Forbidden => return plain("forbidden", None),
            Asked::Silent(reason) => return plain("silent", Some(reason)),
            Asked::Nobody => {}
        }
        match Folder::is_taken(runtime) {
            Ok(false) => return left_behind(runtime),
            Ok(true) => thread::sleep(PAUSE),
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::NotFound => plain("never", None),
                    io::ErrorKind::PermissionDenied => plain("forbidden", None),
                    _ => plain("unknown", Some(error.to_string())),
                };
            }
        }
    }
    plain("silent", Some(format!("it has no {} in its runtime directory", control::SOCKET)))
}

/// Nothing runs: what the last life wrote.
fn left_behind(runtime: &Path) -> Value {
    match carry::read(runtime) {
        Ok(None) => plain("never", None),
        Ok(Some(document)) => told_by(document),
        Err(Unreadable::Io(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            plain("forbidden", None)
        }
        Err(error) => plain("unknown", Some(format!("{} {error}", runtime.join(FILE).display()))),
    }
}

fn told_by(mut document: Document) -> Value {
    document.settle();
    let Some(last) = document.lives.pop_back() else { return plain("never", None) };
    let state = match last.end {
        End::Asleep => "asleep",
        End::Stopped | End::Overdue | End::Cut => "stopped",
        End::Running | End::Lost => "killed",
    };
    json!({
        "version": control::VERSION,
        "state": state,
        "life": life_to_json(&last),
        "wakes": document.wakes,
        "history": history(document.lives.iter()),
    })
}

fn plain(state: &str, reason: Option<String>) -> Value {
    json!({ "version": control::VERSION, "state": state, "reason": reason })
}

/// Peers, routes and paths came from outside.
fn clean_all(value: &mut Value) {
    match value {
        Value::String(text) => *text = clean(text),
        Value::Array(items) => items.iter_mut().for_each(clean_all),
        Value::Object(members) => members.values_mut().for_each(clean_all),
        _ => {}
    }
}

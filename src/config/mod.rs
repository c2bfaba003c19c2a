//! The config file: read by the declared schema, every error at once, each with its place and a way out.
//!
//! Only this module knows TOML. A bad config never takes the port down: see [`Source::load`].

mod diagnostics;
mod document;
mod last_good;
mod read;
mod routes;
mod settings;
mod sleep;
mod source;
mod stamp;
mod timeouts;

pub use diagnostics::{Colour, Diagnostics};
pub use read::Loaded;
pub use settings::{Settings, Sleep, Timeouts};
pub use source::{DEFAULT_FILE, Outcome, Source};

use crate::schema::{Entry, Fault, Value, nearest};

/// A key or table that is not known among these.
fn unknown(entry: &Entry, known: &[&str]) -> Fault {
    let what = if matches!(entry.item.value, Value::Table(_)) { "table" } else { "key" };
    let fault = Fault::new(&entry.place, format!("unknown {what} {:?}", entry.name));
    match nearest(&entry.name, known.iter().copied()) {
        Some(nearest) => fault.help(format!("did you mean {nearest:?}?")),
        None => fault.help(format!("known here: {}", known.join(", "))),
    }
}

//! What a config may say, as data: each table and each verb declares its keys once, and everything else - parsing,
//! suggestions, `check`, the manual page, the JSON schema - is derived from that.
//!
//! This is the bottom layer: it knows no TOML and no handler. `config/` turns a file into a [`Table`];
//! whoever declared keys reads its own values through a [`Reader`], which collects [`Faults`] instead of stopping at
//! the first.

pub mod duration;
pub mod json;
pub mod man;
pub mod rate;
pub mod size;

mod document;
mod fault;
mod fit;
mod key;
mod kind;
mod reader;
mod suggest;
mod value;
mod verb;

pub use document::Document;
pub use fault::{Fault, Faults};
pub use key::Key;
pub use kind::Kind;
pub use reader::{Placed, Reader};
pub use suggest::nearest;
pub use value::{Entry, Item, Place, Table, Value};
pub use verb::{Counts, Methods, Section, Verb};

//! All that a file can say, put together for those who describe it.

use super::{Key, Section, Verb};

/// Everything declared: what the manual page and the JSON schema are made of.
#[derive(Clone, Debug)]
pub struct Document {
    /// The tables of settings.
    pub sections: Vec<&'static Section>,
    /// Tables of which there may be several, each with a name (`[app.wiki]`).
    pub named: Vec<&'static Section>,
    /// The keys that every `[[route]]` may have; `path`, the first, it must have.
    pub common: Vec<&'static Key>,
    /// The verbs.
    pub verbs: Vec<&'static Verb>,
}

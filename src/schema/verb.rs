//! What a table and a verb declare about themselves.

use super::{Key, Kind};

/// A table of the file (`[sleep]`): its keys, and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// As written between the brackets.
    pub name: &'static str,
    /// A sentence or two for the manual.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// A verb of `[[route]]`: the key that names it, the keys it adds beside it, and how its routes behave by default.
#[derive(Clone, Copy, Debug)]
pub struct Verb {
    /// The verb's own key: its name is the verb, its value the operand (`files = "/srv/www"`).
    pub operand: Key,
    /// The keys it adds to its route.
    pub keys: &'static [Key],
    /// The methods its routes take unless `methods` says otherwise.
    pub methods: Methods,
    /// Whether everything below its path belongs to it too, and what its routes take there and at the path itself
    /// beside their own methods.
    pub below: Option<&'static [&'static str]>,
    /// The largest body of a request unless `limits.body` says otherwise, in bytes; `None`: as it comes, or as the verb reads
    /// it.
    pub largest_body: Option<u64>,
    /// Which of the waits for others in a route's `timeouts` mean something to it.
    pub waits: &'static [&'static str],
    /// Whether requests on its routes restart the sleep clock.
    pub counts: Counts,
    /// A few sentences for the manual, below the operand's one line.
    pub about: &'static str,
}

impl Verb {
    /// Where a verb's declaration starts from: `Verb { operand: ..., ..Verb::DEFAULT }`.
    pub const DEFAULT: Self = Self {
        operand: Key::new("", Kind::Text, ""),
        keys: &[],
        methods: Methods::Any,
        below: None,
        largest_body: None,
        waits: &[],
        counts: Counts::Yes,
        about: "",
    };

    /// The verb's name.
    pub const fn name(&self) -> &'static str {
        self.operand.name
    }
}

/// The methods a verb takes by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// All of them.
    Any,
    /// These; `GET` brings `HEAD` with it.
    Only(&'static [&'static str]),
}

/// Whether the requests of a verb count as use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// They keep dormouse awake, unless the route has `keeps_awake = false`.
    Yes,
    /// The same, and its answers may be streams, whose bytes alone may count (`"while-active"`).
    YesAndStreams,
    /// They never do: probes and scrapers ask here.
    Never,
}

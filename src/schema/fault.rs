//! What is wrong with a file, in words for its author.

use super::{Entry, Place, Value, nearest};

/// One thing wrong: where, what, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where to look first.
    pub place: Place,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
    /// Other places that have to do with it, with a note on each.
    pub others: Vec<(Place, String)>,
    /// Whether something is missing - which may only look so in a file that cannot be read to its end.
    pub is_absence: bool,
    /// Whether what stands there must not be shown: it may be a secret.
    pub is_concealed: bool,
}

impl Fault {
    /// Something wrong at a place.
    pub fn new(place: &Place, message: impl Into<String>) -> Self {
        Self {
            place: place.clone(),
            message: message.into(),
            help: None,
            others: Vec::new(),
            is_absence: false,
            is_concealed: false,
        }
    }

    /// Something that should stand at a place and does not.
    pub fn absence(place: &Place, message: impl Into<String>) -> Self {
        Self { is_absence: true, ..Self::new(place, message) }
    }

    /// A key or table that is not known among these.
    pub fn unknown(entry: &Entry, known: &[&str]) -> Self {
        let what = if matches!(entry.item.value, Value::Table(_)) { "table" } else { "key" };
        let fault = Self::new(&entry.place, format!("unknown {what} {:?}", entry.name));
        match nearest(&entry.name, known.iter().copied()) {
            Some(nearest) => fault.help(format!("did you mean {nearest:?}?")),
            None => {
                // Several verbs may have the same.
                let is_first = |(at, name): &(usize, &&str)| !known[..*at].contains(*name);
                let names: Vec<_> =
                    known.iter().enumerate().filter(is_first).map(|(_, name)| *name).collect();
                fault.help(format!("known here: {}", names.join(", ")))
            }
        }
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whoever shows the place covers what stands there.
    #[must_use]
    pub fn conceal(mut self) -> Self {
        self.is_concealed = true;
        self
    }

    /// Marks a second place.
    #[must_use]
    pub fn other(mut self, place: &Place, note: impl Into<String>) -> Self {
        self.others.push((place.clone(), note.into()));
        self
    }
}

/// Everything found wrong so far.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Notes one more.
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets those that are not wanted.
    pub fn retain(&mut self, wanted: impl FnMut(&Fault) -> bool) {
        self.0.retain(wanted);
    }

    /// Adds all of `others`.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Those found so far, in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// All of them, in the order of the file.
    pub fn into_sorted(mut self) -> Vec<Fault> {
        self.0.sort_by(|a, b| (&a.place, &a.message).cmp(&(&b.place, &b.message)));
        self.0
    }
}

//! How often the service was woken: whoever counts is asked when somebody wants to know, not at each wake.

use std::fmt;
use std::sync::OnceLock;

type Count = Box<dyn Fn() -> u64 + Send + Sync>;

/// Asks whoever counts.
#[derive(Default)]
pub struct Wakes(OnceLock<Count>);

impl Wakes {
    /// Who is to be asked; the first one stays.
    pub fn counted_by(&self, count: impl Fn() -> u64 + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(count));
    }

    /// Wakes since boot, this one included; 1 when nobody counts.
    pub fn count(&self) -> u64 {
        self.0.get().map_or(1, |count| count())
    }
}

impl fmt::Debug for Wakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wakes")
    }
}

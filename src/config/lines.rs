//! Where in a file's text something stands, as people count.

use crate::schema::Place;

/// A text's lines, found once.
pub(super) struct Lines<'t> {
    text: &'t str,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub fn new(text: &'t str) -> Self {
        let after_newlines = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// The line a place begins on, counted from one.
    pub fn line(&self, place: &Place) -> usize {
        self.starts.partition_point(|start| *start <= place.bytes().start)
    }

    /// Both counted from one, the column in characters.
    pub fn line_and_column(&self, place: &Place) -> (usize, usize) {
        let line = self.line(place);
        let before = self.text.get(self.starts[line - 1]..floor(self.text, place.bytes().start));
        (line, before.unwrap_or_default().chars().count() + 1)
    }
}

/// The nearest place in a text, at `at` or before, where a character begins.
pub(super) fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_and_columns_are_counted_from_one() {
        let lines = Lines::new("a\nöb\n");
        let at = |start| lines.line_and_column(&Place::new(start..start));
        assert_eq!(
            [at(0), at(1), at(2), at(4), at(5), at(6)],
            [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1)]
        );
        assert_eq!(at(3), (2, 1)); // within ö
        assert_eq!(Lines::new("").line_and_column(&Place::default()), (1, 1));
    }

    proptest! {
        #[test]
        fn no_place_panics(text in "(\\PC|\n){0,20}", start in 0_usize..60) {
            Lines::new(&text).line_and_column(&Place::new(start..start));
        }
    }
}

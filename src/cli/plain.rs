//! How things are put for people: lengths of time, columns, text from outside.

use std::time::Duration;

/// `3.1 ms`, `640 ms`, `32.0 s`, `12 min 3 s`, `2 h 5 min`, `3 d 2 h`.
pub fn span(duration: Duration) -> String {
    let secs = duration.as_secs();
    match secs {
        0 if duration.as_millis() < 100 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", secs / 60, secs % 60),
        3600..86_400 => format!("{} h {} min", secs / 3600, secs / 60 % 60),
        _ => format!("{} d {} h", secs / 86_400, secs / 3600 % 24),
    }
}

/// Columns as wide as needed, two spaces between them, `indent` before each line.
pub fn columns<const N: usize>(indent: &str, rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{indent}{}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// At most so many characters, the last three of them dots when there were more.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 3).collect::<String>() + "..."
}

/// Text from outside, for a terminal: nothing in it moves the cursor, changes colours or the direction of reading.
pub fn clean(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if is_harmful(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_whatever_their_length() {
        let spans = [3, 640, 1_000, 59_000, 60_000, 3_599_000, 7_500_000, 90_000_000];
        let spans = spans.map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(
            spans,
            ["3.0 ms", "640 ms", "1.0 s", "59.0 s", "1 min 0 s", "59 min 59 s", "2 h 5 min", "1 d 1 h"]
        );
    }

    #[test]
    fn columns_line_up_and_have_no_trailing_spaces() {
        let rows = [["A", "B"], ["long", ""], ["é", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(" ", &rows), " A     B\n long\n é     x\n");
    }

    #[test]
    fn text_from_outside_is_only_text() {
        assert_eq!(clean("a\x1b[2Jb\n\u{9b}c\u{202e}d é"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d é");
        assert_eq!(shortened("abcdefgh", 6), "abc...");
        assert_eq!(shortened("abcdef", 6), "abcdef");
    }
}

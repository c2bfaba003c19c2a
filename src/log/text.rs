//! Log lines as text.

use std::fmt::{self, Write};

use tracing::Level;

use super::record::{MESSAGE, Record};
use crate::lifecycle::time_of_day::time_of_day;

/// Names an entry of the journal's catalog. The text of such a record tells the whole story.
const MESSAGE_ID: &str = "message_id";

/// How lines for people look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Style {
    Plain,
    Colour,
}

const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// Appends a line (or lines) with `<N>` priorities, as the journal and the kernel read them from a stream.
pub fn prefixed(line: &mut String, record: &Record) {
    let prefix = format!("<{}>", priority(record.metadata.level()));
    line.push_str(&prefix);
    push_clean(line, record.message(), &prefix);
    push_fields(line, record);
    line.push('\n');
}

/// Appends `14:02:57  text  key=value`.
pub fn for_people(line: &mut String, record: &Record, style: Style) {
    let paint = |line: &mut String, code| {
        if style == Style::Colour {
            line.push_str(code);
        }
    };
    put(line, format_args!("{}  ", time_of_day(record.time)));
    if let Some((name, colour)) = label(record.metadata.level()) {
        paint(line, colour);
        put(line, format_args!("{name}: "));
        paint(line, RESET);
    }
    push_clean(line, record.message(), "          ");
    paint(line, DIM);
    push_fields(line, record);
    paint(line, RESET);
    line.push('\n');
}

/// As `tracing-journald` maps them, too: see `journal.rs`.
fn priority(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Informational lines, nearly all, need no label.
fn label(level: &Level) -> Option<(&'static str, &'static str)> {
    match *level {
        Level::ERROR => Some(("error", RED)),
        Level::WARN => Some(("warning", YELLOW)),
        Level::INFO => None,
        Level::DEBUG => Some(("debug", DIM)),
        Level::TRACE => Some(("trace", DIM)),
    }
}

/// Appends the message. Lines after the first begin with `indent`; other control characters, which may come from a
/// client and could play tricks on a terminal, are escaped.
fn push_clean(line: &mut String, message: &str, indent: &str) {
    for (number, part) in message.trim_end().split('\n').enumerate() {
        if number > 0 {
            line.push('\n');
            line.push_str(indent);
        }
        push_escaped(line, part, |c| c.is_control());
    }
}

fn push_fields(line: &mut String, record: &Record) {
    if record.value(MESSAGE_ID).is_some() {
        return;
    }
    let fields = record.fields().filter(|(name, _)| *name != MESSAGE);
    for (number, (name, value)) in fields.enumerate() {
        put(line, format_args!("{}{name}=", if number == 0 { "  " } else { " " }));
        let value = value.to_string();
        if value.is_empty() || value.contains([' ', '"', '=']) {
            line.push('"');
            push_escaped(line, &value, |c| c.is_control() || c == '"' || c == '\\');
            line.push('"');
        } else {
            push_escaped(line, &value, char::is_control);
        }
    }
}

fn push_escaped(line: &mut String, text: &str, is_special: impl Fn(char) -> bool) {
    for c in text.chars() {
        if is_special(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

fn put(line: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = line.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::records_of;
    use super::*;

    fn line_for_people(style: Style, log: impl FnOnce()) -> String {
        let mut line = String::new();
        let record = records_of(log).remove(0);
        for_people(&mut line, &record, style);
        let time = time_of_day(record.time).to_string();
        line.strip_prefix(&time).expect("it begins with the time").to_owned()
    }

    fn line_prefixed(log: impl FnOnce()) -> String {
        let mut line = String::new();
        prefixed(&mut line, &records_of(log).remove(0));
        line
    }

    #[test]
    fn people_read_time_text_and_fields() {
        let line = line_for_people(Style::Plain, || {
            tracing::info!(peer = %"[::1]:80", ready_ms = 3.1, "awake in {} ms", 3.1);
        });
        assert_eq!(line, "  awake in 3.1 ms  peer=[::1]:80 ready_ms=3.1\n");
    }

    #[test]
    fn a_catalogued_line_says_it_all_in_its_text() {
        let log = || tracing::info!(message_id = "3d2d", ready_ms = 3.1, "awake in 3.1 ms");
        assert_eq!(line_for_people(Style::Plain, log), "  awake in 3.1 ms\n");
    }

    #[test]
    fn trouble_has_a_label_and_on_a_terminal_a_colour() {
        assert_eq!(line_for_people(Style::Plain, || tracing::warn!("low")), "  warning: low\n");
        assert_eq!(
            line_for_people(Style::Colour, || tracing::error!(n = 1, "bad")),
            "  \x1b[31merror: \x1b[0mbad\x1b[2m  n=1\x1b[0m\n"
        );
    }

    #[test]
    fn bytes_of_a_client_cannot_forge_a_line_or_reach_the_terminal() {
        let line = line_for_people(Style::Plain, || {
            tracing::info!(path = "/\x1b[2J\n12:00:00  error: gotcha", "not\x07 found\r");
        });
        assert_eq!(line, "  not\\u{7} found  path=\"/\\u{1b}[2J\\n12:00:00  error: gotcha\"\n");
    }

    #[test]
    fn every_line_of_a_long_text_keeps_its_priority() {
        let line = line_prefixed(|| tracing::error!(file = "a b", "two\n  lines\n"));
        assert_eq!(line, "<3>two\n<3>  lines  file=\"a b\"\n");
        assert_eq!(line_prefixed(|| tracing::warn!("x")), "<4>x\n");
        assert_eq!(line_prefixed(|| tracing::info!("x")), "<6>x\n");
        assert_eq!(line_prefixed(|| tracing::debug!("x")), "<7>x\n");
    }
}

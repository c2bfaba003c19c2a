//! What is wrong with a config file, for people: on a terminal, and in one line each for the journal.

use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::lines::{Lines, floor};
use crate::schema::{Fault, Place};

/// More than this nobody reads. A log file that was taken for a config has thousands.
const MOST: usize = 50;

/// Everything wrong with one file, in its order. Never empty.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    file: PathBuf,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The file cannot be read at all; in one line.
    Unreadable(String),
    /// It can, and these are wrong.
    Faulty { text: String, faults: Vec<Fault>, more: usize },
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// For terminals.
    Yes,
    /// For everything else.
    No,
}

impl Diagnostics {
    /// A file that cannot be read, and why.
    pub(super) fn unreadable(file: &Path, why: String) -> Self {
        Self { file: file.to_owned(), kind: Kind::Unreadable(why) }
    }

    /// What is wrong with a file's text; `faults` is sorted and not empty.
    pub(super) fn faulty(file: &Path, text: String, mut faults: Vec<Fault>) -> Self {
        let text = faults.iter().filter(|fault| fault.is_concealed).fold(text, conceal);
        let more = faults.len().saturating_sub(MOST);
        faults.truncate(MOST);
        Self { file: file.to_owned(), kind: Kind::Faulty { text, faults, more } }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        match &self.kind {
            Kind::Unreadable(_) => 1,
            Kind::Faulty { faults, more, .. } => faults.len() + more,
        }
    }

    /// One line each, the first 50: `/etc/dormouse/dormouse.toml:12:5: unknown key "aftr"; did you mean "after"?`
    pub fn lines(&self) -> Vec<String> {
        let file = self.file.display();
        let lines = match &self.kind {
            Kind::Unreadable(why) => vec![format!("{file}: {why}")],
            Kind::Faulty { text, faults, .. } => {
                let lines = Lines::new(text);
                let line = |fault: &Fault| {
                    let (line, column) = lines.line_and_column(&fault.place);
                    let help = fault.help.iter().map(|help| format!(", {help}")).collect::<String>();
                    format!("{file}:{line}:{column}: {}{help}", fault.message)
                };
                faults.iter().map(line).collect()
            }
        };
        lines.iter().map(|line| printable(line)).collect()
    }

    /// The first of [`lines`](Self::lines), with the number of the others: for STATUS.
    pub fn summary(&self) -> String {
        let first = self.lines().into_iter().next().unwrap_or_default();
        match self.count() {
            0 | 1 => first,
            count => format!("{first} (and {} more)", count - 1),
        }
    }

    /// For a terminal: each with its line of the file and the way out.
    pub fn render(&self, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Yes => Renderer::styled(),
            Colour::No => Renderer::plain(),
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let file = printable(&self.file.display().to_string());
        match &self.kind {
            Kind::Unreadable(why) => {
                let title = format!("{file}: {}", printable(why));
                renderer.render(&[Group::with_title(Level::ERROR.primary_title(title))]) + "\n"
            }
            Kind::Faulty { text, faults, more } => {
                let mut out = String::new();
                for fault in faults {
                    out.push_str(&renderer.render(&[group(&file, text, fault)]));
                    out.push_str("\n\n");
                }
                if *more > 0 {
                    out.push_str(&format!("... and {more} more\n"));
                }
                out
            }
        }
    }
}

fn group<'f>(file: &'f str, text: &'f str, fault: &'f Fault) -> Group<'f> {
    let primary = AnnotationKind::Primary.span(span(text, &fault.place));
    let others = fault
        .others
        .iter()
        .map(|(place, note)| AnnotationKind::Context.span(span(text, place)).label(&note[..]));
    let snippet = Snippet::source(text).path(file).annotation(primary).annotations(others);
    let group = Level::ERROR.primary_title(printable(&fault.message)).element(snippet);
    match &fault.help {
        Some(help) => group.element(Level::HELP.message(printable(help))),
        None => group,
    }
}

/// A place's bytes, moved to where characters begin: at least one, at most to the end of its first line.
fn span(text: &str, place: &Place) -> Range<usize> {
    let Range { start, end } = place.bytes();
    let start = floor(text, start);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let end = floor(text, end).clamp(start, line_end);
    let one = text[start..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
    start..end.max(start + one)
}

/// The text with a fault's place covered, for that and for every other fault on its line; no byte moves.
fn conceal(text: String, fault: &Fault) -> String {
    let Range { start, end } = fault.place.bytes();
    let (start, end) = (floor(&text, start), floor(&text, end));
    let cover = |c: char| if c == '\n' { "\n".to_owned() } else { "*".repeat(c.len_utf8()) };
    let covered: String = text[start..end.max(start)].chars().map(cover).collect();
    format!("{}{covered}{}", &text[..start], &text[end.max(start)..])
}

/// One line without control characters, whatever a file is called or says.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some(text: &str, faults: Vec<Fault>) -> Diagnostics {
        Diagnostics::faulty(Path::new("/etc/dormouse/dormouse.toml"), text.to_owned(), faults)
    }

    #[test]
    fn one_line_names_file_line_column_and_the_way_out() {
        let fault = Fault::new(&Place::new(12..16), "unknown key \"aftr\"").help("did you mean \"after\"?");
        let diagnostics = some("# ä\n[sleep]\naftr = 1\n", vec![fault.clone(), fault]);
        let line = "/etc/dormouse/dormouse.toml:2:8: unknown key \"aftr\", did you mean \"after\"?";
        assert_eq!(diagnostics.lines(), [line, line]);
        assert_eq!(diagnostics.summary(), format!("{line} (and 1 more)"));
    }

    #[test]
    fn on_a_terminal_the_line_is_shown() {
        let text = "[sleep]\naftr = \"30s\"\n";
        let fault = Fault::new(&Place::new(8..12), "unknown key `aftr`").help("did you mean `after`?");
        let shown = some(text, vec![fault]).render(Colour::No);
        for part in [
            "error: unknown key `aftr`",
            "/etc/dormouse/dormouse.toml:2:1",
            "aftr = \"30s\"",
            "^^^^",
            "help: did you",
        ] {
            assert!(shown.contains(part), "{part}:\n{shown}");
        }
        assert!(!shown.contains('\u{1b}'));
    }

    #[test]
    fn what_may_be_a_secret_is_covered() {
        let text = "a = 1\nverify = { preset = \"x\", secret = \"hünter2\" }\n";
        let at = text.find("\"hünter2\"").unwrap();
        let secret = Fault::new(&Place::new(at..at + 10), "a secret is not written here").conceal();
        let other = Fault::new(&Place::new(text.find("\"x\"").unwrap()..at), "no such preset");
        for shown in [vec![other.clone(), secret.clone()], vec![secret, other]] {
            let shown = some(text, shown).render(Colour::No);
            assert!(shown.contains("secret = **********"), "{shown}");
            assert!(!shown.contains("nter"), "{shown}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_has_no_line() {
        let gone = Diagnostics::unreadable(Path::new("/x"), "no such file".into());
        assert_eq!(gone.summary(), "/x: no such file");
        assert_eq!(gone.render(Colour::No), "error: /x: no such file\n");
    }

    proptest! {
        #[test]
        fn no_place_and_no_text_panics(
            text in "\\PC{0,20}\n?\\PC{0,20}|[\\x00-\\x7f]{0,20}",
            places in prop::collection::vec((0_usize..60, 0_usize..60), 1..4),
        ) {
            let faults = places.into_iter().map(|(start, end)| {
                let place = Place::new(start..end);
                let fault = Fault::new(&place, text.clone()).help(text.clone()).other(&place, "other");
                if start % 2 == 0 { fault } else { fault.conceal() }
            });
            let diagnostics = some(&text, faults.collect());
            for colour in [Colour::Yes, Colour::No] {
                diagnostics.render(colour);
            }
            for line in diagnostics.lines() {
                prop_assert!(!line.contains(char::is_control));
            }
        }
    }
}

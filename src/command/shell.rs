//! Arguments that a shell would read as code.

use crate::handler::placeholder::{CommandSource, Part, Template};

const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish"];

/// The placeholder in a shell's code (`sh -c "deploy {json.ref}"`) that has no pattern: a client that chooses its value
/// chooses what runs. And in which argument that is.
pub(super) fn open_code(
    line: &[Template<CommandSource>],
    has_pattern: impl Fn(&CommandSource) -> bool,
) -> Option<(usize, &CommandSource)> {
    let name = literal(line.first()?)?.rsplit('/').next().unwrap_or_default();
    if !SHELLS.contains(&name) {
        return None;
    }
    let mut reads_code = false;
    let mut words = line.iter().enumerate().skip(1);
    while let Some((at, word)) = words.next() {
        let option = match word.parts.first() {
            Some(Part::Literal(text)) if text.starts_with(['-', '+']) => text,
            // The first word that is no option is the code, or a script.
            _ if reads_code => return open(word, has_pattern).map(|source| (at, source)),
            _ => return None,
        };
        reads_code |= option.contains('c') && !option.starts_with("--");
        if option.ends_with('o') {
            words.next(); // as in `-euo pipefail`
        }
    }
    None
}

fn open(
    code: &Template<CommandSource>,
    has_pattern: impl Fn(&CommandSource) -> bool,
) -> Option<&CommandSource> {
    code.parts.iter().find_map(|part| match part {
        Part::Value(source) if !has_pattern(source) => Some(source),
        _ => None,
    })
}

/// The text of an argument without placeholders.
pub(super) fn literal(argument: &Template<CommandSource>) -> Option<&str> {
    match &argument.parts[..] {
        [Part::Literal(text)] => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(line: &[&str]) -> Option<usize> {
        let line: Vec<_> = line.iter().map(|text| Template::parse(text, &[]).expect(text)).collect();
        open_code(&line, |source| *source == CommandSource::Client).map(|(at, _)| at)
    }

    #[test]
    fn a_client_writes_no_code() {
        assert_eq!(open(&["sh", "-c", "deploy {json.ref}"]), Some(2));
        assert_eq!(open(&["/bin/bash", "-e", "-uc", "deploy {json.ref}"]), Some(3));
        assert_eq!(open(&["bash", "-euo", "pipefail", "-c", "{json.ref}"]), Some(4));
        assert_eq!(open(&["bash", "--norc", "-c", "-e", "{json.ref}"]), Some(4));
        for fine in [
            &["sh", "-c", "deploy \"$1\"", "sh", "{json.ref}"][..],
            &["sh", "-c", "deploy {client}"],
            &["/srv/deploy.sh", "-c", "{json.ref}"],
            &["sh", "/srv/deploy.sh", "{json.ref}"],
            &["sh", "/srv/deploy.sh", "-c", "{json.ref}"],
            &["sh", "--c", "{json.ref}"],
            &["sh", "-c"],
            &["sh"],
            &[],
        ] {
            assert_eq!(open(fine), None, "{fine:?}");
        }
    }
}

//! How far a job says it has come: a line `progress 40/100 resizing` on its stdout.

use crate::store::Progress;

/// The longest text that is kept, in bytes.
const LONGEST: usize = 256;

/// What a line says; `None` if it is any other line.
pub fn parse(line: &[u8]) -> Option<Progress> {
    let line = std::str::from_utf8(line.strip_prefix(b"progress ")?).ok()?;
    let (count, text) = line.trim_start().split_once(' ').unwrap_or((line.trim(), ""));
    let (done, total) = match count.split_once('/') {
        Some((done, total)) => (number(done)?, number(total)?),
        None => (number(count.strip_suffix('%')?)?, 100),
    };
    if total == 0 || done > total {
        return None;
    }
    let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    let end = (0..=text.len().min(LONGEST)).rev().find(|end| text.is_char_boundary(*end));
    Some(Progress { done, total, text: text[..end.unwrap_or(0)].to_owned() })
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_such_a_line_counts() {
        let progress = |done, total, text: &str| Some(Progress { done, total, text: text.into() });
        assert_eq!(parse(b"progress 40/100 resizing a.png"), progress(40, 100, "resizing a.png"));
        assert_eq!(parse(b"progress 0/1"), progress(0, 1, ""));
        assert_eq!(parse(b"progress 7% almost"), progress(7, 100, "almost"));
        for line in [
            "progress",
            "progress ",
            "progress made",
            "progress 2/1",
            "progress 0/0",
            "progress -1/2",
            "progress 1/+2",
            "Progress 1/2",
            " progress 1/2",
            "progress 101%",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics_or_keeps_much(line: Vec<u8>, text in "\\PC{0,400}") {
            let _ = parse(&line);
            let progress = parse(format!("progress 1/2 {text}").as_bytes()).expect("progress");
            prop_assert!(progress.text.len() <= LONGEST);
        }
    }
}

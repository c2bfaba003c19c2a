//! What the raw bytes after a route's path ask for. Pure: nothing here touches the disk, and nothing is ever cleaned -
//! a path that is not plainly below the root names nothing.

use std::borrow::Cow;

/// A place below the root, percent-decoded, safe to give to the kernel.
#[derive(Debug, PartialEq, Eq)]
pub struct Place<'r> {
    /// Relative path without slashes at its ends; empty for the root itself.
    pub path: Cow<'r, [u8]>,
    /// Asked for as a directory: nothing, or a slash, ends it.
    pub is_directory: bool,
}

impl<'r> Place<'r> {
    /// Reads what follows a route's path, as sent. `None` names nothing that may be served: `.` and `..`, hidden names
    /// (but for `.well-known` at the front, RFC 8615), empty segments, encoded slashes, NUL, broken escapes.
    pub fn from_rest(rest: &'r str) -> Option<Self> {
        if rest.is_empty() {
            return Some(Self { path: Cow::Borrowed(b""), is_directory: true });
        }
        let (raw, is_directory) = rest.strip_suffix('/').map_or((rest, false), |path| (path, true));
        let path = decode(raw)?;
        let segments = || path.split(|&byte| byte == b'/');
        // An escape may decode to a slash: then there are more segments than were sent.
        let is_plain = segments().count() == raw.split('/').count()
            && segments().enumerate().all(|(at, segment)| is_servable(segment, at == 0));
        is_plain.then_some(Self { path, is_directory })
    }

    /// The path of a file in this directory.
    pub fn join(&self, name: &[u8]) -> Vec<u8> {
        let slash: &[u8] = if self.path.is_empty() { b"" } else { b"/" };
        [&self.path, slash, name].concat()
    }
}

/// Whether a name may be asked for, or shown in a listing.
pub fn is_servable(segment: &[u8], is_first: bool) -> bool {
    let is_hidden = segment.first() == Some(&b'.') && !(is_first && segment == b".well-known");
    !segment.is_empty() && !is_hidden && !segment.contains(&0)
}

/// Percent-decoding that takes no half escapes (`percent_encoding` leaves them as they are).
fn decode(raw: &str) -> Option<Cow<'_, [u8]>> {
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw.as_bytes()));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    loop {
        rest = match rest {
            [] => return Some(Cow::Owned(decoded)),
            [b'%', high, low, tail @ ..] => {
                decoded.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
                tail
            }
            [b'%', ..] => return None,
            [byte, tail @ ..] => {
                decoded.push(*byte);
                tail
            }
        };
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(path: &[u8], is_directory: bool) -> Option<Place<'_>> {
        Some(Place { path: Cow::Borrowed(path), is_directory })
    }

    #[test]
    fn plain_paths_name_places() {
        assert_eq!(Place::from_rest(""), place(b"", true));
        assert_eq!(Place::from_rest("a"), place(b"a", false));
        assert_eq!(Place::from_rest("a/b/"), place(b"a/b", true));
        assert_eq!(Place::from_rest("a%20b/%C3%a9%25"), place("a b/é%".as_bytes(), false));
        assert_eq!(Place::from_rest("%ff"), place(b"\xff", false));
        assert_eq!(Place::from_rest("a..b/c."), place(b"a..b/c.", false));
        assert_eq!(Place::from_rest(".well-known/x"), place(b".well-known/x", false));
    }

    #[test]
    fn tricks_name_nothing() {
        for rest in [
            "/",
            "//",
            "a//",
            "a//b",
            "/a",
            ".",
            "..",
            "../a",
            "a/..",
            "a/../b",
            "a/./b",
            "%2e%2e/a",
            "%2E./a",
            "a/%2e",
            ".a",
            "a/.b",
            "a/.well-known",
            ".well-known/.a",
            "a%2Fb",
            "%2f",
            "a%2f..%2fb",
            "a%00b",
            "%",
            "a%",
            "a%2",
            "a%zz",
            "%+1",
            "a%2/",
        ] {
            assert_eq!(Place::from_rest(rest), None, "{rest}");
        }
    }

    proptest! {
        #[test]
        fn no_place_leaves_the_root(rest in "(\\PC|[%./0-9a-fA-F]){0,40}") {
            if let Some(place) = Place::from_rest(&rest) {
                prop_assert!(!place.path.starts_with(b"/") && !place.path.ends_with(b"/"));
                prop_assert!(!place.path.contains(&0));
                if !place.path.is_empty() {
                    for segment in place.path.split(|&byte| byte == b'/') {
                        prop_assert!(!segment.is_empty() && segment != b"." && segment != b"..");
                    }
                }
            }
        }

        #[test]
        fn encoding_is_undone(name in "[^./\\x00][^/\\x00]{0,20}") {
            let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(Place::from_rest(&encoded), place(name.as_bytes(), false));
        }
    }
}

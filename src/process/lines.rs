//! Cutting what a program prints into lines.

/// A longer line is cut into pieces of at most this.
pub const LONGEST: usize = 8 * 1024;

/// The bytes between reading and logging: never more than one line.
pub struct Lines {
    buffer: Box<[u8; LONGEST]>,
    /// Where what has not been taken begins, and ends.
    start: usize,
    end: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self { buffer: Box::new([0; LONGEST]), start: 0, end: 0 }
    }
}

impl Lines {
    /// Where the next bytes go; never empty once [`take`](Self::take) has returned `None`.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        &mut self.buffer[self.end..]
    }

    /// So many bytes of it came.
    pub fn filled(&mut self, count: usize) {
        self.end = LONGEST.min(self.end + count);
    }

    /// The next whole line, without its end; or a piece, if a line fills everything.
    pub fn take(&mut self) -> Option<&[u8]> {
        let bytes = &self.buffer[self.start..self.end];
        match memchr::memchr(b'\n', bytes) {
            Some(len) => Some(self.pass(len, 1)),
            None if bytes.len() == LONGEST => Some(self.pass(whole_characters(bytes), 0)),
            None => None,
        }
    }

    /// As `take`, and then what is left without an end, for nothing more will come.
    pub fn take_rest(&mut self) -> Option<&[u8]> {
        let bytes = &self.buffer[self.start..self.end];
        match memchr::memchr(b'\n', bytes) {
            Some(len) => Some(self.pass(len, 1)),
            None if bytes.is_empty() => None,
            None => Some(self.pass(bytes.len(), 0)),
        }
    }

    /// Goes on after so many bytes and an end of so many, and returns the former; a carriage return is of the end.
    fn pass(&mut self, len: usize, end: usize) -> &[u8] {
        let line = &self.buffer[self.start..self.start + len];
        self.start += len + end;
        if end > 0 { line.strip_suffix(b"\r").unwrap_or(line) } else { line }
    }
}

/// How many of these bytes come before a character that is cut off at their end; all, if none is.
fn whole_characters(bytes: &[u8]) -> usize {
    let rest = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    let is_cut = std::str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
    if is_cut { bytes.len() - rest.len() } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All lines of `bytes`, which come in pieces of these lengths, over and over.
    fn lines_of(mut bytes: &[u8], pieces: &[usize]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        let mut pieces = pieces.iter().cycle();
        while !bytes.is_empty() {
            let space = lines.space();
            let count = bytes.len().min(space.len()).min(*pieces.next().expect("it goes round"));
            space[..count].copy_from_slice(&bytes[..count]);
            lines.filled(count);
            bytes = &bytes[count..];
            while let Some(line) = lines.take() {
                all.push(line.to_vec());
            }
        }
        while let Some(line) = lines.take_rest() {
            all.push(line.to_vec());
        }
        all
    }

    #[test]
    fn lines_have_no_ends() {
        assert_eq!(lines_of(b"a\n\nb\r\nc", &[100]), [&b"a"[..], b"", b"b", b"c"]);
        assert_eq!(lines_of(b"a\n", &[1]), [b"a"]);
        assert_eq!(lines_of(&[b'\r'; LONGEST + 1], &[LONGEST]).concat(), [b'\r'; LONGEST + 1]);
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let line = "x".repeat(LONGEST - 1) + "é" + &"y".repeat(LONGEST);
        let lines = lines_of(line.as_bytes(), &[3000]);
        assert_eq!(lines.concat(), line.as_bytes());
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [LONGEST - 1, LONGEST, 2]);
        // No characters at all, and what only looks like the beginning of one.
        assert_eq!(lines_of(&[0xff; LONGEST], &[LONGEST]), [vec![0xff; LONGEST]]);
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(
            parts in proptest::collection::vec((0..20_000_usize, any::<u8>()), 0..8),
            pieces in proptest::collection::vec(1..LONGEST * 2, 1..5),
        ) {
            let bytes: Vec<u8> = parts.iter().flat_map(|(len, byte)| [vec![*byte; *len], vec![b'\n']].concat()).collect();
            let lines = lines_of(&bytes, &pieces);
            prop_assert_eq!(&lines, &lines_of(&bytes, &[LONGEST]));
            prop_assert!(lines.iter().all(|line| line.len() <= LONGEST && !line.contains(&b'\n')));
        }
    }
}

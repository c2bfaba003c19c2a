//! The end of an HTTP/1 request head, and what its body will be (RFC 9112 sections 2 to 6).

use memchr::memchr3;

use super::Refusal;

/// Longest head, in bytes, request line included.
pub const MAX_HEAD: usize = 64 * 1024;
/// Longest request line, in bytes.
pub const MAX_REQUEST_LINE: usize = 16 * 1024;
/// Most header lines; hyper's own limit.
pub const MAX_LINES: usize = 100;

/// Most empty lines before a request. One or two come from clients of old; more are no accident.
pub const MAX_EMPTY_LINES: u8 = 16;

/// What follows the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Nothing, or this many bytes.
    Length(u64),
    /// Chunks (RFC 9112 section 7.1).
    Chunked,
}

/// Follows the empty lines that may come before a request (RFC 9112 section 2.2). They are to be ignored: no head has
/// begun with them.
#[derive(Clone, Debug, Default)]
pub struct EmptyLines {
    seen: u8,
}

impl EmptyLines {
    /// Goes on where another has [seen](Self::seen) so many bytes.
    pub fn resumed(seen: u8) -> Self {
        Self { seen }
    }

    /// Bytes of empty lines seen.
    pub fn seen(&self) -> u8 {
        self.seen
    }

    /// How many of the next bytes are of empty lines; after any other it must not be called again.
    ///
    /// # Errors
    /// CR without LF, or more than [`MAX_EMPTY_LINES`].
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        for (taken, byte) in bytes.iter().enumerate() {
            match (self.seen % 2, byte) {
                (0, b'\r') | (1, b'\n') => self.seen += 1,
                (0, _) => return Ok(taken),
                _ => return Err(Refusal::BareCarriageReturn),
            }
            if self.seen > 2 * MAX_EMPTY_LINES {
                return Err(Refusal::Malformed);
            }
        }
        Ok(bytes.len())
    }
}

/// A complete head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its length in bytes, the final empty line included.
    pub len: usize,
    /// What follows it.
    pub body: BodyKind,
}

/// Follows one head, from its request line on, through as many pieces as it comes in. Every byte is looked at once.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    /// Where the line under way begins.
    line_start: usize,
    /// Up to where no line end was found.
    searched: usize,
    lines: usize,
    version: Option<Version>,
    hosts: usize,
    length: Option<u64>,
    is_chunked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

impl Scanner {
    /// Looks at the head from its first byte on; call it again with more. `Ok(None)`: not complete yet.
    ///
    /// # Errors
    /// A [`Refusal`] as soon as it is certain.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<Head>, Refusal> {
        while let Some(found) = memchr3(b'\r', b'\n', b'\0', &bytes[self.searched..]) {
            let end = self.searched + found;
            match (bytes[end], bytes.get(end + 1)) {
                (b'\r', Some(b'\n')) => {}
                (b'\r', None) => {
                    self.searched = end; // the line feed is still to come
                    self.check_size(bytes.len())?;
                    return Ok(None);
                }
                (b'\r', Some(_)) => return Err(Refusal::BareCarriageReturn),
                (b'\n', _) => return Err(Refusal::BareLineFeed),
                _ => return Err(Refusal::ControlCharacter),
            }
            let line = &bytes[self.line_start..end];
            let end = end + 1;
            self.line_start = end + 1;
            self.searched = end + 1;
            self.check_size(end)?;
            match (self.version, line.is_empty()) {
                (None, _) => self.request_line(line)?,
                (Some(_), false) => self.header_line(line)?,
                (Some(version), true) => return self.finish(version, end + 1).map(Some),
            }
        }
        self.searched = bytes.len();
        self.check_size(bytes.len())?;
        Ok(None)
    }

    fn check_size(&self, seen: usize) -> Result<(), Refusal> {
        if self.version.is_none() && seen > MAX_REQUEST_LINE {
            return Err(Refusal::TargetTooLong);
        }
        if seen > MAX_HEAD || self.lines > MAX_LINES {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(())
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let Some(space) = line.iter().rposition(|&byte| byte == b' ') else { return Err(Refusal::Malformed) };
        self.version = Some(match &line[space + 1..] {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            other if other.starts_with(b"HTTP/") => return Err(Refusal::VersionUnknown),
            _ => return Err(Refusal::Malformed),
        });
        Ok(())
    }

    fn header_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.lines += 1;
        if line[0] == b' ' || line[0] == b'\t' {
            return Err(Refusal::FoldedLine);
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(Refusal::Malformed)?; // names are short
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || name.last().is_some_and(u8::is_ascii_whitespace) {
            return Err(Refusal::Malformed);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.hosts += 1;
        if self.hosts > 1 {
            return Err(Refusal::HostTwice);
        }
        if value.iter().all(|&byte| is_host_character(byte)) { Ok(()) } else { Err(Refusal::HostInvalid) }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        if !is_number || self.length.is_some() {
            return Err(Refusal::LengthInvalid);
        }
        let digits = std::str::from_utf8(value).map_err(|_| Refusal::LengthInvalid)?;
        self.length = Some(digits.parse().map_err(|_| Refusal::LengthInvalid)?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.is_chunked || self.version == Some(Version::Http10) {
            return Err(Refusal::EncodingInvalid);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::EncodingUnknown);
        }
        self.is_chunked = true;
        Ok(())
    }

    fn finish(&self, version: Version, len: usize) -> Result<Head, Refusal> {
        if self.hosts == 0 && version == Version::Http11 {
            return Err(Refusal::HostMissing);
        }
        let body = match (self.length, self.is_chunked) {
            (Some(_), true) => return Err(Refusal::LengthAndEncoding),
            (None, true) => BodyKind::Chunked,
            (length, false) => BodyKind::Length(length.unwrap_or(0)),
        };
        Ok(Head { len, body })
    }
}

const HOST_CHARACTERS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"-._~%!$&'()*+,;=:[]";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

/// RFC 3986 section 3.2.2 with a port, and the underscore that real names have.
fn is_host_character(byte: u8) -> bool {
    HOST_CHARACTERS[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(head: &[u8]) -> Result<Option<Head>, Refusal> {
        Scanner::default().scan(head)
    }

    #[test]
    fn finds_the_end_and_the_body() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(scan(head), Ok(Some(Head { len: head.len(), body: BodyKind::Length(0) })));
        let head = b"POST / HTTP/1.0\r\ncontent-LENGTH: 12 \r\n\r\nrest";
        assert_eq!(scan(head), Ok(Some(Head { len: head.len() - 4, body: BodyKind::Length(12) })));
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n";
        assert_eq!(scan(head), Ok(Some(Head { len: head.len(), body: BodyKind::Chunked })));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nHost: a\r\n"), Ok(None));
        assert_eq!(scan(b""), Ok(None));
    }

    #[test]
    fn refuses() {
        let with = |lines: &str| format!("POST /x HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n").into_bytes();
        for (head, refusal) in [
            (b"GET / HTTP/1.1\nHost: a\r\n\r\n".to_vec(), Refusal::BareLineFeed),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n".to_vec(), Refusal::BareLineFeed),
            (b"\n".to_vec(), Refusal::BareLineFeed),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Refusal::HostMissing),
            (b"GET /\r\n".to_vec(), Refusal::Malformed),
            (b"GET / HTTP/2.0\r\n".to_vec(), Refusal::VersionUnknown),
            (b"GET /\0 HTTP/1.1\r\n".to_vec(), Refusal::ControlCharacter),
            (with("a: b\rc: d"), Refusal::BareCarriageReturn),
            (with("Host: b"), Refusal::HostTwice),
            (with(": b"), Refusal::Malformed),
            (with("Content-Length : 3"), Refusal::Malformed),
            (with("no colon"), Refusal::Malformed),
            (with("a: b\r\n c"), Refusal::FoldedLine),
            (with("Content-Length: 3\r\nTransfer-Encoding: chunked"), Refusal::LengthAndEncoding),
            (with("Content-Length: 3\r\nContent-Length: 3"), Refusal::LengthInvalid),
            (with("Content-Length: +3"), Refusal::LengthInvalid),
            (with("Content-Length: 3, 3"), Refusal::LengthInvalid),
            (with("Content-Length:"), Refusal::LengthInvalid),
            (with("Content-Length: 99999999999999999999"), Refusal::LengthInvalid),
            (with("Transfer-Encoding: gzip, chunked"), Refusal::EncodingUnknown),
            (with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Refusal::EncodingInvalid),
            (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n".to_vec(), Refusal::EncodingInvalid),
            (b"GET / HTTP/1.1\r\nHost: a b\r\n".to_vec(), Refusal::HostInvalid),
            (b"GET / HTTP/1.1\r\nHost: a/b\r\n".to_vec(), Refusal::HostInvalid),
            (vec![b'a'; MAX_REQUEST_LINE + 1], Refusal::TargetTooLong),
            (with(&"x: y\r\n".repeat(MAX_LINES + 1)), Refusal::HeadTooLarge),
            (with(&format!("x: {}", "y".repeat(MAX_HEAD))), Refusal::HeadTooLarge),
        ] {
            assert_eq!(scan(&head), Err(refusal), "{}", String::from_utf8_lossy(&head[..head.len().min(80)]));
        }
    }

    #[test]
    fn empty_lines_are_told_from_a_request() {
        let empty = |bytes: &[u8]| EmptyLines::default().advance(bytes);
        assert_eq!(empty(b"GET / HTTP/1.1\r\n"), Ok(0));
        assert_eq!(empty(b"\r\n\r\nGET /"), Ok(4));
        assert_eq!(empty(b"\r\n\r"), Ok(3));
        assert_eq!(empty(b"\n"), Ok(0), "a bare LF is the head's, which refuses it");
        assert_eq!(empty(b"\r\r\n"), Err(Refusal::BareCarriageReturn));
        let most = usize::from(MAX_EMPTY_LINES);
        assert_eq!(empty("\r\n".repeat(most).as_bytes()), Ok(2 * most));
        assert_eq!(empty("\r\n".repeat(most + 1).as_bytes()), Err(Refusal::Malformed));
        let mut pieces = EmptyLines::default();
        for (piece, taken) in [(&b"\r"[..], 1), (b"\n\r", 2), (b"\nGET", 1)] {
            assert_eq!(pieces.advance(piece), Ok(taken));
        }
        let mut pieces = EmptyLines::default();
        assert_eq!(pieces.advance(b"\r"), Ok(1));
        assert_eq!(pieces.advance(b"GET"), Err(Refusal::BareCarriageReturn));
    }

    proptest! {
        /// Cut anywhere, a head reads the same as in one piece.
        #[test]
        fn pieces_make_no_difference(
            lines in prop::collection::vec("[ -~]{0,20}(\r\n|\n|\r)?", 0..8),
            cuts in prop::collection::vec(0usize..200, 0..6),
        ) {
            let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
            head.extend(lines.concat().into_bytes());
            let whole = scan(&head);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(head.len())).collect();
            cuts.push(head.len());
            cuts.sort_unstable();
            let mut scanner = Scanner::default();
            let mut result = Ok(None);
            for cut in cuts {
                result = scanner.scan(&head[..cut]);
                if result != Ok(None) {
                    break;
                }
            }
            prop_assert_eq!(result, whole);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = scan(&bytes);
        }
    }
}

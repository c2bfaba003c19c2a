//! The end of an HTTP/1 request body (RFC 9112 sections 6 and 7.1).

use super::Refusal;
use super::head::BodyKind;

/// Longest chunk-size line with its extensions, and longest trailer section, in bytes.
const MAX_EXTRA: usize = 16 * 1024;

/// Follows one body through as many pieces as it comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follower {
    /// This many bytes are still to come; at 0 the body is over.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
}

/// Where in a chunked body the next byte falls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunks {
    at: Place,
    /// Bytes spent on sizes, extensions and trailers since the last data.
    extra: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the size; how many digits so far, and their value.
    Size(u8, u64),
    /// After the size of a chunk this long, in an extension, which nobody reads.
    Extension(u64),
    /// The LF after the size line of a chunk this long.
    SizeEnd(u64),
    /// In the data, this many bytes to go.
    Data(u64),
    /// The CR after the data.
    DataCr,
    /// The LF after the data.
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    /// In a trailer line.
    Trailer,
    /// The LF of a trailer line.
    TrailerLf,
    /// The very last LF.
    LastLf,
    /// Over.
    Done,
}

impl Follower {
    /// At the first byte of a body.
    pub fn new(kind: BodyKind) -> Self {
        match kind {
            BodyKind::Length(length) => Self::Length(length),
            BodyKind::Chunked => Self::Chunked(Chunks { at: Place::Size(0, 0), extra: 0 }),
        }
    }

    /// How many of the next bytes belong to the body.
    ///
    /// # Errors
    /// [`Refusal::ChunkInvalid`]; the end cannot be found any more.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunked(chunks) => chunks.advance(bytes),
        }
    }

    /// Whether the body is over.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.at == Place::Done,
        }
    }
}

impl Chunks {
    fn advance(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut taken = 0;
        while taken < bytes.len() && self.at != Place::Done {
            if let Place::Data(left) = self.at {
                let some = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - taken);
                taken += some;
                let left = left - some as u64;
                self.at = if left == 0 { Place::DataCr } else { Place::Data(left) };
                self.extra = 0;
                continue;
            }
            self.at = self.at.next(bytes[taken]).ok_or(Refusal::ChunkInvalid)?;
            taken += 1;
            self.extra += 1;
            if self.extra > MAX_EXTRA {
                return Err(Refusal::ChunkInvalid);
            }
        }
        Ok(taken)
    }
}

impl Place {
    /// Where the byte after this one falls; `None` when this one must not be here.
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size(digits, size), _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                (digits < 16).then_some(Self::Size(digits + 1, size << 4 | u64::from(digit)))
            }
            (Self::Size(1.., size), b'\r') => Some(Self::SizeEnd(size)),
            (Self::Size(1.., size), b';' | b' ' | b'\t') => Some(Self::Extension(size)),
            (Self::Extension(size), b'\r') => Some(Self::SizeEnd(size)),
            (Self::Extension(_), b'\n' | b'\0') => None,
            (Self::Extension(size), _) => Some(Self::Extension(size)),
            (Self::SizeEnd(0), b'\n') => Some(Self::TrailerStart),
            (Self::SizeEnd(size), b'\n') => Some(Self::Data(size)),
            (Self::DataCr, b'\r') => Some(Self::DataLf),
            (Self::DataLf, b'\n') => Some(Self::Size(0, 0)),
            (Self::TrailerStart, b'\r') => Some(Self::LastLf),
            (Self::TrailerStart | Self::Trailer, b'\n' | b'\0') => None,
            (Self::Trailer, b'\r') => Some(Self::TrailerLf),
            (Self::TrailerStart | Self::Trailer, _) => Some(Self::Trailer),
            (Self::TrailerLf, b'\n') => Some(Self::TrailerStart),
            (Self::LastLf, b'\n') => Some(Self::Done),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunked() -> Follower {
        Follower::new(BodyKind::Chunked)
    }

    #[test]
    fn finds_the_end() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "A;x=\"y\"\r\n0123456789\r\n00\r\nTrailer: x\r\nOther: y\r\n\r\n",
        ] {
            let mut follower = chunked();
            let with_next = format!("{body}GET / HTTP/1.1");
            assert_eq!(follower.advance(with_next.as_bytes()), Ok(body.len()));
            assert!(follower.is_done());
        }
        let mut length = Follower::new(BodyKind::Length(3));
        assert_eq!(length.advance(b"abcdef"), Ok(3));
        assert!(length.is_done());
    }

    #[test]
    fn refuses() {
        let endless = format!("1;{}", "x".repeat(MAX_EXTRA));
        for body in [
            "\r\n",
            "3\nabc",
            "3\r\nabcd\r\n",
            "g\r\n",
            "-1\r\n",
            "0\r\n\n",
            "0\r\nx: y\n",
            "11111111111111111\r\n",
            "3 x\ny",
            "3\rx",
            &endless,
        ] {
            assert_eq!(chunked().advance(body.as_bytes()), Err(Refusal::ChunkInvalid), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            chunks in prop::collection::vec("[a-z]{1,30}", 0..6), cuts in prop::collection::vec(0usize..300, 0..8),
        ) {
            let mut body: Vec<u8> = Vec::new();
            for chunk in &chunks {
                body.extend(format!("{:x}\r\n{chunk}\r\n", chunk.len()).bytes());
            }
            body.extend(b"0\r\n\r\n");
            let len = body.len();
            body.extend(b"next");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.push(body.len());
            cuts.sort_unstable();
            let (mut follower, mut at, mut total) = (chunked(), 0, 0);
            for cut in cuts {
                total += follower.advance(&body[at..cut]).expect("well formed");
                at = cut;
            }
            prop_assert_eq!(total, len);
            prop_assert!(follower.is_done());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = chunked().advance(&bytes);
        }
    }
}

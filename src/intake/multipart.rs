//! multipart/form-data (RFC 7578, RFC 2046 section 5.1): pure, bytes in and parts out.
//!
//! Written here because multer 3.1 does not fit: it takes from its stream all that is ready, however much that is, and
//! holds what comes before the first boundary, and heads, without a limit. It is what this is tested against.

use std::borrow::Cow;

use bytes::{Buf, BytesMut};
use memchr::memmem::{self, Finder};

use super::parameters::{essence, parameter};

/// How long the head of a part may be.
pub const MOST_OF_HEAD: usize = 16 * 1024;

/// How much may follow a boundary on its line.
const MOST_OF_PADDING: usize = 256;

/// A form in the course of being read: bytes go in by [`push`](Self::push), and then all there is in them comes out of
/// [`next`](Self::next). It holds what was pushed and not yet given out, and beyond that at most a head.
pub struct Multipart {
    /// CRLF, `--` and the boundary.
    delimiter: Finder<'static>,
    buffer: BytesMut,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Right after a boundary.
    Boundary,
    /// In a head, of which so many bytes hold no end.
    Head(usize),
    /// In a part.
    Content,
    /// After the last boundary, where everything is of no account.
    Epilogue,
}

/// What comes out.
#[derive(Debug)]
pub enum Event {
    /// A part begins.
    Part(Part),
    /// The next bytes of it; never none.
    Content(BytesMut),
    /// It is over.
    PartEnd,
}

/// What the head of a part says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// The file's name.
    pub file_name: Option<String>,
    /// Its media type.
    pub media_type: Option<String>,
}

/// What is wrong with a form's syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A boundary has something after it.
    #[error("a boundary is followed by neither the end of its line nor --")]
    Delimiter,
    /// A head without an end.
    #[error("the head of a part is larger than {} KiB", MOST_OF_HEAD / 1024)]
    HeadTooLarge,
    /// A head is no head.
    #[error("the head of a part makes no sense")]
    Head,
    /// A part has no name.
    #[error("a part has no name (Content-Disposition: form-data; name=\"...\")")]
    NoName,
}

impl Multipart {
    /// A form with this boundary.
    pub fn new(boundary: &[u8]) -> Self {
        let delimiter = [b"\r\n--", boundary].concat();
        // The first boundary begins a line without a line before it.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        Self { delimiter: Finder::new(&delimiter).into_owned(), buffer, state: State::Preamble }
    }

    /// Adds what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.state != State::Epilogue {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether the last boundary has been.
    pub fn is_complete(&self) -> bool {
        self.state == State::Epilogue
    }

    /// The next thing; `None` when more has to come first.
    pub fn next(&mut self) -> Result<Option<Event>, Malformed> {
        loop {
            match self.state {
                State::Preamble => {
                    let Some(at) = self.delimiter.find(&self.buffer) else {
                        self.buffer.advance(self.undecided());
                        return Ok(None);
                    };
                    self.pass(at + self.delimiter.needle().len(), State::Boundary);
                }
                State::Boundary => {
                    if !self.boundary()? {
                        return Ok(None);
                    }
                }
                State::Head(looked_at) => return self.head(looked_at),
                State::Content => return Ok(self.content()),
                State::Epilogue => {
                    self.buffer.clear();
                    return Ok(None);
                }
            }
        }
    }

    fn pass(&mut self, length: usize, state: State) {
        self.buffer.advance(length);
        self.state = state;
    }

    /// How much of the buffer, in which no delimiter is, cannot be the beginning of one.
    fn undecided(&self) -> usize {
        let longest = self.delimiter.needle().len() - 1;
        let from = self.buffer.len().saturating_sub(longest);
        let end = &self.buffer[from..];
        let begins = |at: &usize| self.delimiter.needle().starts_with(&end[*at..]);
        memchr::memchr_iter(b'\r', end).find(begins).map_or(self.buffer.len(), |at| from + at)
    }

    /// Reads what follows a boundary; whether all of it is there.
    fn boundary(&mut self) -> Result<bool, Malformed> {
        match &self.buffer[..] {
            [] | [b'-' | b'\r'] => return Ok(false),
            [b'-', b'-', ..] => {
                self.pass(2, State::Epilogue);
                return Ok(true);
            }
            _ => {}
        }
        let padding = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match &self.buffer[padding..] {
            _ if padding > MOST_OF_PADDING => Err(Malformed::Delimiter),
            [] | [b'\r'] => Ok(false),
            [b'\r', b'\n', ..] => {
                // The line's end stays: a head without lines is then as any other.
                self.pass(padding, State::Head(0));
                Ok(true)
            }
            _ => Err(Malformed::Delimiter),
        }
    }

    fn head(&mut self, looked_at: usize) -> Result<Option<Event>, Malformed> {
        let end = memmem::find(&self.buffer[looked_at..], b"\r\n\r\n").map(|at| looked_at + at);
        // What would still be in time could have come by now.
        if end.map_or(self.buffer.len() >= MOST_OF_HEAD + 4, |end| end > MOST_OF_HEAD) {
            return Err(Malformed::HeadTooLarge);
        }
        let Some(end) = end else {
            self.state = State::Head(self.buffer.len().saturating_sub(3));
            return Ok(None);
        };
        let part = Part::parse(&self.buffer[..end])?;
        self.pass(end + 4, State::Content);
        Ok(Some(Event::Part(part)))
    }

    fn content(&mut self) -> Option<Event> {
        match self.delimiter.find(&self.buffer) {
            Some(0) => {
                self.pass(self.delimiter.needle().len(), State::Boundary);
                Some(Event::PartEnd)
            }
            found => {
                let sure = found.unwrap_or_else(|| self.undecided());
                (sure > 0).then(|| Event::Content(self.buffer.split_to(sure)))
            }
        }
    }
}

impl Part {
    fn parse(head: &[u8]) -> Result<Self, Malformed> {
        let (mut disposition, mut media_type) = (None, None);
        let mut rest = head;
        while !rest.is_empty() {
            let end = memmem::find(rest, b"\r\n");
            let line = &rest[..end.unwrap_or(rest.len())];
            rest = end.map_or(&[][..], |end| &rest[end + 2..]);
            if line.is_empty() {
                continue; // the end of the boundary's own line
            }
            let colon = memchr::memchr(b':', line).ok_or(Malformed::Head)?;
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            let into = match () {
                () if name.eq_ignore_ascii_case(b"content-disposition") => &mut disposition,
                () if name.eq_ignore_ascii_case(b"content-type") => &mut media_type,
                () => continue,
            };
            if into.replace(value.trim_ascii()).is_some() {
                return Err(Malformed::Head);
            }
        }
        let text = |bytes: Cow<'_, [u8]>| String::from_utf8(bytes.into_owned()).map_err(|_| Malformed::Head);
        let disposition = disposition.filter(|value| essence(value).eq_ignore_ascii_case(b"form-data"));
        let disposition = disposition.ok_or(Malformed::NoName)?;
        Ok(Self {
            name: text(parameter(disposition, "name").ok_or(Malformed::NoName)?)?,
            file_name: parameter(disposition, "filename").map(text).transpose()?,
            media_type: media_type.map(|value| text(value.into())).transpose()?,
        })
    }
}

//! Where requests begin and end on the wire, pure: bytes in, lengths out; nothing is copied or kept.
//!
//! hyper hides from its service what must be refused or known: it drops Content-Length beside Transfer-Encoding,
//! accepts bare LF and a missing Host, and reads a next head unseen. So the bytes are followed here before hyper
//! gets them, and it gets one head at a time.
//!
//! - [`head`]: the end of an HTTP/1 head, and what its body will be;
//! - [`body`]: the end of an HTTP/1 body;
//! - [`frames`]: which HTTP/2 streams are open;
//! - [`proxy_header`]: what a proxy says of its client before all that.

pub mod body;
pub mod frames;
pub mod head;
pub mod proxy_header;

/// Why a request cannot be served as it came: the connection is answered with this and closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// A line ended by LF without CR (RFC 9112 section 2.2).
    BareLineFeed = 1,
    /// CR without LF (RFC 9112 section 2.2).
    BareCarriageReturn,
    /// NUL or another control character.
    ControlCharacter,
    /// Not a request line, or a header line without a name and colon.
    Malformed,
    /// A header line that continues the one before (RFC 9112 section 5.2).
    FoldedLine,
    /// HTTP/1.1 without Host (RFC 9112 section 3.2).
    HostMissing,
    /// More than one Host.
    HostTwice,
    /// A Host that names no host.
    HostInvalid,
    /// Content-Length beside Transfer-Encoding: a smuggling attempt (RFC 9112 section 6.1).
    LengthAndEncoding,
    /// Content-Length that is no number, or given twice.
    LengthInvalid,
    /// Transfer-Encoding in HTTP/1.0, or given twice.
    EncodingInvalid,
    /// A transfer coding other than chunked.
    EncodingUnknown,
    /// A chunk that is no chunk.
    ChunkInvalid,
    /// A request line longer than [`head::MAX_REQUEST_LINE`].
    TargetTooLong,
    /// A head longer than [`head::MAX_HEAD`] or with more than [`head::MAX_LINES`] lines.
    HeadTooLarge,
    /// An HTTP version that is not served here.
    VersionUnknown,
    /// The head did not arrive in time (`timeouts.head`).
    HeadTimeout,
    /// A PROXY header of a trusted peer that is none ([`proxy_header`]).
    ProxyHeaderInvalid,
}

const REFUSALS: [Refusal; 18] = [
    Refusal::BareLineFeed,
    Refusal::BareCarriageReturn,
    Refusal::ControlCharacter,
    Refusal::Malformed,
    Refusal::FoldedLine,
    Refusal::HostMissing,
    Refusal::HostTwice,
    Refusal::HostInvalid,
    Refusal::LengthAndEncoding,
    Refusal::LengthInvalid,
    Refusal::EncodingInvalid,
    Refusal::EncodingUnknown,
    Refusal::ChunkInvalid,
    Refusal::TargetTooLong,
    Refusal::HeadTooLarge,
    Refusal::VersionUnknown,
    Refusal::HeadTimeout,
    Refusal::ProxyHeaderInvalid,
];

impl Refusal {
    /// Back from `refusal as u8`; 0 is none.
    pub fn from_number(number: u8) -> Option<Self> {
        REFUSALS.into_iter().find(|refusal| *refusal as u8 == number)
    }

    /// The status that says it (RFC 9110 section 15).
    pub fn status(self) -> hyper::StatusCode {
        use hyper::StatusCode;
        match self {
            Self::EncodingUnknown => StatusCode::NOT_IMPLEMENTED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::VersionUnknown => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The reason in a few words, for the client and the journal.
    pub fn reason(self) -> &'static str {
        match self {
            Self::BareLineFeed => "a line ends with LF instead of CRLF",
            Self::BareCarriageReturn => "CR without LF",
            Self::ControlCharacter => "a control character in the head",
            Self::Malformed => "not an HTTP request",
            Self::FoldedLine => "a folded header line",
            Self::HostMissing => "no Host header",
            Self::HostTwice => "more than one Host header",
            Self::HostInvalid => "the Host header names no host",
            Self::LengthAndEncoding => "both Content-Length and Transfer-Encoding",
            Self::LengthInvalid => "a Content-Length that is no length",
            Self::EncodingInvalid => "a Transfer-Encoding that is not allowed here",
            Self::EncodingUnknown => "a transfer coding other than chunked",
            Self::ChunkInvalid => "a malformed chunk",
            Self::TargetTooLong => "the request line is too long",
            Self::HeadTooLarge => "the head is too large",
            Self::VersionUnknown => "an HTTP version that is not served here",
            Self::HeadTimeout => "the request head took too long",
            Self::ProxyHeaderInvalid => "a malformed PROXY header",
        }
    }
}

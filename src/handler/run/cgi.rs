//! The head with which a CGI program's output begins (RFC 3875 section 6).

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, LOCATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{HeaderMap, StatusCode};

/// The longest head, in bytes.
const LONGEST: usize = 64 * 1024;

/// What a program has said about its answer.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    /// `Status`, or what stands in for it: 302 with `Location`, else 200.
    pub status: StatusCode,
    /// Everything that goes on to the client.
    pub headers: HeaderMap,
    /// How long the head is, its empty line included.
    pub length: usize,
    /// `Content-Length`.
    pub body_length: Option<u64>,
}

/// Why it is no head.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum CgiError {
    #[error("its CGI head is longer than 64 KiB")]
    TooLong,
    #[error("{0:?} is no line of a CGI head; it ends with an empty line, and then comes the body")]
    Line(String),
    #[error("{0:?} is no status")]
    Status(String),
    #[error("{0:?} is no length")]
    Length(String),
}

/// Headers of the connection, which is not the program's.
const NOT_ITS: [HeaderName; 7] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Reads the head of what has been printed so far; `None` if that is not all of it yet.
pub(super) fn parse(printed: &[u8]) -> Result<Option<Head>, CgiError> {
    let mut head = Head { status: StatusCode::OK, headers: HeaderMap::new(), length: 0, body_length: None };
    let mut status = None;
    loop {
        let rest = &printed[head.length..];
        let Some(end) = memchr::memchr(b'\n', rest) else { break };
        head.length += end + 1;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        if head.length > LONGEST {
            break;
        }
        if line.is_empty() {
            let implied =
                if head.headers.contains_key(LOCATION) { StatusCode::FOUND } else { StatusCode::OK };
            head.status = status.unwrap_or(implied);
            return Ok(Some(head));
        }
        let (name, value) = field(line).ok_or_else(|| CgiError::Line(excerpt(line)))?;
        if name == "status" {
            status = Some(read_status(&value)?);
        } else if name == CONTENT_LENGTH {
            let length = value.to_str().ok().and_then(|length| length.parse().ok());
            head.body_length = Some(length.ok_or_else(|| CgiError::Length(excerpt(value.as_bytes())))?);
        } else if !NOT_ITS.contains(&name) {
            head.headers.append(name, value);
        }
    }
    if printed.len() > LONGEST { Err(CgiError::TooLong) } else { Ok(None) }
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = memchr::memchr(b':', line)?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
}

/// `404 Not Found`. An interim status is none, and a switch of protocols is not the program's to make.
fn read_status(value: &HeaderValue) -> Result<StatusCode, CgiError> {
    let code = value.to_str().ok().and_then(|value| value.split_ascii_whitespace().next());
    let status =
        code.and_then(|code| code.parse::<StatusCode>().ok()).filter(|status| status.as_u16() >= 200);
    status.ok_or_else(|| CgiError::Status(excerpt(value.as_bytes())))
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(printed: &str) -> Head {
        parse(printed.as_bytes()).expect(printed).expect("a whole head")
    }

    #[test]
    fn heads() {
        let plain = head("Content-Type: text/html\n\n<p>");
        assert_eq!((plain.status, plain.length), (StatusCode::OK, 25));
        assert_eq!(plain.headers["content-type"], "text/html");
        let gone = head("Status: 410 Gone\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n");
        assert_eq!((gone.status, gone.headers.len()), (StatusCode::GONE, 2));
        assert_eq!(head("Location: /x\n\n").status, StatusCode::FOUND);
        assert_eq!(head("Location: /x\nStatus: 201\n\n").status, StatusCode::CREATED);
        assert_eq!(head("Content-Length: 5\n\n").body_length, Some(5));
        assert_eq!(head("\n").status, StatusCode::OK);
    }

    #[test]
    fn what_is_none() {
        let wrong = |printed: &str| parse(printed.as_bytes()).expect_err(printed);
        assert_eq!(wrong("<html>\n"), CgiError::Line("<html>".into()));
        assert_eq!(wrong("Status: 101\n\n"), CgiError::Status("101".into()));
        assert_eq!(wrong("Status: x\n\n"), CgiError::Status("x".into()));
        assert_eq!(wrong("Content-Length: -1\n\n"), CgiError::Length("-1".into()));
        assert_eq!(wrong(&"A: b\n".repeat(20_000)), CgiError::TooLong);
        assert_eq!(wrong(&"a".repeat(LONGEST + 1)), CgiError::TooLong);
        assert_eq!(parse(b"A: b\n"), Ok(None));
    }

    proptest! {
        #[test]
        fn more_output_does_not_change_a_head(printed: Vec<u8>, more: Vec<u8>) {
            if let Ok(Some(head)) = parse(&printed) {
                prop_assert!(head.length <= printed.len());
                let longer = [&printed[..], &more].concat();
                prop_assert_eq!(parse(&longer), Ok(Some(head)));
            }
        }
    }
}

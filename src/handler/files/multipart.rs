//! Several ranges in one answer: `multipart/byteranges` (RFC 9110 section 14.6).

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use hyper::header::HeaderValue;

use super::reply::content_range;
use super::stream::Part;

/// The media type of the whole, and its parts with what stands between them.
pub fn multipart(ranges: &[Range<u64>], media_type: &HeaderValue, size: u64) -> (String, Vec<Part>) {
    let boundary = boundary();
    let media_type = media_type.to_str().unwrap_or("application/octet-stream");
    let mut parts = Vec::with_capacity(2 * ranges.len() + 1);
    for range in ranges {
        let content_range = content_range(range, size);
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {content_range}\r\n\r\n"
        );
        parts.push(Part::Text(head.into()));
        parts.push(Part::Span(range.clone()));
    }
    parts.push(Part::Text(format!("\r\n--{boundary}--\r\n").into()));
    (format!("multipart/byteranges; boundary={boundary}"), parts)
}

/// 128 bits that nobody who writes files can know: the standard library seeds its hashers at random.
fn boundary() -> String {
    let random = || RandomState::new().hash_one(());
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_says_what_it_is() {
        let (media_type, parts) =
            multipart(&[0..10, 500..501], &HeaderValue::from_static("text/plain"), 1000);
        let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let text = |part: &Part| match part {
            Part::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            Part::Span(span) => format!("{span:?}"),
        };
        let sent: String = parts.iter().map(text).collect();
        assert_eq!(
            sent,
            format!(
                "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-9/1000\r\n\r\n0..10\
                 \r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 500-500/1000\r\n\r\n500..501\
                 \r\n--{boundary}--\r\n"
            )
        );
    }

    #[test]
    fn no_two_boundaries_are_alike() {
        assert_ne!(boundary(), boundary());
    }
}

//! What tells one version of a file from another: `ETag` and `Last-Modified` (RFC 9110 section 8.8).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::HeaderValue;

use super::coding::Coding;
use super::tree::Facts;

/// Both validators of one representation.
pub struct Validators {
    /// Quoted, strong: a rewritten file has another time, size or inode.
    pub etag: HeaderValue,
    /// Whole seconds since 1970; `None` for a file from before.
    pub modified_secs: Option<u64>,
    /// Whether the date can stand for the bytes: it is at least a second old (RFC 9110 section 8.8.2.2).
    pub is_date_strong: bool,
}

impl Validators {
    /// The validators of the file with these facts, sent in this coding at this time.
    pub fn new(facts: &Facts, coding: Option<Coding>, now: SystemTime) -> Self {
        let Facts { modified_secs, modified_nanos, size, inode } = facts;
        let (dash, coding) = coding.map_or(("", ""), |coding| ("-", coding.name()));
        let etag = format!("\"{modified_secs:x}.{modified_nanos:x}-{size:x}-{inode:x}{dash}{coding}\"");
        let now_secs = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            etag: HeaderValue::try_from(etag).expect("hexadecimal digits and names are visible ASCII"),
            // A date in the future would make every later version look old.
            modified_secs: u64::try_from(*modified_secs).ok().map(|secs| secs.min(now_secs)),
            is_date_strong: *modified_secs < i64::try_from(now_secs).unwrap_or(i64::MAX),
        }
    }

    /// The value of `Last-Modified`.
    pub fn last_modified(&self) -> Option<HeaderValue> {
        let date = UNIX_EPOCH + Duration::from_secs(self.modified_secs?);
        HeaderValue::try_from(httpdate::fmt_http_date(date)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn facts(modified_secs: i64) -> Facts {
        Facts { modified_secs, modified_nanos: 5, size: 255, inode: 16 }
    }

    #[test]
    fn each_coding_has_its_tag() {
        let etag = |coding| Validators::new(&facts(1), coding, at(10)).etag;
        assert_eq!(etag(None), "\"1.5-ff-10\"");
        assert_eq!(etag(Some(Coding::Brotli)), "\"1.5-ff-10-br\"");
    }

    #[test]
    fn a_date_is_never_in_the_future_nor_before_1970() {
        let modified = |secs, now| Validators::new(&facts(secs), None, at(now)).last_modified();
        assert_eq!(modified(0, 10).unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(modified(i64::MAX, 10).unwrap(), "Thu, 01 Jan 1970 00:00:10 GMT");
        assert_eq!(modified(-1, 10), None);
    }

    #[test]
    fn a_fresh_date_is_weak() {
        let is_strong = |secs, now| Validators::new(&facts(secs), None, at(now)).is_date_strong;
        assert!(!is_strong(10, 10));
        assert!(!is_strong(11, 10));
        assert!(is_strong(9, 10));
    }
}

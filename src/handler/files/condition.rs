//! Conditional requests, in the order of RFC 9110 section 13.2.2.

use std::time::UNIX_EPOCH;

use hyper::HeaderMap;
use hyper::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};

use super::validators::Validators;

/// What the conditions of a GET or HEAD come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answer as if there were none.
    Go,
    /// The client has it: 304.
    NotModified,
    /// The client wanted another version: 412.
    Failed,
}

/// Weighs the conditions, all but If-Range.
pub fn weigh(headers: &HeaderMap, validators: &Validators) -> Verdict {
    if headers.contains_key(IF_MATCH) {
        if !lists(headers, IF_MATCH, validators, Comparison::Strong) {
            return Verdict::Failed;
        }
    } else if let (Some(date_secs), Some(modified_secs)) =
        (date_secs(headers, IF_UNMODIFIED_SINCE), validators.modified_secs)
        && modified_secs > date_secs
    {
        return Verdict::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        if lists(headers, IF_NONE_MATCH, validators, Comparison::Weak) {
            return Verdict::NotModified;
        }
    } else if let (Some(date_secs), Some(modified_secs)) =
        (date_secs(headers, IF_MODIFIED_SINCE), validators.modified_secs)
        && modified_secs <= date_secs
    {
        return Verdict::NotModified;
    }
    Verdict::Go
}

/// Whether a Range field counts: there is no If-Range, or it names exactly this version, strongly.
pub fn allows_range(headers: &HeaderMap, validators: &Validators) -> bool {
    let Some(field) = headers.get(IF_RANGE) else { return true };
    if field.as_bytes().ends_with(b"\"") {
        return field == validators.etag;
    }
    let date_secs = date_secs(headers, IF_RANGE);
    date_secs.is_some() && date_secs == validators.modified_secs && validators.is_date_strong
}

/// How entity tags are compared (RFC 9110 section 8.8.3.2); ours are strong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags, or `*`, names this version. What cannot be read ends the list.
fn lists(headers: &HeaderMap, name: HeaderName, validators: &Validators, comparison: Comparison) -> bool {
    headers.get_all(name).iter().any(|line| {
        let line = line.as_bytes().trim_ascii();
        line == b"*" || names(line, validators.etag.as_bytes(), comparison)
    })
}

fn names(mut list: &[u8], etag: &[u8], comparison: Comparison) -> bool {
    loop {
        // A tag may hold commas: it is walked from quote to quote, not split.
        let start = list.iter().position(|byte| !matches!(byte, b',' | b' ' | b'\t'));
        list = start.map_or(&[], |start| &list[start..]);
        let (is_weak, tag) = list.strip_prefix(b"W/").map_or((false, list), |tag| (true, tag));
        let [b'"', tail @ ..] = tag else { return false };
        let Some(length) = tail.iter().position(|&byte| byte == b'"') else { return false };
        let (tag, rest) = tag.split_at(length + 2);
        if tag == etag && !(is_weak && comparison == Comparison::Strong) {
            return true;
        }
        list = rest;
    }
}

/// A field that is one date, in whole seconds; anything else is no condition.
fn date_secs(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    let mut lines = headers.get_all(name).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let date = httpdate::parse_http_date(line.to_str().ok()?).ok()?;
    Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn validators() -> Validators {
        Validators {
            etag: HeaderValue::from_static("\"a,b\""),
            modified_secs: Some(784_111_777),
            is_date_strong: true,
        }
    }

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn verdict<const N: usize>(fields: [(HeaderName, &str); N]) -> Verdict {
        weigh(&headers(&fields), &validators())
    }

    #[test]
    fn each_condition_alone() {
        use Verdict::{Failed, Go, NotModified};
        assert_eq!(verdict([]), Go);
        for (field, value, expected) in [
            (IF_MATCH, "\"a,b\"", Go),
            (IF_MATCH, "\"x\", \"a,b\"", Go),
            (IF_MATCH, "*", Go),
            (IF_MATCH, "W/\"a,b\"", Failed),
            (IF_MATCH, "\"a\", \"b\"", Failed),
            (IF_MATCH, "a,b", Failed),
            (IF_UNMODIFIED_SINCE, BEFORE, Failed),
            (IF_UNMODIFIED_SINCE, MODIFIED, Go),
            (IF_UNMODIFIED_SINCE, AFTER, Go),
            (IF_UNMODIFIED_SINCE, "yesterday", Go),
            (IF_NONE_MATCH, "\"a,b\"", NotModified),
            (IF_NONE_MATCH, "W/\"a,b\"", NotModified),
            (IF_NONE_MATCH, " ,\"x\" ,W/\"y\",\t\"a,b\"", NotModified),
            (IF_NONE_MATCH, "*", NotModified),
            (IF_NONE_MATCH, "\"x\"", Go),
            (IF_NONE_MATCH, "\"a,b", Go),
            (IF_NONE_MATCH, "", Go),
            (IF_MODIFIED_SINCE, BEFORE, Go),
            (IF_MODIFIED_SINCE, MODIFIED, NotModified),
            (IF_MODIFIED_SINCE, AFTER, NotModified),
            (IF_MODIFIED_SINCE, "Sunday, 06-Nov-94 08:49:37 GMT", NotModified),
            (IF_MODIFIED_SINCE, "Sun Nov  6 08:49:37 1994", NotModified),
            (IF_MODIFIED_SINCE, "tomorrow", Go),
        ] {
            assert_eq!(verdict([(field.clone(), value)]), expected, "{field}: {value}");
        }
    }

    #[test]
    fn tags_overrule_dates_and_preconditions_come_first() {
        use Verdict::{Failed, Go, NotModified};
        assert_eq!(verdict([(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, AFTER)]), Go);
        assert_eq!(verdict([(IF_MATCH, "*"), (IF_UNMODIFIED_SINCE, BEFORE)]), Go);
        assert_eq!(verdict([(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "*")]), Failed);
        assert_eq!(verdict([(IF_UNMODIFIED_SINCE, BEFORE), (IF_NONE_MATCH, "*")]), Failed);
        assert_eq!(verdict([(IF_MATCH, "*"), (IF_NONE_MATCH, "*")]), NotModified);
        let twice = [(IF_MODIFIED_SINCE, AFTER), (IF_MODIFIED_SINCE, AFTER)];
        let mut lines = HeaderMap::new();
        for (name, value) in twice {
            lines.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(weigh(&lines, &validators()), Go);
    }

    #[test]
    fn several_lines_are_one_list() {
        let mut lines = HeaderMap::new();
        lines.append(IF_NONE_MATCH, HeaderValue::from_static("\"x\""));
        lines.append(IF_NONE_MATCH, HeaderValue::from_static("\"a,b\""));
        assert_eq!(weigh(&lines, &validators()), Verdict::NotModified);
    }

    #[test]
    fn if_range_wants_exactly_this_version() {
        let allows = |value| allows_range(&headers(&[(IF_RANGE, value)]), &validators());
        assert!(allows_range(&HeaderMap::new(), &validators()));
        assert!(allows("\"a,b\""));
        assert!(allows(MODIFIED));
        assert!(!allows("W/\"a,b\""));
        assert!(!allows("\"x\""));
        assert!(!allows(BEFORE));
        assert!(!allows(AFTER));
        assert!(!allows("nonsense"));
        let fresh = Validators { is_date_strong: false, ..validators() };
        assert!(!allows_range(&headers(&[(IF_RANGE, MODIFIED)]), &fresh));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(value in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                for name in [IF_MATCH, IF_UNMODIFIED_SINCE, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE] {
                    let headers = HeaderMap::from_iter([(name, value.clone())]);
                    weigh(&headers, &validators());
                    allows_range(&headers, &validators());
                }
            }
        }

        #[test]
        fn a_tag_is_found_among_others(others in prop::collection::vec("\"[!#-~]{0,6}\"", 0..6), at in 0_usize..6) {
            let mut list = others;
            list.insert(at.min(list.len()), "\"a,b\"".into());
            prop_assert_eq!(verdict([(IF_NONE_MATCH, &list.join(", "))]), Verdict::NotModified);
        }
    }
}

//! Which bytes a `Range` field asks for (RFC 9110 section 14).

use std::ops::Range;

/// More ranges than this in one request are an attack or a mistake; it gets the whole.
const MOST_RANGES: usize = 16;
/// Ranges closer to each other than the head of a part are sent as one.
const SMALLEST_GAP_BYTES: u64 = 128;

/// What to send of a representation.
#[derive(Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it: the field is not for us, or cannot be read.
    Whole,
    /// These parts, in the order asked for; not empty, none empty, none overlapping.
    Parts(Vec<Range<u64>>),
    /// Nothing that is asked for is there: 416.
    Unsatisfiable,
}

/// One element of the list.
enum Spec {
    /// `first-` or `first-last`
    From(u64, Option<u64>),
    /// `-length`
    Last(u64),
}

/// Reads a `Range` field for a representation of `size` bytes.
pub fn select(field: &[u8], size: u64) -> Selection {
    let Some(specs) = parse(field) else { return Selection::Whole };
    // Content-Range cannot say "the last bytes of nothing".
    if size == 0 && specs.iter().any(|spec| matches!(spec, Spec::Last(1..))) {
        return Selection::Whole;
    }
    let mut parts = Vec::with_capacity(specs.len());
    for part in specs.into_iter().filter_map(|spec| resolve(spec, size)) {
        coalesce(&mut parts, part);
    }
    if parts.is_empty() { Selection::Unsatisfiable } else { Selection::Parts(parts) }
}

fn parse(field: &[u8]) -> Option<Vec<Spec>> {
    let (unit, set) = std::str::from_utf8(field).ok()?.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = Vec::new();
    for element in set.split(',').map(|element| element.trim_matches([' ', '\t'])) {
        if element.is_empty() {
            continue; // RFC 9110 section 5.6.1.2: empty elements are nothing
        }
        if specs.len() == MOST_RANGES {
            return None;
        }
        specs.push(parse_spec(element)?);
    }
    (!specs.is_empty()).then_some(specs)
}

fn parse_spec(element: &str) -> Option<Spec> {
    Some(match element.split_once('-')? {
        ("", length) => Spec::Last(number(length)?),
        (first, "") => Spec::From(number(first)?, None),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            Spec::From(first, Some(last))
        }
    })
}

/// Digits only; what is too big for any file is as good as the biggest number.
fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn resolve(spec: Spec, size: u64) -> Option<Range<u64>> {
    let part = match spec {
        Spec::From(first, last) => first..last.map_or(size, |last| last.saturating_add(1).min(size)),
        Spec::Last(length) => size.saturating_sub(length)..size,
    };
    (!part.is_empty()).then_some(part)
}

/// Adds a part, merged with all it touches: no byte goes out twice. It takes the place of the first of them.
fn coalesce(parts: &mut Vec<Range<u64>>, mut part: Range<u64>) {
    let mut place = None;
    // What has been merged may reach parts that were passed over before: again, until nothing is near.
    while let Some(at) = parts.iter().position(|other| are_near(other, &part)) {
        let other = parts.remove(at);
        part = part.start.min(other.start)..part.end.max(other.end);
        place = Some(place.map_or(at, |place: usize| place.min(at)));
    }
    parts.insert(place.unwrap_or(parts.len()), part);
}

fn are_near(one: &Range<u64>, other: &Range<u64>) -> bool {
    let gap = one.start.max(other.start).saturating_sub(one.end.min(other.end));
    gap < SMALLEST_GAP_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Selection::{Unsatisfiable, Whole};
    use super::*;

    fn parts<const N: usize>(parts: [Range<u64>; N]) -> Selection {
        Selection::Parts(parts.to_vec())
    }

    fn part(part: Range<u64>) -> Selection {
        Selection::Parts(vec![part])
    }

    #[test]
    fn one_range() {
        let field = |field: &str| select(field.as_bytes(), 1000);
        assert_eq!(field("bytes=0-0"), part(0..1));
        assert_eq!(field("bytes=0-"), part(0..1000));
        assert_eq!(field("Bytes=10-19"), part(10..20));
        assert_eq!(field("bytes=990-2000"), part(990..1000));
        assert_eq!(field("bytes=-10"), part(990..1000));
        assert_eq!(field("bytes=-2000"), part(0..1000));
        assert_eq!(field("bytes=5-99999999999999999999999"), part(5..1000));
        assert_eq!(field("bytes=1000-"), Unsatisfiable);
        assert_eq!(field("bytes=99999999999999999999999-"), Unsatisfiable);
        assert_eq!(field("bytes=-0"), Unsatisfiable);
    }

    #[test]
    fn what_cannot_be_read_is_ignored() {
        for field in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1-2-3",
            "bytes 1-2",
            "items=0-1",
            "bytes=0-1,x",
            "bytes =0-1",
            "bytes=0x1-2",
            "bytes=1 - 2",
            "bytes=٣-",
        ] {
            assert_eq!(select(field.as_bytes(), 1000), Whole, "{field}");
        }
    }

    #[test]
    fn an_empty_file_has_no_ranges() {
        assert_eq!(select(b"bytes=0-", 0), Unsatisfiable);
        assert_eq!(select(b"bytes=-0", 0), Unsatisfiable);
        assert_eq!(select(b"bytes=-5", 0), Whole);
    }

    #[test]
    fn several_ranges_keep_their_order_and_never_overlap() {
        let field = |field: &str| select(field.as_bytes(), 10_000);
        assert_eq!(field("bytes=0-9, 1000-1009 ,,"), parts([0..10, 1000..1010]));
        assert_eq!(field("bytes=5000-5009,0-9"), parts([5000..5010, 0..10]));
        assert_eq!(field("bytes=0-9,90000-"), part(0..10));
        assert_eq!(field("bytes=0-9,10-19"), part(0..20));
        assert_eq!(field("bytes=0-9,100-109"), part(0..110));
        assert_eq!(field("bytes=0-,0-,0-"), part(0..10_000));
        assert_eq!(field("bytes=0-9,9000-9009,5-9500"), part(0..9501));
        assert_eq!(field("bytes=4000-4009,0-9,9000-9009,5-4005"), parts([0..4010, 9000..9010]));
    }

    #[test]
    fn too_many_ranges_are_ignored() {
        let field = |count: u64| {
            format!("bytes={}", (0..count).map(|at| format!("{0}-{0},", at * 500)).collect::<String>())
        };
        assert!(matches!(select(field(16).as_bytes(), 10_000), Selection::Parts(parts) if parts.len() == 16));
        assert_eq!(select(field(17).as_bytes(), 10_000), Whole);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(field in prop::collection::vec(any::<u8>(), 0..60), size: u64) {
            select(&field, size);
        }

        #[test]
        fn parts_are_inside_and_apart(set in "([0-9]{0,4}-[0-9]{0,4},? ?){1,8}", size in 0_u64..5000) {
            if let Selection::Parts(parts) = select(format!("bytes={set}").as_bytes(), size) {
                prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= size));
                prop_assert!(parts.iter().map(|part| part.end - part.start).sum::<u64>() <= size);
            }
        }

        #[test]
        fn every_byte_asked_for_is_sent(ranges in prop::collection::vec((0_u64..5000, 0_u64..300), 1..16)) {
            let set: Vec<_> = ranges.iter().map(|(first, more)| format!("{first}-{}", first + more)).collect();
            let Selection::Parts(parts) = select(format!("bytes={}", set.join(",")).as_bytes(), 10_000) else {
                return Err(TestCaseError::fail("satisfiable"));
            };
            for (first, more) in ranges {
                prop_assert!(parts.iter().any(|part| part.start <= first && first + more < part.end));
            }
        }
    }
}

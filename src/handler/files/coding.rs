//! Content codings of precompressed siblings, and which of them a client takes (RFC 9110 section 12.5.3).

use crate::handler::accept::thousandths;

/// A coding that a sibling file may hold, in our order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `.br`
    Brotli,
    /// `.zst`
    Zstandard,
    /// `.gz`
    Gzip,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Brotli, Self::Zstandard, Self::Gzip];

    /// Its name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstandard => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// What its file name ends in, after the name of the original.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstandard => ".zst",
            Self::Gzip => ".gz",
        }
    }

    fn is_named(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name()) || self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip")
    }
}

/// The codings worth looking for, best first; empty means the original.
pub type Preference = [Option<Coding>; 3];

/// In thousandths.
type Quality = u16;

/// Reads all `Accept-Encoding` lines. A coding below an explicitly weighed `identity` is not worth looking for; what
/// cannot be read does not count.
pub fn preference<'h>(lines: impl Iterator<Item = &'h [u8]>) -> Preference {
    let mut named: [Option<Quality>; 3] = [None; 3];
    let (mut identity, mut any) = (None, None);
    for (name, quality) in lines.flat_map(|line| line.split(|&byte| byte == b',')).filter_map(element) {
        let slot = match Coding::ALL.iter().position(|coding| coding.is_named(name)) {
            Some(at) => &mut named[at],
            None if name == "*" => &mut any,
            None if name.eq_ignore_ascii_case("identity") => &mut identity,
            None => continue,
        };
        *slot = Some(quality);
    }
    let mut ranked = [0, 1, 2].map(|at| {
        let quality = named[at].or(any).unwrap_or(0);
        (quality > 0 && quality >= identity.unwrap_or(0)).then_some((quality, Coding::ALL[at]))
    });
    // Stable: equal weights keep our own order.
    ranked.sort_by_key(|choice| std::cmp::Reverse(choice.map(|(quality, _)| quality)));
    ranked.map(|choice| choice.map(|(_, coding)| coding))
}

/// `gzip`, `gzip;q=0.5`
fn element(element: &[u8]) -> Option<(&str, Quality)> {
    let mut parts = std::str::from_utf8(element).ok()?.split(';').map(str::trim);
    let name = parts.next()?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((name, weight.map_or(1000, thousandths)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Coding::{Brotli, Gzip, Zstandard};
    use super::*;

    fn preferred(line: &str) -> Vec<Coding> {
        preference(std::iter::once(line.as_bytes())).into_iter().flatten().collect()
    }

    #[test]
    fn weights_are_respected() {
        assert_eq!(preferred("gzip, deflate, br, zstd"), [Brotli, Zstandard, Gzip]);
        assert_eq!(preferred("gzip;q=1.0, br;q=0.5"), [Gzip, Brotli]);
        assert_eq!(preferred("GZIP ; Q=0.001"), [Gzip]);
        assert_eq!(preferred("x-gzip"), [Gzip]);
        assert_eq!(preferred("br;q=0, *"), [Zstandard, Gzip]);
        assert_eq!(preferred("*;q=0, gzip"), [Gzip]);
        assert_eq!(preferred("identity, gzip;q=0.9"), []);
        assert_eq!(preferred("identity;q=0.2, gzip;q=0.9"), [Gzip]);
        assert_eq!(preferred("identity;q=0, br"), [Brotli]);
        assert_eq!(preferred(""), []);
        assert_eq!(preferred("deflate"), []);
        assert_eq!(preferred("gzip;q=0.000, zstd;q=x"), []);
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines: [&[u8]; 2] = [b"gzip;q=0.5", b"br"];
        assert_eq!(preference(lines.into_iter()), [Some(Brotli), Some(Gzip), None]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(line in prop::collection::vec(any::<u8>(), 0..60)) {
            preference(std::iter::once(line.as_slice()));
        }
    }
}

//! What a client would like to read: HTML, JSON or plain text (RFC 9110 section 12.5.1).

use hyper::HeaderMap;
use hyper::header::{ACCEPT, HeaderValue};

/// A form in which dormouse can say the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For browsers.
    Html,
    /// For programs.
    Json,
    /// For everybody else.
    Plain,
}

impl Format {
    /// The form these request headers ask for. No `Accept`, or one that says nothing about any of the three, means
    /// plain text; so does `*/*`, which is what curl sends.
    pub fn asked(headers: &HeaderMap) -> Self {
        Self::named(headers).unwrap_or(Self::Plain)
    }

    /// The form these request headers name, if they name one of the three.
    pub fn named(headers: &HeaderMap) -> Option<Self> {
        Self::of(headers.get_all(ACCEPT).iter())
    }

    /// The form that these values of `Accept` name, if they name one of the three.
    pub fn of<'v>(accept: impl Iterator<Item = &'v HeaderValue>) -> Option<Self> {
        // In this order: when two are wanted alike, the earlier one stays.
        let mut wishes = [
            Wish::new(Self::Html, "text/html"),
            Wish::new(Self::Json, "application/json"),
            Wish::new(Self::Plain, "text/plain"),
        ];
        for range in accept.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
            wishes.iter_mut().for_each(|wish| wish.hear(range));
        }
        let named = wishes.into_iter().filter(|wish| wish.specificity > 1 && wish.quality > 0);
        named
            .reduce(|best, wish| if wish.quality > best.quality { wish } else { best })
            .map(|wish| wish.format)
    }
}

/// How much a form is wanted.
struct Wish {
    format: Format,
    media: &'static str,
    /// Of the most specific range so far that covers it: that one decides.
    specificity: u8,
    /// In thousandths.
    quality: u16,
}

impl Wish {
    fn new(format: Format, media: &'static str) -> Self {
        Self { format, media, specificity: 0, quality: 0 }
    }

    /// Takes one range of `Accept` into account.
    fn hear(&mut self, range: &str) {
        let mut parts = range.split(';').map(str::trim);
        let specificity = specificity(parts.next().unwrap_or_default(), self.media);
        if specificity > self.specificity {
            self.specificity = specificity;
            self.quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
        }
    }
}

/// 3 for the type itself, 2 for `type/*`, 1 for `*/*`, 0 for anything else.
fn specificity(range: &str, media: &str) -> u8 {
    let family = media.split('/').next().unwrap_or_default();
    if range.eq_ignore_ascii_case(media) {
        3
    } else if range.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(family)) {
        2
    } else {
        u8::from(range == "*/*")
    }
}

/// A weight (RFC 9110 section 12.4.2) in thousandths; what cannot be read weighs nothing.
pub(super) fn thousandths(quality: &str) -> u16 {
    let quality: f32 = quality.parse().unwrap_or(0.0);
    (quality.clamp(0.0, 1.0) * 1000.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &'static str) -> Format {
        Format::asked(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]))
    }

    #[test]
    fn browsers_get_html_programs_json_and_curl_plain_text() {
        assert_eq!(Format::asked(&HeaderMap::new()), Format::Plain);
        assert_eq!(asked("*/*"), Format::Plain);
        assert_eq!(asked("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Format::Html);
        assert_eq!(asked("application/json"), Format::Json);
        assert_eq!(asked("application/json, text/plain, */*"), Format::Json); // a common JavaScript client
        assert_eq!(asked("application/*"), Format::Json);
        assert_eq!(asked("text/plain"), Format::Plain);
        assert_eq!(asked("image/png"), Format::Plain);
    }

    #[test]
    fn qualities_are_weighed() {
        assert_eq!(asked("text/html;q=0.5, application/json;q=0.9"), Format::Json);
        assert_eq!(asked("text/html;q=0, application/json;q=0.1"), Format::Json);
        assert_eq!(asked("text/html;level=1;q=0.2, text/plain;q=0.3"), Format::Plain);
        assert_eq!(asked("TEXT/HTML"), Format::Html);
        assert_eq!(asked("text/html;q=rubbish"), Format::Plain);
        assert_eq!(asked(";;,,q=;*/"), Format::Plain);
    }
}

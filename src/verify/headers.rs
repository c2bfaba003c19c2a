//! What signatures are made of: headers that are there once, hex, base64, and times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::HeaderMap;

use super::Refusal;

/// A signature: HMAC-SHA256.
pub type Tag = [u8; 32];

/// How old a signature may be, and how far ahead the sender's clock: what Stripe and Slack say, and what the libraries
/// of Standard Webhooks do.
pub const WINDOW: Duration = Duration::from_secs(300);

/// No honest header of these is longer.
const LONGEST: usize = 4096;

/// The value of a header that has to be there once, in visible ASCII.
pub fn only<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Refusal::Missing(name))?;
    if values.next().is_some() {
        return Err(Refusal::Repeated(name));
    }
    value.to_str().ok().filter(|text| text.len() <= LONGEST).ok_or(Refusal::Malformed(name))
}

/// Checks that a time in seconds since 1970, which `header` says, is about now.
pub fn recent(header: &'static str, text: &str, now: SystemTime) -> Result<(), Refusal> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let said: u64 = text.parse().ok().filter(|_| is_number).ok_or(Refusal::Malformed(header))?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let off_secs = now.as_secs().abs_diff(said);
    if off_secs > WINDOW.as_secs() { Err(Refusal::Stale { header, off_secs }) } else { Ok(()) }
}

/// A signature in hex.
pub fn hex(text: &str) -> Option<Tag> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut tag = Tag::default();
    if text.len() != 2 * tag.len() {
        return None;
    }
    for (byte, pair) in tag.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(tag)
}

/// Bytes in base64 (RFC 4648 section 4), padded or not.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let padding = text.len() - text.trim_end_matches('=').len();
    let digits = &text.as_bytes()[..text.len() - padding];
    let is_whole =
        digits.len() % 4 != 1 && (padding == 0 || (digits.len() + padding).is_multiple_of(4) && padding < 3);
    if !is_whole {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for digit in digits {
        bits = (bits << 6) | u32::from(value(*digit)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(((bits >> count) & 0xff) as u8);
        }
    }
    let rest = bits & ((1 << count) - 1);
    (rest == 0).then_some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_of_the_rfc() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob")] {
            assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        for text in ["Z", "Zg=", "Zg===", "=", "====", "Zm9v====", "Zh==", "Zm 9v", "Zm9-", "Z=g="] {
            assert_eq!(base64(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_digits_within_five_minutes() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        for good in ["1000000", "999700", "1000300", "0001000000"] {
            assert_eq!(recent("t", good, now), Ok(()), "{good}");
        }
        for (off, bad) in [(301, "999699"), (301, "1000301"), (1_000_000, "0")] {
            assert_eq!(recent("t", bad, now), Err(Refusal::Stale { header: "t", off_secs: off }));
        }
        for bad in ["", "+1000000", "-1", "1e6", " 1000000", "1000000.0", "99999999999999999999"] {
            assert_eq!(recent("t", bad, now), Err(Refusal::Malformed("t")), "{bad}");
        }
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert!(matches!(recent("t", "1000000", before), Err(Refusal::Stale { .. })));
        assert!(matches!(recent("t", &u64::MAX.to_string(), now), Err(Refusal::Stale { .. })));
    }

    proptest! {
        #[test]
        fn hex_is_read_as_it_is_written(tag in any::<Tag>(), upper in any::<bool>()) {
            let text: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
            let text = if upper { text.to_uppercase() } else { text };
            prop_assert_eq!(hex(&text), Some(tag));
            prop_assert_eq!(hex(&text[1..]), None);
            prop_assert_eq!(hex(&format!("{}g", &text[1..])), None);
        }

        #[test]
        fn no_text_panics(text in "\\PC*|[0-9a-fA-F]{64}|[A-Za-z0-9+/]*={0,3}") {
            let _ = (hex(&text), base64(&text));
        }
    }
}

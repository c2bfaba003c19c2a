//! What follows a semicolon in Content-Type and Content-Disposition: `form-data; name="a"; filename=b`.

use std::borrow::Cow;

/// What stands before the parameters.
pub fn essence(value: &[u8]) -> &[u8] {
    split(value, b';').0.trim_ascii()
}

/// The first parameter of this name. A backslash counts only before a quote and another backslash (RFC 9110 section
/// 5.6.4): old browsers put whole paths here, without a care.
pub fn parameter<'v>(value: &'v [u8], name: &str) -> Option<Cow<'v, [u8]>> {
    let mut rest = split(value, b';').1?;
    loop {
        let (before, after) = split_at_first(rest, b"=;");
        let is_it = before.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        let found;
        (found, rest) = match after {
            [b'=', after @ ..] => own_value(after.trim_ascii_start())?,
            _ => (Cow::Borrowed(&[][..]), after),
        };
        if is_it {
            return Some(found);
        }
        rest = rest.get(1..)?;
    }
}

/// The value of a parameter, and what follows it, which begins with a semicolon or is nothing.
fn own_value(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let [b'"', quoted @ ..] = text else {
        let (token, rest) = split_at_first(text, b";");
        return Some((token.trim_ascii().into(), rest));
    };
    let mut unescaped = Vec::new();
    let mut rest = quoted;
    loop {
        let (plain, after) = split_at_first(rest, b"\"\\");
        unescaped.extend_from_slice(plain);
        match after {
            [b'"', after @ ..] => return Some((unescaped.into(), split_at_first(after, b";").1)),
            [b'\\', byte @ (b'"' | b'\\'), after @ ..] => {
                unescaped.push(*byte);
                rest = after;
            }
            [byte, after @ ..] => {
                unescaped.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

fn split(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(at, text) {
        Some(index) => (&text[..index], Some(&text[index + 1..])),
        None => (text, None),
    }
}

/// What comes before the first of these bytes, and the rest.
fn split_at_first<'t>(text: &'t [u8], bytes: &[u8]) -> (&'t [u8], &'t [u8]) {
    text.split_at(text.iter().position(|byte| bytes.contains(byte)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(value: &str) -> Option<String> {
        parameter(value.as_bytes(), "name").map(|name| String::from_utf8(name.into_owned()).unwrap())
    }

    #[test]
    fn as_browsers_and_curl_write_them() {
        for (value, is) in [
            (r#"form-data; name="a""#, "a"),
            (r#"form-data; NAME = "a" ; filename="b""#, "a"),
            (r#"form-data; filename="a; name=b"; name=c"#, "c"),
            (r#"form-data;filename=b;name=a "#, "a"),
            (r#"form-data; name="say \"hi\\\"""#, r#"say "hi\""#),
            (r#"form-data; name="C:\dir\file""#, r"C:\dir\file"),
            (r#"form-data; name="%22""#, "%22"),
            (r#"form-data; name=;x"#, ""),
            (r#"form-data; flag; name="""#, ""),
            (r#"form-data; name="ü""#, "ü"),
        ] {
            assert_eq!(name(value).as_deref(), Some(is), "{value}");
        }
        for value in
            ["", ";", "form-data", "name=a", r#"form-data; name="a"#, r#"x; name="a\""#, "x; filename=a"]
        {
            assert_eq!(name(value), None, "{value}");
        }
        assert_eq!(essence(b" form-data ;x"), b"form-data");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(value in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (essence(&value), parameter(&value, "name"));
        }

        #[test]
        fn what_is_quoted_is_read_again(text in "\\PC{0,20}", before in "(; *filename=\"[a-z;=]{0,5}\")?") {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            let value = format!("form-data{before}; name=\"{quoted}\"");
            prop_assert_eq!(name(&value), Some(text));
        }
    }
}

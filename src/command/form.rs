//! Forms: `application/x-www-form-urlencoded`, which queries are too, and `multipart/form-data`.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::Uri;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode;
use serde_json::Value;

use super::Unfit;
use crate::intake;

/// The most fields of a form: each costs more than the byte or two it came in.
const MOST_FIELDS: usize = 1000;

/// What a form says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    /// Names and values, in the order they came. A file is its content.
    pub fields: Vec<(String, Bytes)>,
    /// The JSON in its field `payload`, if that was wanted: GitHub sends webhooks so too.
    pub payload: Option<Value>,
}

impl Form {
    /// Reads `name=value&...`.
    pub(super) fn parse(body: &Bytes) -> Result<Self, Unfit> {
        let mut fields = Vec::new();
        for (name, value) in pairs(body) {
            if fields.len() == MOST_FIELDS {
                return Err(Unfit::TooManyFields(MOST_FIELDS));
            }
            let value = match value {
                Cow::Borrowed(value) => body.slice_ref(value),
                Cow::Owned(value) => value.into(),
            };
            fields.push((String::from_utf8_lossy(&name).into_owned(), value));
        }
        Ok(Self { fields, payload: None })
    }

    /// Reads `multipart/form-data` (RFC 7578), all of which is here.
    pub(super) fn parse_multipart(content_type: &HeaderValue, body: &Bytes) -> Result<Self, Unfit> {
        let fields = intake::fields(Some(content_type), body).map_err(Unfit::NotForm)?.unwrap_or_default();
        let fields = fields.into_iter().map(|(name, value)| (name, value.into())).collect();
        Ok(Self { fields, payload: None })
    }

    /// The value of the first field of this name.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }
}

/// The value of a parameter of a query, decoded.
pub fn parameter<'u>(uri: &'u Uri, name: &str) -> Option<Cow<'u, [u8]>> {
    let mut pairs = pairs(uri.query().unwrap_or_default().as_bytes());
    pairs.find(|(own, _)| own[..] == *name.as_bytes()).map(|(_, value)| value)
}

/// The names and values of a query or an urlencoded form, decoded.
fn pairs(text: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    let pairs = text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        (decode(&pair[..at]), decode(pair.get(at + 1..).unwrap_or_default()))
    })
}

/// `+` is a space, and `%2B` a plus.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'+', b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    let spaced: Vec<_> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(form: Result<Form, Unfit>) -> Vec<(String, String)> {
        let text = |value: Bytes| String::from_utf8_lossy(&value).into_owned();
        form.expect("a form").fields.into_iter().map(|(name, value)| (name, text(value))).collect()
    }

    #[test]
    fn urlencoded() {
        for (body, expected) in [
            ("", &[][..]),
            ("a=1&b=2", &[("a", "1"), ("b", "2")][..]),
            ("a=1&a=2", &[("a", "1"), ("a", "2")]),
            ("a+b=c+d%2B%20e", &[("a b", "c d+ e")]),
            ("flag&e=&=v&&", &[("flag", ""), ("e", ""), ("", "v")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a=%zz%4", &[("a", "%zz%4")]),
            ("a=%00", &[("a", "\0")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
            assert_eq!(read(Form::parse(&Bytes::from_static(body.as_bytes()))), expected, "{body}");
        }
        let many = Bytes::from("a&".repeat(MOST_FIELDS + 1));
        assert_eq!(Form::parse(&many), Err(Unfit::TooManyFields(MOST_FIELDS)));
        assert_eq!(Form::parse(&many.slice(2..)).expect("a form").fields.len(), MOST_FIELDS);
    }

    const TYPE: HeaderValue = HeaderValue::from_static("multipart/form-data; boundary=\"x y\"");

    fn part(head: &str, content: &str) -> String {
        format!("--x y\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    }

    #[test]
    fn multipart() {
        let body = [
            part("name=\"a\"", "1"),
            part("name=\"file\"; filename=\"x.csv\"\r\nContent-Type: text/csv", "one,two\r\n--x\r\n"),
            part("name=\"empty\"", ""),
            "--x y--\r\n".to_owned(),
        ];
        let expected = [("a", "1"), ("file", "one,two\r\n--x\r\n"), ("empty", "")];
        let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(read(Form::parse_multipart(&TYPE, &body.concat().into())), expected);
        assert_eq!(read(Form::parse_multipart(&TYPE, &Bytes::from_static(b"--x y--"))), []);
    }

    #[test]
    fn what_is_cut_off_is_no_form() {
        let body = part("name=\"a\"", "1") + &part("name=\"b\"", "2") + "--x y--";
        for end in 0..body.len() {
            let cut = Bytes::copy_from_slice(&body.as_bytes()[..end]);
            assert!(matches!(Form::parse_multipart(&TYPE, &cut), Err(Unfit::NotForm(_))), "{end}");
        }
        let bare = HeaderValue::from_static("multipart/form-data");
        assert!(Form::parse_multipart(&bare, &Bytes::from(body)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(fields in prop::collection::vec(("\\PC{1,8}", prop::collection::vec(any::<u8>(), 0..12)), 0..5)) {
            let encode = |bytes: &[u8]| {
                percent_encoding::percent_encode(bytes, percent_encoding::NON_ALPHANUMERIC).to_string().replace("%20", "+")
            };
            let pairs: Vec<_> = fields.iter().map(|(n, v)| format!("{}={}", encode(n.as_bytes()), encode(v))).collect();
            let form = Form::parse(&Bytes::from(pairs.join("&"))).expect("a form");
            let fields: Vec<_> = fields.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect();
            prop_assert_eq!(form.fields, fields);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in "\\PC{0,40}") {
            let body = Bytes::from(bytes);
            let _ = Form::parse(&body);
            if let Ok(kind) = HeaderValue::from_str(&kind) {
                let _ = Form::parse_multipart(&kind, &body);
            }
            let _ = Form::parse_multipart(&TYPE, &body);
        }

        #[test]
        fn no_form_panics(pieces in prop::collection::vec("--x y|--|\\r\\n|\\r|Content-Disposition: form-data; name=|\"|a|;|:|filename\\*=| ", 0..40)) {
            let _ = Form::parse_multipart(&TYPE, &Bytes::from(pieces.concat()));
        }
    }
}

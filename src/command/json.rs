//! What JSON says at the end of a path of keys.

use std::borrow::Cow;

use serde_json::Value;

use super::Unfit;

/// Reads JSON; `what` it is, for the error. Nested deeper than 128 levels, it is none to serde_json.
pub(super) fn parse(bytes: &[u8], what: &'static str) -> Result<Value, Unfit> {
    serde_json::from_slice(bytes).map_err(|error| Unfit::NotJson {
        what,
        line: error.line(),
        column: error.column(),
    })
}

/// Whether a media type is of JSON (RFC 6839 section 3.1).
pub(super) fn is_json(essence: &str) -> bool {
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// What the keys lead to. In a list, a key is a place, counted from 0.
pub(super) fn find<'v>(value: &'v Value, keys: &[String]) -> Option<&'v Value> {
    keys.iter().try_fold(value, |value, key| match value {
        Value::Object(object) => object.get(key),
        // `parse` would take +1.
        Value::Array(list) if key.bytes().all(|byte| byte.is_ascii_digit()) => {
            list.get(key.parse::<usize>().ok()?)
        }
        _ => None,
    })
}

/// A single value as text: a string as it is, a number as it was written. `None`: null. An object or list is no single
/// value, and comes back as `Err`.
pub(super) fn text(value: &Value) -> Result<Option<Cow<'_, str>>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(true) => Ok(Some("true".into())),
        Value::Bool(false) => Ok(Some("false".into())),
        Value::Number(number) => Ok(Some(number.to_string().into())),
        Value::String(text) => Ok(Some(text.into())),
        Value::Array(_) | Value::Object(_) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(json: &str, path: &str) -> Result<Option<String>, ()> {
        let json = parse(json.as_bytes(), "body").expect(json);
        let keys: Vec<_> = path.split('.').map(str::to_owned).collect();
        match find(&json, &keys) {
            Some(value) => Ok(text(value)?.map(Cow::into_owned)),
            None => Ok(None),
        }
    }

    #[test]
    fn paths_lead_to_values() {
        let json = r#"{ "ref": "refs/heads/main", "n": [10, { "a b": [[true]] }], "0": "zero", "null": null,
            "big": 12345678901234567890123, "version": 1.10, "less": -5, "tiny": 1e-7, "f": false, "empty": "" }"#;
        for (path, expected) in [
            ("ref", Some("refs/heads/main")),
            ("n.0", Some("10")),
            ("n.1.a b.0.0", Some("true")),
            ("0", Some("zero")),
            ("big", Some("12345678901234567890123")),
            ("version", Some("1.10")),
            ("less", Some("-5")),
            ("tiny", Some("1e-7")),
            ("f", Some("false")),
            ("empty", Some("")),
            ("null", None),
            ("none", None),
            ("ref.x", None),
            ("null.x", None),
            ("n.2", None),
            ("n.+1", None),
            ("n.-1", None),
            ("n.99999999999999999999999", None),
        ] {
            assert_eq!(at(json, path), Ok(expected.map(str::to_owned)), "{path}");
        }
        assert_eq!(at(json, "n"), Err(()));
        assert_eq!(at(json, "n.1"), Err(()));
    }

    #[test]
    fn what_is_no_json_says_where_and_not_what() {
        for (text, line, column) in [("", 1, 0), ("{\n\"a\": secret}", 2, 6), ("{} secret", 1, 4)] {
            let error = parse(text.as_bytes(), "body").expect_err(text);
            assert_eq!(error, Unfit::NotJson { what: "body", line, column });
            assert!(!error.to_string().contains("secret"));
        }
        assert!(parse("[".repeat(100_000).as_bytes(), "body").is_err(), "no stack is deep enough for all");
        assert!(parse(br#""\ud800""#, "body").is_err(), "half a character");
    }

    #[test]
    fn the_media_types_of_json() {
        for (essence, expected) in [
            ("application/json", true),
            ("application/vnd.github+json", true),
            ("application/x-json", false),
            ("text/json+x", false),
            ("image/svg+json", false),
        ] {
            assert_eq!(is_json(essence), expected, "{essence}");
        }
    }

    proptest! {
        #[test]
        fn strings_and_numbers_come_back(string in "\\PC*", number: i128) {
            let json = serde_json::json!({ "s": string }).to_string();
            prop_assert_eq!(at(&json, "s"), Ok(Some(string)));
            prop_assert_eq!(at(&format!("[{number}]"), "0"), Ok(Some(number.to_string())));
        }
    }
}

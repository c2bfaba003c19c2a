//! What a request's body says, for those placeholders that stand for a piece of it.

use bytes::Bytes;
use hyper::header::HeaderValue;
use serde_json::Value;

use super::{Form, Unfit, json};

/// What a command needs of a request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The fields of a form.
    pub form: bool,
    /// Values in JSON.
    pub json: bool,
}

/// What a request's body says. JSON takes more room here than in the body, ten times and more: make the arguments of it at
/// once, and drop it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fields {
    /// Nothing that anybody wants to know.
    #[default]
    None,
    /// A form.
    Form(Form),
    /// JSON.
    Json(Value),
}

impl Wants {
    /// Whether the body has to be read before there can be a command.
    pub fn any(self) -> bool {
        self.form || self.json
    }

    /// What the body is expected to be.
    fn expected(self) -> &'static str {
        const FORM: &str = "a form (application/x-www-form-urlencoded or multipart/form-data)";
        const JSON: &str = "JSON (application/json), or a form with a field \"payload\" of JSON";
        const EITHER: &str =
            "a form (application/x-www-form-urlencoded or multipart/form-data) or JSON (application/json)";
        match (self.form, self.json) {
            (true, false) => FORM,
            (false, _) => JSON,
            (true, true) => EITHER,
        }
    }
}

impl Fields {
    /// Reads a body as what its `Content-Type` says.
    ///
    /// # Errors
    /// When it is not what is wanted, or not what it is said to be. No body at all is no error: then each field is missing.
    pub fn parse(content_type: Option<&HeaderValue>, body: &Bytes, wants: Wants) -> Result<Self, Unfit> {
        if !wants.any() || (body.is_empty() && content_type.is_none()) {
            return Ok(Self::None);
        }
        let said = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let form = match &essence[..] {
            "application/x-www-form-urlencoded" => Form::parse(body)?,
            "multipart/form-data" => {
                Form::parse_multipart(content_type.unwrap_or(&HeaderValue::from_static("")), body)?
            }
            essence if wants.json && json::is_json(essence) => {
                return json::parse(body, "body").map(Self::Json);
            }
            _ => return Err(Unfit::Unexpected(wants.expected())),
        };
        let payload = form.get("payload").filter(|_| wants.json);
        let payload = payload.map(|payload| json::parse(payload, "field \"payload\"")).transpose()?;
        if payload.is_none() && !wants.form {
            return Err(Unfit::Unexpected(wants.expected()));
        }
        Ok(Self::Form(Form { payload, ..form }))
    }

    /// The JSON in it.
    pub(super) fn json(&self) -> Option<&Value> {
        match self {
            Self::None => None,
            Self::Form(form) => form.payload.as_ref(),
            Self::Json(value) => Some(value),
        }
    }

    /// The value of a form's field.
    pub(super) fn form(&self, name: &str) -> Option<&[u8]> {
        match self {
            Self::Form(form) => form.get(name).map(|value| &value[..]),
            Self::None | Self::Json(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const FORM: Wants = Wants { form: true, json: false };
    const JSON: Wants = Wants { form: false, json: true };
    const BOTH: Wants = Wants { form: true, json: true };
    const URLENCODED: &str = "application/x-www-form-urlencoded";

    fn parse(content_type: &str, body: &'static str, wants: Wants) -> Result<Fields, Unfit> {
        let value = HeaderValue::from_str(content_type).expect("a value");
        let content_type = (!content_type.is_empty()).then_some(&value);
        Fields::parse(content_type, &Bytes::from_static(body.as_bytes()), wants)
    }

    #[test]
    fn a_body_is_what_it_is_said_to_be() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"] {
            assert_eq!(parse(kind, r#"{"a": 1}"#, JSON), Ok(Fields::Json(json!({ "a": 1 }))), "{kind}");
        }
        for (kind, body) in [
            (URLENCODED, "a=1"),
            ("APPLICATION/X-WWW-FORM-URLENCODED ;charset=utf-8", "a=1"),
            (
                "multipart/form-data; boundary=X",
                "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X--\r\n",
            ),
        ] {
            let fields = parse(kind, body, FORM).expect(kind);
            assert_eq!(
                (fields.form("a"), fields.form("b"), fields.json()),
                (Some(&b"1"[..]), None, None),
                "{kind}"
            );
        }
    }

    #[test]
    fn webhooks_come_as_forms_too() {
        let body = "payload=%7B%22ref%22%3A%22main%22%7D&x=1";
        for wants in [JSON, BOTH] {
            let fields = parse(URLENCODED, body, wants).expect("a form");
            assert_eq!(fields.json(), Some(&json!({ "ref": "main" })));
            assert_eq!(fields.form("x"), Some(&b"1"[..]));
        }
        assert_eq!(parse(URLENCODED, body, FORM).expect("a form").json(), None);
        assert!(matches!(
            parse(URLENCODED, "payload=x", JSON),
            Err(Unfit::NotJson { what: "field \"payload\"", .. })
        ));
    }

    #[test]
    fn what_is_neither_says_what_was_expected() {
        let said = |kind, body, wants| parse(kind, body, wants).expect_err(body).to_string();
        for (kind, body) in [("", "a"), ("text/plain", "a"), ("application/json", "{}"), ("\t;", "")] {
            assert!(said(kind, body, FORM).starts_with("the body is expected to be a form"), "{kind}");
        }
        // curl -d sends JSON as a form.
        for (kind, body) in [("", "{}"), ("text/plain", "{}"), (URLENCODED, r#"{"a":1}"#)] {
            assert!(said(kind, body, JSON).starts_with("the body is expected to be JSON"), "{kind}");
        }
        assert!(said("text/json", "{}", BOTH).ends_with("or JSON (application/json)"));
        assert!(matches!(parse("application/json", "", BOTH), Err(Unfit::NotJson { .. })));
    }

    #[test]
    fn nothing_is_read_that_nobody_wants() {
        assert_eq!(parse("application/json", "{", Wants::default()), Ok(Fields::None));
        assert_eq!(parse("", "", BOTH), Ok(Fields::None));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            kind in "application/(x-www-form-urlencoded|json|x\\+json)|multipart/form-data; ?boundary=[a\"]{0,3}|[ -~]{0,20}",
            body in prop::collection::vec(any::<u8>(), 0..200),
            form: bool,
            json: bool,
        ) {
            let kind = HeaderValue::from_str(&kind).expect("a value");
            let _ = Fields::parse(Some(&kind), &body.into(), Wants { form, json });
        }
    }
}

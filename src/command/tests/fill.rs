use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use bytes::Bytes;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Uri};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::command::{Asked, Fields, Unfit, Wants};
use crate::handler::Head;

/// A request of which everything can be asked.
struct Sent {
    uri: Uri,
    headers: HeaderMap,
    page: String,
    fields: Fields,
}

impl Sent {
    fn new(uri: &str, page: &str, fields: Fields) -> Self {
        let lines = [(HOST, "example.org:8080"), (HeaderName::from_static("x-event"), "push")];
        let headers =
            lines.map(|(name, value)| (name, HeaderValue::from_static(value))).into_iter().collect();
        Self { uri: uri.parse().expect(uri), headers, page: page.into(), fields }
    }

    fn with<R>(&self, look: impl FnOnce(&Asked<'_>) -> R) -> R {
        let head = Head { method: &Method::POST, uri: &self.uri, headers: &self.headers };
        look(&Asked { head, captures: &[("page", &self.page)], client: "192.0.2.7", fields: &self.fields })
    }

    fn fill(&self, command: &Command) -> Result<Vec<OsString>, Unfit> {
        self.with(|asked| command.fill(asked))
    }

    fn is_wanted(&self, command: &Command) -> Result<bool, Unfit> {
        self.with(|asked| command.is_wanted(asked))
    }
}

fn form(body: &str) -> Fields {
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    let wants = Wants { form: true, json: true };
    Fields::parse(Some(&kind), &Bytes::copy_from_slice(body.as_bytes()), wants).expect(body)
}

fn query(query: &str) -> Sent {
    Sent::new(&format!("/x/y?{query}"), "y", Fields::None)
}

#[test]
fn values_are_decoded() {
    let json = json!({ "ref": "refs/ä", "n": 1.5, "l": [{ "t": true }], "plus": "a+b%20" });
    let sent = Sent::new("/x/a%2Fb+c?q=a+b%2Bc&my%2Dname=1&q=2&raw=%FF", "a%2Fb+c", Fields::Json(json));
    for (argument, expected) in [
        ("{path}", &b"/x/a/b+c"[..]),
        ("{page}", b"a/b+c"),
        ("{path.page}", b"a/b+c"),
        ("{query.q}", b"a b+c"),
        ("{query.my-name}", b"1"),
        ("{query.raw}", b"\xff"),
        ("{header.X-Event}", b"push"),
        ("{host}", b"example.org"),
        ("{client}", b"192.0.2.7"),
        ("{json.ref}", "refs/ä".as_bytes()),
        ("{json.n}", b"1.5"),
        ("{json.l.0.t}", b"true"),
        ("{json.plus}", b"a+b%20"),
        ("--x={page}{{}}{query.q}.txt", b"--x=a/b+c{}a b+c.txt"),
        ("", b""),
    ] {
        let filled = sent.fill(&command(&["prog", argument], &[], &[])).expect(argument);
        assert_eq!((filled.len(), filled[1].as_bytes()), (2, expected), "{argument}");
    }
    let sent = Sent::new("/x", "y", form("a+b=c%2Bd+e&bin=%FE&payload=%7B%22r%22:1%7D"));
    let filled = sent.fill(&command(&["prog", "{form.a b}", "{form.bin}", "{json.r}"], &[], &[]));
    let expected = ["prog".into(), "c+d e".into(), OsString::from_vec(vec![0xfe]), "1".into()];
    assert_eq!(filled.expect("arguments"), expected);
}

#[test]
fn what_is_missing_is_named() {
    let json = Fields::Json(json!({ "null": null, "list": [], "empty": "" }));
    let sent = Sent::new("/x/?empty=&flag", "", json);
    for (argument, name) in [
        ("{query.none}", "query.none"),
        ("{header.X-None}", "header.x-none"),
        ("{form.x}", "form.x"),
        ("{json.none}", "json.none"),
        ("{json.null}", "json.null"),
        ("{json.list.0}", "json.list.0"),
    ] {
        let error = sent.fill(&command(&["prog", argument], &[], &[])).expect_err(argument);
        assert_eq!(error, Unfit::Missing(name.into()));
        assert_eq!(error.to_string(), format!("{{{name}}} is missing"));
    }
    for argument in ["{query.empty}", "{query.flag}", "{page}", "{json.empty}"] {
        assert_eq!(sent.fill(&command(&["prog", argument], &[], &[])).expect(argument)[1], "", "{argument}");
    }
    let list = sent.fill(&command(&["prog", "{json.list}"], &[], &[]));
    assert_eq!(list, Err(Unfit::NotSingle("json.list".into())));
}

#[test]
fn values_are_held_to_allow() {
    let command = command(&["prog", "{query.q}"], &[("query.q", "[a-z-]+")], &[]);
    for fine in ["main", "-rf"] {
        assert_eq!(query(&format!("q={fine}")).fill(&command).expect(fine)[1], fine);
    }
    for bad in ["", "Main", "main%0A", "%0Amain", "main%0AX", "-r+f", "%FF"] {
        let error = query(&format!("q={bad}")).fill(&command).expect_err(bad);
        assert_eq!(error, Unfit::NotAllowed("query.q".into()), "{bad}");
    }
    assert_eq!(query("").fill(&command), Err(Unfit::Missing("query.q".into())));
}

#[test]
fn no_value_is_an_option() {
    let dash = |name: &str| Err(Unfit::Dash(name.into()));
    let fill =
        |argument, allow: &[_], sent: &str| query(sent).fill(&command(&["prog", argument], allow, &[]));
    for argument in ["{query.a}", "{query.a}.txt", "{query.a}{query.b}", "{query.e}{query.a}"] {
        assert_eq!(fill(argument, &[], "a=-x&b=y&e="), dash("query.a"), "{argument}");
        assert!(fill(argument, &[("query.a", "-x")], "a=-x&b=y&e=").is_ok(), "{argument}");
        assert!(fill(argument, &[], "a=%2Dx&b=y&e=").is_err(), "{argument}");
    }
    // The permission of one is none for another.
    assert_eq!(fill("{query.e}{query.a}", &[("query.e", ".*")], "a=-x&e="), dash("query.a"));
    assert!(fill("{query.a}{query.b}", &[], "a=x&b=-y").is_ok());
    assert!(fill("--depth={query.a}", &[], "a=-1").is_ok());
    assert!(fill("-{query.a}", &[], "a=-1").is_ok(), "its author wrote the dash");
}

#[test]
fn what_no_argument_can_hold() {
    let nul = query("q=a%00b").fill(&command(&["prog", "x{query.q}"], &[("query.q", "(?s).*")], &[]));
    assert_eq!(nul, Err(Unfit::Nul("query.q".into())));
    let sized = |bytes: usize| Sent::new("/", "", Fields::Json(json!({ "s": "a".repeat(bytes) })));
    let (one, two) = (&["prog", "{json.s}"][..], &["prog", "x{json.s}"][..]);
    let long = Err(Unfit::TooLong("json.s".into()));
    assert!(sized((128 << 10) - 1).fill(&command(one, &[], &[])).is_ok());
    assert_eq!(sized(128 << 10).fill(&command(one, &[], &[])), long);
    assert_eq!(sized((128 << 10) - 1).fill(&command(two, &[], &[])), long);
    let many = ["prog"].into_iter().chain(std::iter::repeat_n("{json.s}", 9)).collect::<Vec<_>>();
    assert_eq!(sized((128 << 10) - 1).fill(&command(&many, &[], &[])), long);
    assert!(sized(100 << 10).fill(&command(&many, &[], &[])).is_ok());
}

#[test]
fn only_what_is_wanted_runs() {
    let sent = Sent::new("/x?q=1", "main", Fields::Json(json!({ "ref": "refs/heads/main", "list": [] })));
    for (when, expected) in [
        (&[][..], true),
        (&[("header.X-Event", "push")][..], true),
        (&[("header.X-Event", "pus")], false),
        (
            &[
                ("header.X-Event", "pu.*"),
                ("json.ref", "refs/heads/(main|next)"),
                ("client", r"192\.0\.2\.\d+"),
            ],
            true,
        ),
        (&[("header.X-Event", "push"), ("json.ref", "main")], false),
        (&[("header.X-None", ".*")], false),
        (&[("form.x", ".*")], false),
        (&[("json.none", "")], false),
    ] {
        assert_eq!(sent.is_wanted(&command(&["prog"], &[], when)), Ok(expected), "{when:?}");
    }
    let list = sent.is_wanted(&command(&["prog"], &[], &[("json.list", ".*")]));
    assert_eq!(list, Err(Unfit::NotSingle("json.list".into())));
}

#[test]
fn a_body_is_read_only_for_what_is_in_it() {
    let wants = |line: &[_], allow: &[_], when: &[_]| {
        let Wants { form, json } = command(line, allow, when).wants();
        (form, json)
    };
    assert_eq!(
        wants(&["a", "{page}", "{client}", "{query.form.x}"], &[], &[("header.json", "x")]),
        (false, false)
    );
    assert_eq!(wants(&["a", "x{form.a}"], &[("form.a", "x")], &[]), (true, false));
    assert_eq!(wants(&["a"], &[], &[("json.a", "x")]), (false, true));
    assert_eq!(wants(&["a", "{form.a}"], &[], &[("json.a", "x")]), (true, true));
}

proptest! {
    /// Whatever is sent: no NUL, no argument that begins with a dash, and no word of it in what is said of it.
    #[test]
    fn nothing_passes_that_could_be_something_else(
        a in prop::collection::vec(prop_oneof![Just(b'-'), Just(0), any::<u8>()], 0..6),
        b in prop::collection::vec(prop_oneof![Just(b'-'), Just(0), any::<u8>()], 0..6),
        json in "[-\\x00a\n]{0,4}",
    ) {
        let encode = |bytes: &[u8]| percent_encoding::percent_encode(bytes, percent_encoding::NON_ALPHANUMERIC).to_string();
        let uri = format!("/x?a={}&b={}&mark=SECRET", encode(&a), encode(&b));
        let sent = Sent::new(&uri, &encode(&a), Fields::Json(json!({ "s": json })));
        let line = ["prog", "{query.a}", "{query.a}{query.b}", "{page}.txt", "{json.s}{page}", "x{query.b}"];
        match sent.fill(&command(&line, &[], &[])) {
            Ok(filled) => {
                prop_assert!(filled.iter().all(|argument| !argument.as_bytes().starts_with(b"-")));
                prop_assert!(filled.iter().all(|argument| !argument.as_bytes().contains(&0)));
                prop_assert_eq!(filled[1].as_bytes(), &a[..]);
                prop_assert_eq!(filled[5].as_bytes(), [b"x", &b[..]].concat());
            }
            Err(Unfit::Nul(_)) => prop_assert!(a.contains(&0) || b.contains(&0) || json.contains('\0')),
            Err(Unfit::Dash(_)) => {
                prop_assert!(a.starts_with(b"-") || json.starts_with('-') || (a.is_empty() && b.starts_with(b"-")));
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    /// What `allow` lets through is what its pattern fits from end to end.
    #[test]
    fn allow_is_for_whole_values(value in "[a-b\\-\\n\\x00]{0,5}") {
        let sent = Sent::new("/x", "y", Fields::Json(json!({ "s": value })));
        let filled = sent.fill(&command(&["prog", "{json.s}"], &[("json.s", "-?[ab]+|$")], &[]));
        let bare = value.strip_prefix('-').unwrap_or(&value);
        let is_fit = value.is_empty() || (!bare.is_empty() && bare.bytes().all(|byte| matches!(byte, b'a' | b'b')));
        prop_assert_eq!(filled.is_ok(), is_fit, "{:?}", value);
    }

    #[test]
    fn no_request_panics(uri in "/[!-~&&[^<>`{}|^\"\\\\#]]{0,30}", argument in "\\{(query|json|form|header)\\.[a-c.0-9]{1,5}\\}|\\{(path|host|client|page)\\}") {
        let (Ok(_), Ok(_)) = (uri.parse::<Uri>(), crate::handler::placeholder::Template::<crate::handler::placeholder::CommandSource>::parse(&argument, &["page"])) else { return Ok(()) };
        for fields in [Fields::None, Fields::Json(json!({ "a": [{ "b": 1 }] })), form("a=1&payload=[1,[2]]")] {
            let _ = Sent::new(&uri, "%zz%", fields).fill(&command(&["prog", &argument], &[], &[]));
        }
    }
}

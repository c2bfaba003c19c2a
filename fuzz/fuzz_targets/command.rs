//! No request panics what makes a command of it; no argument of it has a NUL or begins with a dash.
//!
//! `cargo +nightly fuzz run command`
#![no_main]

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;

use bytes::Bytes;
use dormouse::command::{Asked, Command, Fields};
use dormouse::guard::Waits;
use dormouse::handler::{Head, RouteShape};
use dormouse::lasting::Lasting;
use dormouse::schema::{Entry, Faults, Item, Key, Kind, Place, Reader, Table, Value};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, Uri};
use libfuzzer_sys::fuzz_target;

const RUN: Key = Key::new("run", Kind::List, "The program.");
const LINES: [&[&str]; 4] = [
    &["a", "{form.a}", "{form.a}{form.b}", "x{form.c}"],
    &["a", "{json.a}", "{json.a.0}", "x{json.b.c.1.d}"],
    &["a", "{query.a}.txt", "{page}", "{path}"],
    &["a", "{json.a}{form.a}"],
];

static COMMANDS: LazyLock<Vec<Command>> = LazyLock::new(|| LINES.iter().map(|line| command(line)).collect());

fn command(line: &[&str]) -> Command {
    let item = |value| Item { value, place: Place::default() };
    let line = line.iter().map(|text| item(Value::Text((*text).into()))).collect();
    let run = Entry { name: "run".into(), place: Place::default(), item: item(Value::List(line)) };
    let table = Table { entries: vec![run], ..Table::default() };
    let (mut faults, apps, lasting) = (Faults::default(), BTreeMap::new(), Lasting::default());
    let route = RouteShape {
        path: "/x/{page}",
        parameters: &["page"],
        is_subtree: false,
        waits: Waits::default(),
        apps: &apps,
        lasting: &lasting,
    };
    Command::read(&mut Reader::new(&table, &mut faults), Some(&RUN), &route).expect("a command")
}

fuzz_target!(|input: (u8, &str, &str, &str, Vec<u8>)| {
    let (kind, boundary, target, page, body) = input;
    let content_type = match kind % 4 {
        0 => "application/x-www-form-urlencoded".to_owned(),
        1 => format!("multipart/form-data; boundary={boundary}"),
        2 => "application/json".to_owned(),
        _ => boundary.to_owned(),
    };
    let (Ok(content_type), Ok(uri)) = (HeaderValue::from_str(&content_type), target.parse::<Uri>()) else {
        return;
    };
    let (body, headers) = (Bytes::from(body), HeaderMap::new());
    for command in COMMANDS.iter() {
        let Ok(fields) = Fields::parse(Some(&content_type), &body, command.wants()) else { continue };
        let head = Head { method: &Method::POST, uri: &uri, headers: &headers };
        let asked = Asked { head, captures: &[("page", page)], client: "unix", fields: &fields };
        let Ok(filled) = command.fill(&asked) else { continue };
        assert!(filled.iter().all(|argument| !argument.as_bytes().contains(&0)));
        assert!(filled.iter().all(|argument| !argument.as_bytes().starts_with(b"-")));
    }
});

//! The keys of `[[route]]` that have nothing to do with its verb.

use hyper::Method;

use crate::handler::Verb;
use crate::route::{HostPattern, MethodSet};
use crate::schema::{Counts, Fault, Key, Kind, Placed, Reader};
use crate::server::KeepsAwake;

pub(super) const PATH: Key = Key::new(
    "path",
    Kind::Text,
    "The path it takes. Ending in / everything below; else exactly. {name} is one segment, {*rest} all that follows.",
)
.example("/docs/");
const HOST: Key = Key::new(
    "host",
    Kind::Texts,
    "Only for these hosts, without port. *.example.org is all below example.org.",
)
.example("example.org");
const SOCKET: Key =
    Key::new("socket", Kind::Text, "Only on the socket with this FileDescriptorName=.").example("admin");
const METHODS: Key =
    Key::new("methods", Kind::Texts, "Only these methods; GET brings HEAD. The default is the verb's.")
        .example(r#"["GET", "POST"]"#);
const KEEPS_AWAKE: Key = Key::new(
    "keeps_awake",
    Kind::BooleanOr(&["while-active"]),
    "Whether its requests restart the sleep clock. Event streams and upgraded connections keep awake for as long as they \
     are open; with \"while-active\" only their bytes do, and with false not even these: they are told goodbye when all \
     else is quiet.",
)
.default("true")
.example("while-active");

/// The keys every route may have, beside the chain's and its verb's.
pub(super) const COMMON: &[Key] = &[PATH, HOST, SOCKET, METHODS, KEEPS_AWAKE];

/// The hosts it is for.
pub(super) fn hosts(reader: &mut Reader<'_>) -> Vec<HostPattern> {
    let host = |placed: Placed<'_>, reader: &mut Reader<'_>| match HostPattern::parse(placed.text) {
        Ok(host) => Some(host),
        Err(error) => {
            reader.fault(
                Fault::new(placed.place, error.to_string()).help(format!("for example: {}", HOST.line())),
            );
            None
        }
    };
    let texts = list(reader, &HOST).unwrap_or_default();
    texts.into_iter().filter_map(|placed| host(placed, reader)).collect()
}

/// One string or several, at least one.
fn list<'t>(reader: &mut Reader<'t>, key: &Key) -> Option<Vec<Placed<'t>>> {
    let texts = reader.texts(key)?;
    if texts.is_empty() {
        let fault = Fault::new(&reader.place(key), "an empty list: no request would reach this route");
        reader.fault(fault.help(format!("leave `{}` out, or write for example: {}", key.name, key.line())));
    }
    Some(texts)
}

/// The one socket it is reached on, which has to be there. `passed` are the names systemd passed, where they are known.
pub(super) fn socket(reader: &mut Reader<'_>, passed: Option<&[String]>) -> Option<String> {
    let name = reader.text(&SOCKET)?;
    if let Some(passed) = passed.filter(|passed| !passed.iter().any(|own| own == name)) {
        let fault = Fault::new(&reader.place(&SOCKET), format!("systemd passed no socket named {name:?}"));
        let there = passed.join(", ");
        reader.fault(
            fault.help(format!("add FileDescriptorName={name} to its .socket unit; there are: {there}")),
        );
    }
    Some(name.to_owned())
}

/// The methods it takes, if it says.
pub(super) fn methods(reader: &mut Reader<'_>) -> Option<MethodSet> {
    let texts = list(reader, &METHODS)?;
    let mut methods = Vec::new();
    for Placed { text, place } in texts {
        let capitals = text.to_ascii_uppercase();
        match text.parse::<Method>() {
            Ok(method) if text == capitals => methods.push(method),
            Ok(_) => reader.fault(
                Fault::new(place, "methods are written in capitals").help(format!("write {capitals:?}")),
            ),
            Err(_) => {
                let fault = Fault::new(place, format!("{text:?} is no method"));
                reader.fault(fault.help(format!("for example: {}", METHODS.line())));
            }
        }
    }
    Some(MethodSet::only(methods))
}

/// Whether its requests count.
pub(super) fn keeps_awake(reader: &mut Reader<'_>, verb: &Verb) -> KeepsAwake {
    let wanted = match reader.text(&KEEPS_AWAKE) {
        Some("while-active") => KeepsAwake::WhileActive,
        Some("false") => KeepsAwake::No,
        _ => KeepsAwake::Yes,
    };
    match (verb.schema.counts, wanted) {
        (Counts::Never, _) => {}
        (Counts::Yes, KeepsAwake::WhileActive) => {
            let fault = Fault::new(
                &reader.place(&KEEPS_AWAKE),
                format!("`{}` has no streams that could be active", verb.schema.name()),
            );
            reader.fault(fault.help("write true or false"));
            return wanted;
        }
        (Counts::Yes | Counts::YesAndStreams, wanted) => return wanted,
    }
    if wanted != KeepsAwake::No && reader.has(&KEEPS_AWAKE) {
        let fault =
            Fault::new(&reader.place(&KEEPS_AWAKE), format!("`{}` never keeps it awake", verb.schema.name()));
        reader.fault(fault.help("leave it out"));
    }
    KeepsAwake::No
}

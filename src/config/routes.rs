//! `[[route]]`: from a table to a route at work.

use super::apps::Apps;
use super::common::{self, COMMON, PATH};
use crate::guard::{self, Chain, OfServer};
use crate::handler::{RouteShape, VERBS, Verb};
use crate::lasting::Lasting;
use crate::route::{HostPattern, Pattern, Spec};
use crate::schema::{Fault, Faults, Item, Key, Place, Reader, Table, Value};
use crate::site::Route;

/// The keys every route may have, whatever its verb.
pub(super) fn common_keys() -> impl Iterator<Item = &'static Key> {
    COMMON.iter().chain(guard::keys())
}

/// Every key any route may have.
pub(super) fn all_keys() -> impl Iterator<Item = &'static Key> {
    common_keys().chain(VERBS.iter().flat_map(|verb| verb.schema.keys.iter().chain([&verb.schema.operand])))
}

/// A route as read, and where its path stands.
pub(super) struct Read {
    pub spec: Spec,
    /// `None` if its verb is not used rightly: whether it can be told apart from others is known all the same.
    pub route: Option<Route>,
    pub place: Place,
}

/// What a route is read in.
pub(super) struct Around<'r> {
    /// The names systemd passed, where they are known.
    pub sockets: Option<&'r [String]>,
    /// What holds where the route says nothing.
    pub of_server: OfServer,
    /// The apps of the config.
    pub apps: &'r Apps,
    /// What outlives the config.
    pub lasting: &'r Lasting,
}

/// Reads one route; `None` if it is not clear when it is asked.
pub(super) fn read(table: &Table, around: &Around<'_>, faults: &mut Faults) -> Option<Read> {
    let verb = verb(table, faults);
    unknown_keys(table, verb, faults);
    let mut reader = Reader::new(table, faults);
    let place = reader.place(&PATH);
    let path = reader.text(&PATH);
    if !reader.has(&PATH) {
        let fault = Fault::absence(&table.place, "this route has no `path`");
        reader.fault(fault.help(format!("for example: {}", PATH.line())));
    }
    let pattern = path.and_then(|path| pattern(&mut reader, path));
    let hosts = common::hosts(&mut reader);
    let socket = common::socket(&mut reader, around.sockets);
    let methods = common::methods(&mut reader);
    let waits = verb.map_or(&["connect", "idle"][..], |verb| verb.schema.waits);
    let stands_at = place_of(path.unwrap_or_default(), &hosts, socket.as_deref());
    let mut chain = Chain::read(&mut reader, around.of_server, waits, |room| {
        around.lasting.places(format!("{stands_at} {methods:?}"), room)
    });
    let (verb, path) = (verb?, path?);
    let keeps_awake = common::keeps_awake(&mut reader, verb);
    let parameters = pattern
        .as_ref()
        .map_or_else(|| braced(path), |pattern| pattern.names().iter().map(|n| &n[..]).collect());
    let is_subtree = pattern.as_ref().is_some_and(Pattern::is_subtree);
    let shape = RouteShape {
        path,
        place: &stands_at,
        methods: methods.as_ref(),
        parameters: &parameters,
        is_subtree,
        waits: chain.waits,
        largest_body: chain.largest_body,
        apps: around.apps,
        lasting: around.lasting,
    };
    let handler = (verb.build)(&mut reader, &shape);
    chain.largest_body = chain.largest_body.or(verb.schema.largest_body);
    let methods = methods.unwrap_or_else(|| verb.schema.methods.into());
    let methods = methods.and(verb.schema.below.unwrap_or_default());
    let below = pattern.as_ref().filter(|_| verb.schema.below.is_some()).and_then(Pattern::below);
    let (verb, operand) = (verb.schema.name(), operand(table, verb));
    let route =
        handler.map(|handler| Route { verb, path: path.into(), operand, handler, chain, keeps_awake });
    Some(Read { spec: Spec { pattern: pattern?, below, hosts, socket, methods }, route, place })
}

/// What tells a route from others, beside its methods: its path, hosts and socket.
fn place_of(path: &str, hosts: &[HostPattern], socket: Option<&str>) -> String {
    let hosts = hosts.iter().map(ToString::to_string);
    std::iter::once(path.to_owned())
        .chain(hosts)
        .chain(socket.map(|socket| format!("@{socket}")))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The one verb of a route.
fn verb(table: &Table, faults: &mut Faults) -> Option<&'static Verb> {
    let entry = |verb: &&&'static Verb| table.get(verb.schema.name());
    let mut found: Vec<_> = VERBS.iter().filter_map(|verb| Some((entry(&verb)?, *verb))).collect();
    found.sort_by(|(a, _), (b, _)| a.place.cmp(&b.place));
    let names = VERBS.iter().map(|verb| verb.schema.name()).collect::<Vec<_>>().join(", ");
    match found[..] {
        [(_, verb)] => Some(verb),
        [] => {
            let fault = Fault::absence(&table.place, "this route has no verb: it does not say what to do");
            faults.add(fault.help(format!("add one of: {names}")));
            None
        }
        [(first, verb), (second, other), ..] => {
            let message =
                format!("a route has one verb: `{}` or `{}`", verb.schema.name(), other.schema.name());
            let fault = Fault::new(&second.place, message).other(&first.place, "the first one");
            faults.add(fault.help("write a [[route]] for each"));
            None
        }
    }
}

fn unknown_keys(table: &Table, verb: Option<&'static Verb>, faults: &mut Faults) {
    let verbs: Vec<_> =
        VERBS.iter().copied().filter(|own| verb.is_none_or(|verb| std::ptr::eq(*own, verb))).collect();
    let of_verbs = verbs.iter().flat_map(|verb| verb.schema.keys.iter().chain([&verb.schema.operand]));
    let known: Vec<_> = common_keys().chain(of_verbs).map(|key| key.name).collect();
    for entry in table.entries.iter().filter(|entry| !known.contains(&&entry.name[..])) {
        let owner = VERBS.iter().find(|verb| verb.schema.keys.iter().any(|key| key.name == entry.name));
        faults.add(match (owner, verb) {
            // A second verb has been complained of already.
            _ if VERBS.iter().any(|verb| verb.schema.name() == entry.name) => continue,
            (Some(owner), Some(verb)) => {
                let (owner, verb) = (owner.schema.name(), verb.schema.name());
                Fault::new(
                    &entry.place,
                    format!("`{}` belongs to `{owner}`, this is a route of `{verb}`", entry.name),
                )
                .help("leave it out")
            }
            _ => Fault::unknown(entry, &known),
        });
    }
}

fn pattern(reader: &mut Reader<'_>, path: &str) -> Option<Pattern> {
    let error = match Pattern::parse(path) {
        Ok(pattern) => return Some(pattern),
        Err(error) => error,
    };
    let fault = Fault::new(&reader.place(&PATH), error.to_string());
    reader.fault(match error.help(path) {
        Some(help) => fault.help(help),
        None => fault,
    });
    None
}

/// What looks like parameters in a path that is none, so that its placeholders are not complained of as well.
fn braced(path: &str) -> Vec<&str> {
    let closed = path.split('{').skip(1).filter_map(|part| part.split_once('}'));
    closed.map(|(name, _)| name.trim_start_matches('*')).collect()
}

/// The operand as people wrote it.
fn operand(table: &Table, verb: &Verb) -> String {
    match table.get(verb.schema.name()).map(|entry| &entry.item.value) {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::List(items)) => words(items),
        Some(Value::Boolean(boolean)) => boolean.to_string(),
        Some(other) => other.describe().to_owned(),
        None => String::new(),
    }
}

/// A list as one would type it.
fn words(items: &[Item]) -> String {
    let word = |item: &Item| match &item.value {
        Value::Text(text) if text.contains([' ', '"', '\'']) || text.is_empty() => format!("{text:?}"),
        Value::Text(text) => text.clone(),
        other => other.describe().to_owned(),
    };
    items.iter().map(word).collect::<Vec<_>>().join(" ")
}

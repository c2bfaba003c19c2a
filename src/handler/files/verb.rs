//! What `files` declares about itself in a config.

use super::{Files, Options};
use crate::handler::body::is_bodiless;
use crate::handler::{Handler, RouteShape, Verb};
use crate::schema::{self, Fault, Key, Kind, Methods, Reader};

const FILES: Key = Key::new("files", Kind::Path, "Serves what is below this directory; or this file.");
const LISTING: Key =
    Key::new("listing", Kind::Boolean, "Lists directories that have no index.html.").default("false");
const STATUS: Key = Key::new("status", Kind::Status { least: 200, most: 599 }, "The answer's HTTP status.")
    .default("200")
    .example("503");

/// `files`.
pub(in crate::handler) const VERB: Verb = Verb {
    schema: schema::Verb {
        operand: FILES,
        keys: &[LISTING, STATUS],
        methods: Methods::Only(&["GET"]),
        about: "A directory is answered with its index.html. Ranges and conditional requests work; a compressed sibling \
                (page.html.br, .zst, .gz) that is not older than its original goes to clients that take it. Hidden \
                files and what symlinks reach outside of the directory are not found; symlinks inside it work if they \
                are relative. Listings come as JSON to clients that ask for JSON.",
        ..schema::Verb::DEFAULT
    },
    build,
};

fn build(reader: &mut Reader<'_>, route: &RouteShape<'_>) -> Option<Box<dyn Handler>> {
    let (root, is_listing, status) = (reader.path(&FILES), reader.boolean(&LISTING), reader.status(&STATUS));
    let (root, is_listing, status) = (root?.to_owned(), is_listing?, status?);
    if is_listing && !route.is_subtree {
        let message = "a listing needs a path that ends in `/`: what it links to lies below";
        let help = format!("write path = {:?}", format!("{}/", route.path));
        reader.fault(Fault::new(&reader.place(&LISTING), message).help(help));
        return None;
    }
    if is_bodiless(status) {
        let message = format!("an answer with status {} has no body to put a file in", status.as_u16());
        reader.fault(
            Fault::new(&reader.place(&STATUS), message).help(format!("for example: {}", STATUS.line())),
        );
        return None;
    }
    Some(Box::new(Files::new(Options { root, is_listing, status })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Entry, Faults, Item, Place, Table, Value};

    /// What a route with these keys comes to: its faults, none if it can be built.
    fn faults<const N: usize>(is_subtree: bool, keys: [(&str, Value); N]) -> Vec<String> {
        let place = Place::default();
        let entry = |(name, value): (&str, Value)| Entry {
            name: name.to_owned(),
            place: place.clone(),
            item: Item { value, place: place.clone() },
        };
        let table = Table { place: place.clone(), entries: keys.into_iter().map(entry).collect() };
        let mut faults = Faults::default();
        let (waits, lasting, apps) = Default::default();
        let (lasting, apps) = (&lasting, &apps);
        let shape = RouteShape {
            path: "/docs",
            place: "/docs",
            methods: None,
            parameters: &[],
            is_subtree,
            waits,
            largest_body: None,
            apps,
            lasting,
        };
        let built = (VERB.build)(&mut Reader::new(&table, &mut faults), &shape);
        assert_eq!(built.is_some(), faults.is_empty());
        faults.into_sorted().into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn its_keys_are_read_and_checked() {
        let files = || ("files", Value::Text("/srv/www".into()));
        let status = |status| ("status", Value::Integer(Some(status)));
        let listing = || ("listing", Value::Boolean(true));
        assert_eq!(faults(false, [files()]), [""; 0]);
        assert_eq!(faults(true, [files(), listing(), status(503)]), [""; 0]);
        assert!(faults(false, [files(), listing()])[0].contains("ends in `/`"));
        assert!(faults(true, [files(), status(304)])[0].contains("no body"));
        assert_eq!(faults(true, [("files", Value::Text("www".into()))]).len(), 1);
    }
}

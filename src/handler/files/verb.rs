//! What `files` declares about itself in a config.

use super::{Files, Options};
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
    Some(Box::new(Files::new(Options { root, is_listing, status })))
}

//! `[trust]`.

use crate::schema::{Fault, Key, Kind, Placed, Reader, Section};
use crate::server::Trust;

const PROXIES: Key = Key::new(
    "proxies",
    Kind::Texts,
    "Whose word on the client is taken: addresses or networks, and \"unix\" for whoever connects to a Unix socket. Only \
     they may set X-Forwarded-* and Forwarded, and begin a connection with a PROXY header (version 1 or 2).",
)
.example(r#"["127.0.0.1/32", "unix"]"#);

pub(super) const SECTION: Section = Section {
    name: "trust",
    about: "Proxies in front of dormouse. Nobody is trusted unless it is said here.",
    keys: &[PROXIES],
};

/// The peers that are believed.
pub(super) fn read(reader: &mut Reader<'_>) -> Trust {
    let entry = |text: Placed<'_>, reader: &mut Reader<'_>| match Trust::parse_one(text.text) {
        Ok(entry) => Some(entry),
        Err(error) => {
            reader.fault(Fault::new(text.place, error.to_string()));
            None
        }
    };
    let entries = reader.texts(&PROXIES).unwrap_or_default();
    entries.into_iter().filter_map(|text| entry(text, reader)).collect()
}

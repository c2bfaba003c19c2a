//! `[trust]`.

use crate::schema::{Fault, Key, Kind, Reader, Section};
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

pub(super) fn read(reader: &mut Reader<'_>) -> Trust {
    let mut trust = Trust::default();
    for text in reader.texts(&PROXIES).unwrap_or_default() {
        if let Err(error) = trust.add(text.text) {
            reader.fault(Fault::new(text.place, error.to_string()).help(format!("for example: {}", PROXIES.line())));
        }
    }
    trust
}

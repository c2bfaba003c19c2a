//! The keys by which `proxy` and `app` say how a request is passed on.

use hyper::header::HeaderValue;

use super::forward::{Paths, UpstreamHost};
use crate::guard::Waits;
use crate::handler::RouteShape;
use crate::schema::{Fault, Key, Kind, Reader};

const STRIP_PREFIX: Key =
    Key::new("strip_prefix", Kind::Boolean, "Takes the route's path off before the request is passed on.")
        .default("false")
        .example("true");
const ADD_PREFIX: Key =
    Key::new("add_prefix", Kind::Text, "Puts this in front of the path that is passed on.").example("/x");
const UPSTREAM_HOST: Key = Key::new(
    "upstream_host",
    Kind::Text,
    "The Host that is passed on: \"keep\", as the client sent it; \"upstream\", the upstream's own; or a name.",
)
.default("keep")
.example("upstream");
const FORWARDED: Key = Key::new(
    "forwarded",
    Kind::Boolean,
    "Tells the upstream of the client by Forwarded (RFC 7239) too, beside X-Forwarded-For, -Proto and -Host.",
)
.default("false")
.example("true");
const PROXY_PROTOCOL: Key = Key::new(
    "proxy_protocol",
    Kind::Boolean,
    "Tells the upstream of the client by a PROXY header (version 2) on a connection of its own for each request.",
)
.default("false")
.example("true");
/// What becomes of a request whose client leaves.
pub const ON_DISCONNECT: Key = Key::new(
    "on_disconnect",
    Kind::OneOf(&["cancel", "finish"]),
    "What becomes of a request whose client closes its side before the answer is whole: it is cancelled at once, also at \
     the upstream, or finished. A reset always cancels.",
)
.default("cancel")
.example("finish");

/// These keys.
pub const KEYS: [Key; 6] =
    [STRIP_PREFIX, ADD_PREFIX, UPSTREAM_HOST, FORWARDED, PROXY_PROTOCOL, ON_DISCONNECT];

/// How a request is passed on.
#[derive(Debug)]
pub struct Options {
    /// The path that is sent.
    pub paths: Paths,
    /// The host that is sent.
    pub host: UpstreamHost,
    /// `Forwarded` too.
    pub also_forwarded: bool,
    /// A PROXY header first.
    pub says_hello: bool,
    /// The client's FIN cancels.
    pub ends_with_client: bool,
    /// How long to wait for what.
    pub waits: Waits,
}

impl Options {
    /// Reads them; `None` if something is wrong, which the reader has been told.
    pub fn read(reader: &mut Reader<'_>, route: &RouteShape<'_>) -> Option<Self> {
        let strips_prefix = reader.boolean(&STRIP_PREFIX)?;
        if strips_prefix && !route.parameters.is_empty() {
            let fault = Fault::new(&reader.place(&STRIP_PREFIX), "a path with parameters is no prefix");
            reader.fault(fault.help("leave it out, or end the path with a slash instead of {*rest}"));
        }
        let add_prefix = add_prefix(reader);
        let host = host(reader)?;
        Some(Self {
            paths: Paths { strips_prefix, add_prefix },
            host,
            also_forwarded: reader.boolean(&FORWARDED)?,
            says_hello: reader.boolean(&PROXY_PROTOCOL)?,
            ends_with_client: reader.text(&ON_DISCONNECT)? == "cancel",
            waits: route.waits,
        })
    }
}

fn add_prefix(reader: &mut Reader<'_>) -> Option<String> {
    let text = reader.text(&ADD_PREFIX)?;
    let is_path = text.starts_with('/') && !text.ends_with('/') && !text.contains(['?', '#']);
    if !is_path || text.parse::<hyper::Uri>().is_err() {
        let what = "a prefix begins with a slash, does not end with one, and has no query";
        let fault = Fault::new(&reader.place(&ADD_PREFIX), what);
        reader.fault(fault.help(format!("for example: {}", ADD_PREFIX.line())));
    }
    Some(text.to_owned())
}

fn host(reader: &mut Reader<'_>) -> Option<UpstreamHost> {
    Some(match reader.text(&UPSTREAM_HOST)? {
        "keep" => UpstreamHost::Keep,
        "upstream" => UpstreamHost::Upstream,
        name => match (name.parse::<hyper::http::uri::Authority>(), HeaderValue::from_str(name)) {
            (Ok(_), Ok(name)) => UpstreamHost::Name(name),
            _ => {
                let fault = Fault::new(&reader.place(&UPSTREAM_HOST), format!("{name:?} is no host"));
                reader.fault(fault.help(r#"write "keep", "upstream", or for example "wiki.example.org""#));
                return None;
            }
        },
    })
}

//! `proxy`: somebody else answers.
//!
//! - `options`: the keys that `proxy` and `app` share;
//! - `forward`, `hop`: the head as it goes on, and what ends with a connection; pure;
//! - `pass`: the way of one request to an upstream and back;
//! - `passing`: an answer's body on its way;
//! - `upgrade`: connections that speak another protocol from here on.

use std::sync::Arc;

use hyper::Request;

use super::{Answer, Handler, RequestBody, RequestContext, RouteShape, Verb};
use crate::schema::{self, Counts, Fault, Key, Kind, Reader};
use crate::upstream::{Group, Origin, UpstreamSettings};

pub mod forward;
pub mod hop;
mod options;
pub(super) mod pass;
mod passing;
mod upgrade;

pub use options::{ON_DISCONNECT, Options};
pub use passing::Passing;

const PROXY: Key =
    Key::new("proxy", Kind::Texts, "Passes requests on to this upstream, or to these in turn.")
        .example("http://127.0.0.1:3000");
pub(super) const CONNECTIONS: Key = Key::new(
    "connections",
    Kind::Integer { least: 1, most: 1 << 20 },
    "Most connections to each upstream that are asked something at once; further requests wait. Event streams and \
     upgraded connections do not count.",
)
.default("1024")
.example("16");
pub(super) const RATE: Key = Key::new(
    "rate",
    Kind::Rate,
    "How often each upstream may be asked: requests wait for their turn, within timeouts.request.",
)
.example("1/2s");

const OPTIONS: [Key; 6] = options::KEYS;

/// The keys of `proxy`, and of `app`.
pub(super) const KEYS: [Key; 8] =
    [CONNECTIONS, RATE, OPTIONS[0], OPTIONS[1], OPTIONS[2], OPTIONS[3], OPTIONS[4], OPTIONS[5]];

/// `proxy`.
pub(super) const VERB: Verb = Verb {
    schema: schema::Verb {
        operand: PROXY,
        keys: &KEYS,
        about: "An upstream is http://HOST:PORT, unix:/PATH, https://HOST or h2c://HOST:PORT (HTTP/2 with prior \
                knowledge). Path and query are passed on as they came. Of several, those that fail are passed over for \
                ten seconds. A request is asked again, once, only if nothing of it was written, or if it is idempotent, \
                has no body and met a connection that was just being closed. WebSockets and other upgrades pass; when \
                dormouse has to leave they are told goodbye. An error is a 502, 503 or 504 with an id that finds the \
                reason in the journal.",
        waits: &["connect", "idle"],
        counts: Counts::YesAndStreams,
        ..schema::Verb::DEFAULT
    },
    build,
};

struct Proxy {
    group: Arc<Group>,
    options: Arc<Options>,
}

fn build(reader: &mut Reader<'_>, route: &RouteShape<'_>) -> Option<Box<dyn Handler>> {
    let texts = reader.texts(&PROXY)?;
    if texts.is_empty() {
        let fault = Fault::new(&reader.place(&PROXY), "an empty list: there is nobody to ask");
        reader.fault(fault.help(format!("for example: {}", PROXY.line())));
    }
    let mut origins = Vec::new();
    for text in texts {
        match Origin::parse(text.text) {
            Ok(origin) => origins.push(origin),
            Err(error) => reader.fault(Fault::new(text.place, error.to_string()).help(error.help())),
        }
    }
    let connections = usize::try_from(reader.integer(&CONNECTIONS)?).ok()?;
    let rate = reader.rate(&RATE);
    let options = Options::read(reader, route)?;
    if origins.is_empty() {
        return None;
    }
    let upstreams = origins.into_iter().map(|origin| {
        let settings = UpstreamSettings { origin, connections, rate };
        route.lasting.upstreams.get(settings, crate::upstream::Upstream::new)
    });
    Some(Box::new(Proxy { group: Arc::new(Group::new(upstreams.collect())), options: Arc::new(options) }))
}

impl Handler for Proxy {
    fn ends_with_client(&self) -> bool {
        self.options.ends_with_client
    }

    fn answer(&self, request: Request<RequestBody>, context: &RequestContext<'_>) -> Answer {
        let asked = pass::Asked::new(request, context, self.options.clone());
        let group = self.group.clone();
        Answer::Later(Box::pin(async move { asked.pass(&group, None).await }))
    }
}

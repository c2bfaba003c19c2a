//! `gather`: several upstreams asked at once, and one answer made of theirs.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::accept::Format;
use super::proxy::ON_DISCONNECT;
use super::{
    Answer, Body, Handler, Head, RequestBody, RequestContext, RouteShape, Verb, pages, while_wanted,
};
use crate::guard::Waits;
use crate::schema::{self, Fault, Key, Kind, Methods, Reader};
use crate::server::Exchange;

mod source;

use source::{Gathered, Source};

const GATHER: Key = Key::new(
    "gather",
    Kind::Map,
    "Asks all of these addresses at once, by GET, and answers with one JSON: { NAME: { status, ms, body } }. Placeholders \
     are filled in after the host.",
)
.example(r#"{ user = "http://127.0.0.1:3001/users/{id}", news = "http://127.0.0.1:3002/news?for={id}" }"#);
const ON_ERROR: Key = Key::new(
    "on_error",
    Kind::OneOf(&["partial", "fail"]),
    "When one of them does not answer, or with a status of 500 or more: \"partial\" says so in its place; \"fail\" answers \
     502 or 504 at once, and asks the others no longer.",
)
.default("partial")
.example("fail");

/// More are a mistake, and each may keep a body in memory.
const MOST: usize = 32;

/// By how much the answers are waited for less than this one is.
const MARGIN: Duration = Duration::from_millis(20);

/// `gather`.
pub(super) const VERB: Verb = Verb {
    schema: schema::Verb {
        operand: GATHER,
        keys: &[ON_ERROR, ON_DISCONNECT],
        methods: Methods::Only(&["GET"]),
        waits: &["connect"],
        about: "A body that is JSON becomes part of the answer, any other a string of it; each may have 4 MiB, all together 16. Who has not \
                answered within timeouts.total or timeouts.request is an error in its place. When the client leaves all \
                are cancelled.",
        ..schema::Verb::DEFAULT
    },
    build,
};

struct Gather {
    sources: Arc<[Source]>,
    is_partial: bool,
    ends_with_client: bool,
    waits: Waits,
}

fn build(reader: &mut Reader<'_>, route: &RouteShape<'_>) -> Option<Box<dyn Handler>> {
    let entries = reader.map(&GATHER);
    if entries.is_empty() || entries.len() > MOST {
        let fault = Fault::new(&reader.place(&GATHER), format!("from 1 to {MOST} addresses can be asked"));
        reader.fault(fault.help(format!("for example: {}", GATHER.line())));
        return None;
    }
    let count = entries.len();
    let sources: Arc<[_]> = entries
        .into_iter()
        .filter_map(|(name, address)| Source::read(reader, name, address, route, count))
        .collect();
    let is_partial = reader.text(&ON_ERROR)? == "partial";
    let ends_with_client = reader.text(&ON_DISCONNECT)? == "cancel";
    let gather = Gather { sources, is_partial, ends_with_client, waits: route.waits };
    (gather.sources.len() == count).then(|| Box::new(gather) as Box<dyn Handler>)
}

impl Handler for Gather {
    fn ends_with_client(&self) -> bool {
        self.ends_with_client
    }

    fn answer(&self, request: Request<RequestBody>, context: &RequestContext<'_>) -> Answer {
        let head = Head::from(&request);
        let format = Format::asked(head.headers);
        let path = head.uri.path().to_owned();
        let refused = |status, id: Option<&str>| pages::error(status, format, &path, id);
        if head.method == Method::HEAD {
            return answer(Map::new()).map(|_| Body::Absent).into();
        }
        let mut asking = JoinSet::new();
        for (index, source) in self.sources.iter().enumerate() {
            let Some(request) = source.request(&head, context) else {
                return refused(StatusCode::BAD_REQUEST, None).into();
            };
            let (sources, connect) = (self.sources.clone(), self.waits.connect);
            // The set of tasks is this answer's: dropped with it, it asks nobody any more.
            asking.spawn(async move { (index, sources[index].ask(request, connect).await) });
        }
        let gathering = Gathering {
            asking,
            sources: self.sources.clone(),
            is_partial: self.is_partial,
            until: self.waits.request.into_iter().chain(self.waits.total).min(),
            exchange: context.exchange.clone(),
        };
        let (exchange, ends_with_client) = (context.exchange.clone(), self.ends_with_client);
        Answer::Later(Box::pin(async move {
            match while_wanted(&exchange, ends_with_client, gathering.gather()).await {
                Some(Ok(all)) => answer(all),
                Some(Err((status, id))) => pages::error(status, format, &path, Some(&id)),
                None => Response::new(Body::Empty), // nobody is there to read it
            }
        }))
    }
}

/// Answers as they come.
struct Gathering {
    asking: JoinSet<(usize, Gathered)>,
    sources: Arc<[Source]>,
    is_partial: bool,
    until: Option<Duration>,
    exchange: Exchange,
}

impl Gathering {
    /// All of them; or why there is no answer, with the id by which the journal has the reason.
    async fn gather(mut self) -> Result<Map<String, Value>, (StatusCode, String)> {
        let begun = Instant::now();
        let until = self.until.map(|until| begun + until.saturating_sub(MARGIN));
        let mut all = Map::new();
        while let Some(next) = self.next(until).await {
            let (index, gathered) = next;
            let name = &self.sources[index].name;
            if let Some((status, why)) = gathered.error() {
                let id = self.exchange.new_id();
                tracing::warn!(id, source = %name, "gather: no answer of {name} (id {id}): {why}");
                if !self.is_partial {
                    return Err((status, id));
                }
                all.insert(name.clone(), gathered.into_json(Some(&id)));
            } else {
                all.insert(name.clone(), gathered.into_json(None));
            }
        }
        for source in self.sources.iter().filter(|source| !all.contains_key(&source.name)).collect::<Vec<_>>()
        {
            let id = self.exchange.new_id();
            let name = &source.name;
            tracing::warn!(id, source = %name, "gather: no answer of {name} (id {id}) in time (timeouts)");
            if !self.is_partial {
                return Err((StatusCode::GATEWAY_TIMEOUT, id));
            }
            let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            all.insert(
                name.clone(),
                json!({ "status": null, "ms": ms, "error": "no answer in time", "id": id }),
            );
        }
        Ok(all)
    }

    /// The next answer; `None` when there is none any more, or none in time.
    async fn next(&mut self, until: Option<Instant>) -> Option<(usize, Gathered)> {
        loop {
            let next = match until {
                Some(until) => timeout_at(until, self.asking.join_next()).await.ok()?,
                None => self.asking.join_next().await,
            };
            match next? {
                Ok(next) => return Some(next),
                Err(error) => tracing::error!(%error, "a task of gather has ended: {error}"),
            }
        }
    }
}

fn answer(all: Map<String, Value>) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{}\n", Value::Object(all))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

//! `run`: a program is run for each request, and what it prints is the answer.
//!
//! - `options`: its keys;
//! - `begin`: from a request to a program that runs;
//! - `running`: the task that watches it, and ends it with its whole group when nobody wants it any more;
//! - `output`: what it prints, piece by piece;
//! - `answer`: the answer made of that, all of it at once or (`streamed`) as it comes; `cgi`: with a head of its own;
//!   `events`: line by line.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};

use super::call::{Call, nothing};
use super::text::media;
use super::{Answer, Body, Handler, Needs, RequestBody, RequestContext, RouteShape, Verb, while_wanted};
use crate::app::Folders;
use crate::command::Command;
use crate::guard::{Places, Room, Waits};
use crate::process::Roster;
use crate::schema::{self, Methods, Reader};
use crate::verify::Verify;

mod answer;
mod begin;
mod cgi;
mod events;
mod options;
mod output;
mod running;
mod streamed;

use answer::ExitStatuses;
use events::LAST_EVENT;
use options::{AT_ONCE, CGI, EXIT_STATUS, KEYS, Mode, ON_DISCONNECT, QUEUE, RUN, TYPE};
use running::Why;

/// `run`.
pub(super) const VERB: Verb = Verb {
    schema: schema::Verb {
        operand: RUN,
        keys: &KEYS,
        methods: Methods::Only(&["GET", "POST"]),
        about: "Placeholders in the arguments: {path.NAME}, {query.NAME}, {header.NAME}, {form.NAME}, {json.a.b}, {client}, \
                percent-decoded; one without a value is a 400. A value cannot begin an argument with a dash unless `allow` \
                permits it. The program gets PATH, HOME, USER, LANG, the variables of CGI/1.1 and those of `env`. It is \
                ended with its whole process group when its client leaves, by timeouts.request while it has printed \
                nothing (504), by timeouts.total, and at the end of a drain. Failing before it has printed anything is a \
                500 with an id that finds its last words in the journal; later, the answer is cut.",
        ..schema::Verb::DEFAULT
    },
    build,
};

/// By how much its answer is waited for less than the route would: who tells is to be who knows.
const MARGIN: Duration = Duration::from_millis(20);

/// A route of `run`.
struct Run(Arc<Plan>);

/// What is run, and how.
struct Plan {
    command: Command,
    verify: Option<Verify>,
    mode: Mode,
    is_cgi: bool,
    /// Whether what follows its path is the program's to read.
    is_subtree: bool,
    media: HeaderValue,
    statuses: ExitStatuses,
    places: Arc<Places>,
    ends_with_client: bool,
    /// The largest body that is kept in memory, in bytes.
    largest_body: usize,
    waits: Waits,
    /// The route's path as written.
    path: Arc<str>,
    folders: Arc<Folders>,
    roster: Arc<Roster>,
}

/// A body of more is not for memory, unless `limits.body` says so.
const LARGEST_BODY: u64 = 1 << 20;

fn build(reader: &mut Reader<'_>, route: &RouteShape<'_>) -> Option<Box<dyn Handler>> {
    let command = Command::read(reader, Some(&RUN), route);
    let verify = Verify::read(reader);
    let (mode, is_cgi) = (options::mode(reader), reader.boolean(&CGI)?);
    options::refuse_ignored(reader, mode, is_cgi);
    let media = media(reader, &TYPE);
    let statuses = ExitStatuses::read(reader, &EXIT_STATUS);
    let places = places(reader, route);
    let ends_with_client = reader.text(&ON_DISCONNECT)? == "cancel";
    let largest_body = usize::try_from(route.largest_body.unwrap_or(LARGEST_BODY)).unwrap_or(usize::MAX);
    Some(Box::new(Run(Arc::new(Plan {
        command: command?,
        verify: verify?,
        mode: mode?,
        is_cgi,
        is_subtree: route.is_subtree,
        media: media?,
        statuses: statuses?,
        places: places?,
        ends_with_client,
        largest_body,
        waits: sooner(route.waits),
        path: route.path.into(),
        folders: route.lasting.folders.clone(),
        roster: route.lasting.commands.clone(),
    }))))
}

fn places(reader: &mut Reader<'_>, route: &RouteShape<'_>) -> Option<Arc<Places>> {
    let number = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let room = Room { in_flight: number(reader.integer(&AT_ONCE)?), queue: number(reader.integer(&QUEUE)?) };
    Some(route.lasting.places(format!("run {} {:?}", route.place, route.methods), room))
}

/// The same waits, each over a little earlier.
fn sooner(waits: Waits) -> Waits {
    let sooner = |wait: Option<Duration>| wait.map(|wait| wait.saturating_sub(MARGIN));
    Waits { request: sooner(waits.request), total: sooner(waits.total), ..waits }
}

impl Handler for Run {
    fn ends_with_client(&self) -> bool {
        self.0.ends_with_client
    }

    fn needs(&self) -> Needs<'_> {
        Needs { program: self.0.command.program(), verify: self.0.verify.as_ref() }
    }

    fn answer(&self, request: Request<RequestBody>, context: &RequestContext<'_>) -> Answer {
        if self.0.mode == Mode::Events && request.headers().get("last-event-id") == Some(&LAST_EVENT) {
            // It has seen the end, and would only begin it all again; this tells it not to (HTML Standard, section 9.2).
            return nothing().into();
        }
        let (call, body) = Call::new(request, context, self.0.is_subtree);
        Answer::Later(Box::pin(self.0.clone().answer(call, body)))
    }
}

impl Plan {
    async fn answer(self: Arc<Self>, call: Call, body: RequestBody) -> Response<Body> {
        let (call, end) = (Arc::new(call), self.waits.end());
        let begun = match self.clone().begin(call.clone(), body, end).await {
            Ok(begun) => begun,
            Err(page) => return *page,
        };
        let Some(mut running) = begun else { return left(&call) };
        let exchange = &call.exchange;
        let answer = self.make_answer(&call, &mut running);
        let answer = while_wanted(exchange, self.ends_with_client, answer);
        match self.waits.head(exchange, end, answer).await {
            Some(Some(Ok(answer))) => answer.into_response(running, &self, &call),
            Some(Some(Err(page))) => *page,
            Some(None) => left(&call),
            None => {
                // One that is to finish without its client does.
                if self.ends_with_client || !exchange.is_gone() {
                    running.stop(Why::TimedOut);
                }
                self.too_late(&call)
            }
        }
    }

    fn too_late(&self, call: &Call) -> Response<Body> {
        let id = call.exchange.new_id();
        let path = &self.path;
        tracing::warn!(
            id, route = %path,
            "run {path:?}: no answer within timeouts.request or timeouts.total, answered 504 (id {id})"
        );
        call.page(StatusCode::GATEWAY_TIMEOUT, Some(&id))
    }
}

/// For who has closed its side, and may read all the same what that means here.
fn left(call: &Call) -> Response<Body> {
    call.explained(StatusCode::BAD_REQUEST, "the connection was closed from your side before the answer")
}

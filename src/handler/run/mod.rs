//! `run`: a program is run for each request, and what it prints is the answer.
//!
//! - `begin`: from a request to a program that runs;
//! - `running`: the task that watches it, and ends it with its whole group when nobody wants it any more;
//! - `output`: what it prints, piece by piece;
//! - `answer`: the answer made of that, all of it at once or (`streamed`) as it comes; `cgi`: with a head of its own;
//!   `events`: line by line.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};

use super::call::Call;
use super::{Answer, Body, Handler, Needs, RequestBody, RequestContext, RouteShape, Verb, while_wanted};
use crate::app::Folders;
use crate::command::{Command, keys};
use crate::guard::{Places, Room, Waits};
use crate::process::Roster;
use crate::schema::{self, Fault, Key, Kind, Methods, Reader};
use crate::verify::{self, Verify};

mod answer;
mod begin;
mod cgi;
mod events;
mod output;
mod running;
mod streamed;

use answer::ExitStatuses;
use events::LAST_EVENT;
use running::Why;

const RUN: Key = Key::new(
    "run",
    Kind::List,
    "Runs this program with these arguments for each request; no shell reads them. Without a slash the program is looked \
     for in PATH, a relative path begins at `dir`. Its output is the answer, and the request's body its input.",
)
.example(r#"["/usr/local/bin/report", "{query.month}"]"#);
const STREAM: Key = Key::new(
    "stream",
    Kind::BooleanOr(&["sse"]),
    "true: its output is sent as it comes. false: only when it has ended, with a status by its exit code. \"sse\": as \
     Server-Sent Events, a line of stdout as a message, one of stderr as `event: log`, its end as `event: exit`.",
)
.default("true")
.example("sse");
const CGI: Key = Key::new(
    "cgi",
    Kind::Boolean,
    "Its output begins with a head, as that of CGI/1.1 programs does (RFC 3875): Status, Content-Type, Location and others.",
)
.default("false");
const TYPE: Key = Key::new("type", Kind::Text, "The answer's Content-Type, where `cgi` does not say.")
    .default("text/plain; charset=utf-8")
    .example("application/json");
const OUTPUT: Key = Key::new(
    "output",
    Kind::Size,
    "With stream = false: the most it may print. One that prints more is ended, and the answer is a 500.",
)
.default("1 MiB");
const EXIT_STATUS: Key = Key::new(
    "exit_status",
    Kind::Numbers { least: 200, most: 599 },
    "The answer's status by exit code; 0 is 200 and any other 500 unless it says otherwise. It holds while nothing has been \
     sent.",
)
.example("{ 2 = 404, 3 = 409 }");
const AT_ONCE: Key = Key::new(
    "at_once",
    Kind::Integer { least: 1, most: 1 << 16 },
    "How many of it run at once; more requests wait in line.",
)
.default("16")
.example("1");
const QUEUE: Key = Key::new(
    "queue",
    Kind::Integer { least: 0, most: 1 << 20 },
    "How many requests may wait in line; more are answered 503 with Retry-After.",
)
.default("64");
const ON_DISCONNECT: Key = Key::new(
    "on_disconnect",
    Kind::OneOf(&["cancel", "finish"]),
    "What becomes of the program when its client leaves: it is ended with its whole process group (SIGTERM, SIGKILL after \
     5 s), or finishes without it.",
)
.default("cancel")
.example("finish");

const KEYS: [Key; 14] = [
    STREAM,
    CGI,
    TYPE,
    OUTPUT,
    EXIT_STATUS,
    AT_ONCE,
    QUEUE,
    ON_DISCONNECT,
    keys::ALLOW,
    keys::WHEN,
    keys::ENV,
    keys::DIR,
    keys::NICE,
    verify::VERIFY,
];

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

/// How the output becomes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// As it comes.
    Stream,
    /// All at once, and no more than so many bytes.
    Whole(usize),
    /// Line by line.
    Events,
}

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
    let (mode, is_cgi) = (mode(reader), reader.boolean(&CGI)?);
    if is_cgi && mode == Some(Mode::Events) {
        let fault = Fault::new(&reader.place(&CGI), "a stream of events has no head of the program's own");
        reader.fault(fault.help("leave one of `cgi` and `stream` out"));
    }
    if is_cgi && reader.has(&TYPE) {
        let fault = Fault::new(&reader.place(&TYPE), "a CGI program says its type itself");
        reader.fault(fault.help("leave it out"));
    }
    let media = media(reader);
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

fn mode(reader: &mut Reader<'_>) -> Option<Mode> {
    let most = usize::try_from(reader.size(&OUTPUT)?).unwrap_or(usize::MAX);
    let mode = match reader.text(&STREAM)? {
        "true" => Mode::Stream,
        "sse" => Mode::Events,
        _ => Mode::Whole(most),
    };
    if reader.has(&OUTPUT) && !matches!(mode, Mode::Whole(_)) {
        let fault = Fault::new(&reader.place(&OUTPUT), "what is sent as it comes has no limit");
        reader.fault(fault.help("leave it out, or write stream = false"));
    }
    Some(mode)
}

fn media(reader: &mut Reader<'_>) -> Option<HeaderValue> {
    let media = HeaderValue::from_str(reader.text(&TYPE)?);
    if media.is_err() {
        let fault = Fault::new(&reader.place(&TYPE), "this cannot stand in a header");
        reader.fault(fault.help(format!("for example: {}", TYPE.line())));
    }
    media.ok()
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
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NO_CONTENT;
            return response.into();
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

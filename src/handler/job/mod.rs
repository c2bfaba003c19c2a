//! `job` and `pull`: a request is accepted now, and done later.
//!
//! A route owns its path and everything below it:
//!
//! ```text
//! POST   PATH               accepts a job (submit)     GET PATH             lists them (list)
//! GET    PATH/ID            how it stands (status)     GET PATH/ID/events   the same as it changes (events)
//! DELETE PATH/ID            cancels it (status)        GET PATH/ID/input, PATH/ID/output
//! POST   PATH/lease         gives a worker the next    POST PATH/ID/done, fail, progress, renew   (lease)
//! ```

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::call::Call;
use super::{Answer, Body, Handler, Needs, RequestBody, RequestContext, RouteShape, Verb};
use crate::command::Command;
use crate::job::{Queue, Settings, Work};
use crate::log::chain;
use crate::route::MethodSet;
use crate::schema::{self, Fault, Key, Methods, Reader};
use crate::store::{JobId, StoreError};
use crate::verify::{self, Verify};

mod document;
mod events;
mod keys;
mod lease;
mod list;
mod page;
mod status;
mod submit;
mod time;

use keys::{
    API, BACKOFF, FILE, JOB, JOB_KEYS, KEEP, LEASE, OUTPUT, PULL, PULL_KEYS, QUEUE, RETRIES, WORKERS,
};

const BASE: schema::Verb = schema::Verb {
    methods: Methods::Only(&["POST", "PUT"]),
    below: Some(&["GET", "POST", "DELETE"]),
    largest_body: Some(1 << 30),
    ..schema::Verb::DEFAULT
};

/// `job`.
pub(super) const VERB: Verb = Verb {
    schema: schema::Verb {
        operand: JOB,
        keys: &JOB_KEYS,
        about: "202 Accepted comes with Location: PATH/ID, and a JSON that says how the job stands (for browsers a page). \
                GET PATH/ID says it again, with progress (a line `progress 40/100 text` on stdout) and output; GET \
                PATH/ID/events follows it as Server-Sent Events; DELETE PATH/ID cancels it; GET PATH lists. A body of any \
                size (limits.body, 1 GiB by default) goes to a file; where {form.NAME} or {json.NAME} have to be read and there \
                is no `file`, it may have 1 MiB, or limits.body. With an Idempotency-Key the same request twice is one job. A \
                job keeps dormouse awake while it is due or runs; until a retry it may sleep. It is run at least once: one that ran when dormouse had to leave is run again by the \
                next. timeouts.total ends it.",
        ..BASE
    },
    build: |reader, route| build(reader, route, Some(&JOB)),
};

/// `pull`.
pub(super) const PULL_VERB: Verb = Verb {
    schema: schema::Verb {
        operand: PULL,
        keys: &PULL_KEYS,
        about: "POST PATH/lease answers with the next job and a lease: JSON with id, lease, leased_until, and its input (as \
                text, if it is short), also at PATH/ID/input; or 204 when `wait` is over and there was none. POST PATH/ID/done?lease=LEASE ends it, with \
                its result as the body; fail?lease= with what went wrong; progress?lease=&done=40&total=100&text= tells how \
                far it has come; renew?lease= asks for more time. Jobs that wait for workers do not keep dormouse awake, nor \
                do workers that wait for jobs: they are told 204 before it sleeps, with Retry-After: whoever asks \
                sooner wakes it again.",
        ..BASE
    },
    build: |reader, route| build(reader, route, None),
};

/// A body of more is not for memory when its fields are wanted, unless `limits.body` says so.
const LARGEST_READ: u64 = 1 << 20;

/// A route of jobs.
struct Route(Arc<Plan>);

/// What a route does with its requests.
struct Plan {
    settings: Arc<Settings>,
    queue: Option<Arc<Queue>>,
    verify: Option<Verify>,
    /// Whether there is more than submissions.
    has_api: bool,
    /// The part of a form that is the input.
    file: Option<String>,
    /// The methods by which a job is submitted.
    methods: MethodSet,
    /// The largest body whose fields are read, in bytes.
    largest_read: usize,
    /// No worker waits for longer.
    longest_wait: Duration,
}

fn build(reader: &mut Reader<'_>, route: &RouteShape<'_>, operand: Option<&Key>) -> Option<Box<dyn Handler>> {
    if operand.is_none() && !reader.boolean(&PULL)? {
        let fault = Fault::new(&reader.place(&PULL), "`pull = false` does nothing");
        reader.fault(fault.help("write pull = true, or job = [...]"));
    }
    if route.parameters.last().is_some_and(|last| route.path.ends_with(&format!("{{*{last}}}"))) {
        let fault = Fault::absence(
            &reader.place(operand.unwrap_or(&PULL)),
            "everything below its path is a job's own",
        );
        reader.fault(fault.help("end the path before {*...}"));
    }
    let command = Command::read(reader, operand, route);
    let verify = Verify::read(reader);
    let has_api = has_api(reader, operand.is_some());
    let settings = settings(reader, route, operand.is_some());
    let file = reader.text(&FILE).map(str::to_owned);
    let largest_read = usize::try_from(route.largest_body.unwrap_or(LARGEST_READ)).unwrap_or(usize::MAX);
    let queue = route.lasting.jobs.as_ref().map(|jobs| jobs.queue(route.place));
    let methods = methods(reader, route, operand.unwrap_or(&PULL));
    let settings = Arc::new(Settings { command: command?, ..settings? });
    Some(Box::new(Route(Arc::new(Plan {
        settings,
        queue,
        verify: verify?,
        has_api,
        file,
        methods,
        largest_read,
        longest_wait: lease::longest_wait(route.waits),
    }))))
}

/// Whether others than who submits jobs have to do with them.
fn has_api(reader: &mut Reader<'_>, is_here: bool) -> bool {
    let is_verified = reader.has(&verify::VERIFY);
    let said = reader.boolean(&API);
    if !is_here && !said.unwrap_or(!is_verified) {
        let fault = Fault::new(
            &reader.place(&PULL),
            "nobody could take these jobs: workers are no senders of what is verified",
        );
        reader.fault(fault.help(
            "write api = true, and let only workers reach the route for it, as by `socket` or a proxy's rule",
        ));
    }
    said.unwrap_or(!is_verified)
}

/// The methods by which a job is submitted.
fn methods(reader: &mut Reader<'_>, route: &RouteShape<'_>, operand: &Key) -> MethodSet {
    let methods = route.methods.cloned().unwrap_or_else(|| BASE.methods.into());
    if [Method::GET, Method::HEAD, Method::DELETE].iter().any(|method| methods.takes(method)) {
        let fault = Fault::new(
            &reader.place(operand),
            "a job is submitted by POST, PUT or PATCH; GET and DELETE are about jobs",
        );
        reader.fault(fault.help("leave `methods` out, or write for example: methods = [\"PUT\"]"));
    }
    methods
}

/// All but the command.
fn settings(reader: &mut Reader<'_>, route: &RouteShape<'_>, is_here: bool) -> Option<Settings> {
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    let work = if is_here {
        let workers = usize::try_from(reader.integer(&WORKERS)?).unwrap_or(1);
        Work::Here { workers, total: route.waits.total, folders: route.lasting.folders.clone() }
    } else {
        Work::Outside { lease: reader.duration(&LEASE) }
    };
    Some(Settings {
        path: route.path.into(),
        command: Command::default(),
        work,
        most_queued: number(reader.integer(&QUEUE)?),
        retries: u32::try_from(reader.integer(&RETRIES)?).unwrap_or_default(),
        backoff: reader.duration(&BACKOFF),
        keep: reader.duration(&KEEP),
        output: if is_here { reader.size(&OUTPUT)? } else { 0 },
    })
}

/// What a request is for.
enum Wanted {
    /// The queue.
    Queue,
    /// The next job, for a worker.
    Lease,
    /// A job.
    Job(JobId),
    /// Something of a job.
    Of(JobId, &'static str),
}

/// What a job has below it.
const PARTS: [&str; 7] = ["events", "input", "output", "done", "fail", "progress", "renew"];

impl Wanted {
    fn read(rest: &str) -> Option<Self> {
        match rest.split_once('/') {
            None if rest.is_empty() => Some(Self::Queue),
            None if rest == "lease" => Some(Self::Lease),
            None => rest.parse().ok().map(Self::Job),
            Some((id, part)) => {
                let part = PARTS.into_iter().find(|known| *known == part)?;
                Some(Self::Of(id.parse().ok()?, part))
            }
        }
    }
}

impl Handler for Route {
    fn in_force(&self) {
        if let Some(queue) = &self.0.queue {
            queue.adopt(&self.0.settings);
        }
    }

    fn needs(&self) -> Needs<'_> {
        Needs { program: self.0.settings.command.program(), verify: self.0.verify.as_ref() }
    }

    fn answer(&self, request: Request<RequestBody>, context: &RequestContext<'_>) -> Answer {
        let (call, body) = Call::new(request, context, true);
        Answer::Later(Box::pin(self.0.clone().answer(Arc::new(call), body)))
    }
}

impl Plan {
    async fn answer(self: Arc<Self>, call: Arc<Call>, body: RequestBody) -> Response<Body> {
        let Some(queue) = &self.queue else {
            return call
                .failed("job", "there is no state directory to keep jobs in; see STATE_DIRECTORY= or HOME=");
        };
        let answer = self.answer_of(queue, call, body).await;
        // Nobody drives the queue of outside workers, nor one whose jobs are all over.
        queue.jobs.tidy_aside();
        answer
    }

    async fn answer_of(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        call: Arc<Call>,
        body: RequestBody,
    ) -> Response<Body> {
        let Some(wanted) = Wanted::read(&call.rest) else { return call.page(StatusCode::NOT_FOUND, None) };
        let is_here = self.settings.is_here();
        match (wanted, call.method()) {
            (Wanted::Queue, method) if self.methods.takes(method) && *method != Method::HEAD => {
                self.submit(queue, &call, body).await
            }
            _ if !self.has_api => call.page(StatusCode::NOT_FOUND, None),
            (Wanted::Queue, &Method::GET | &Method::HEAD) => self.list(queue, &call).await,
            (Wanted::Queue, _) => self.wrong_method_of_queue(&call),
            (Wanted::Lease, &Method::POST) if !is_here => self.lease(queue, &call).await,
            (Wanted::Lease, _) if !is_here => wrong_method(&call, "POST"),
            (Wanted::Job(id), &Method::GET | &Method::HEAD) => self.status(queue, &call, id).await,
            (Wanted::Job(id), &Method::DELETE) => self.cancel(queue, &call, id).await,
            (Wanted::Job(_), _) => wrong_method(&call, "DELETE, GET, HEAD"),
            (Wanted::Of(id, "events"), &Method::GET | &Method::HEAD) => self.events(queue, &call, id).await,
            (Wanted::Of(id, "input"), &Method::GET | &Method::HEAD) => self.input(queue, &call, id).await,
            (Wanted::Of(id, "output"), &Method::GET | &Method::HEAD) => self.output(queue, &call, id).await,
            (Wanted::Of(_, "events" | "input" | "output"), _) => wrong_method(&call, "GET, HEAD"),
            (Wanted::Of(id, what), &Method::POST) if !is_here => {
                self.told(queue, &call, id, what, body).await
            }
            (Wanted::Of(..), _) if !is_here => wrong_method(&call, "POST"),
            (Wanted::Lease | Wanted::Of(..), _) => call.page(StatusCode::NOT_FOUND, None),
        }
    }
}

impl Plan {
    fn wrong_method_of_queue(&self, call: &Call) -> Response<Body> {
        let mut page = call.page(StatusCode::METHOD_NOT_ALLOWED, None);
        let allowed = match self.methods.clone().and(&["GET"]) {
            MethodSet::Only(methods) => methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", "),
            MethodSet::Any => String::new(), // any is a submission
        };
        if let Ok(allowed) = HeaderValue::try_from(allowed) {
            page.headers_mut().insert(ALLOW, allowed);
        }
        page
    }
}

fn wrong_method(call: &Call, allowed: &'static str) -> Response<Body> {
    let mut page = call.page(StatusCode::METHOD_NOT_ALLOWED, None);
    page.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    page
}

/// The page for a store that did not do what it was asked to.
fn store_failed(call: &Call, error: &StoreError) -> Response<Body> {
    let status = match error {
        StoreError::NoSpace { .. } => StatusCode::INSUFFICIENT_STORAGE,
        StoreError::InUse { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let id = call.exchange.new_id();
    tracing::error!(id, "jobs (id {id}): {}", chain(error));
    call.page(status, Some(&id))
}

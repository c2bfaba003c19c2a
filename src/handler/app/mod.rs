//! `app`: what stands behind this route is started by the first request, and stopped when nobody asks.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode};

use super::proxy::Options;
use super::proxy::pass::Asked;
use super::{
    Answer, Body, Handler, Head, RequestBody, RequestContext, RouteShape, Verb, proxy, while_wanted,
};
use crate::app::{Configured, Exempt, NoApp};
use crate::schema::{self, Counts, Fault, Key, Kind, Reader, nearest};

mod share;
mod waiting;

use share::Share;

const APP: Key = Key::new(
    "app",
    Kind::Text,
    "Passes requests on to the app of this name ([app.NAME]), which is started for the first of them.",
)
.example("wiki");

const KEYS: [Key; 8] = proxy::KEYS;

/// `app`.
pub(super) const VERB: Verb = Verb {
    schema: schema::Verb {
        operand: APP,
        keys: &KEYS,
        about: "Requests wait while it starts, and timeouts.request does not run meanwhile. When nobody has asked for its \
                sleep_after it is stopped; until then dormouse stays awake. A start that comes to nothing is a 502 with an \
                id that finds the reason in the journal, and is not tried again for a moment: 503.",
        waits: &["connect", "idle"],
        counts: Counts::YesAndStreams,
        ..schema::Verb::DEFAULT
    },
    build,
};

/// How long a browser waits for the page itself before it gets one that says so.
const BEFORE_PAGE: Duration = Duration::from_millis(400);

struct App {
    app: Arc<Configured>,
    options: Arc<Options>,
    share: Arc<Share>,
}

fn build(reader: &mut Reader<'_>, route: &RouteShape<'_>) -> Option<Box<dyn Handler>> {
    let name = reader.text(&APP)?;
    let (share, options) = (Share::read(reader), Options::read(reader, route));
    let Some(app) = route.apps.get(name) else {
        let fault = Fault::new(&reader.place(&APP), format!("there is no app {name:?}"));
        reader.fault(match nearest(name, route.apps.keys().map(|name| &name[..])) {
            Some(nearest) => fault.help(format!("did you mean {nearest:?}?")),
            None => fault.help(format!("write a table [app.{name}]")),
        });
        return None;
    };
    Some(Box::new(App { app: app.clone()?, options: Arc::new(options?), share: Arc::new(share?) }))
}

impl Handler for App {
    fn ends_with_client(&self) -> bool {
        self.options.ends_with_client
    }

    fn answer(&self, request: Request<RequestBody>, context: &RequestContext<'_>) -> Answer {
        let settings = self.app.settings();
        if settings.never_wake.iter().any(|exempt| is_exempt(exempt, &Head::from(&request))) {
            context.exchange.keeps_awake(false);
            if !self.app.is_up() {
                return asleep(settings.asleep_status, &settings.name).into();
            }
        }
        let gets_page = settings.shows_page && waiting::is_navigation(&Head::from(&request));
        let asked = Asked::new(request, context, self.options.clone());
        Answer::Later(Box::pin(answer(self.app.clone(), self.share.clone(), asked, gets_page)))
    }
}

async fn answer(
    app: Arc<Configured>,
    share: Arc<Share>,
    asked: Box<Asked>,
    gets_page: bool,
) -> Response<Body> {
    let exchange = asked.exchange().clone();
    let waking = async {
        if !gets_page {
            return Some(app.wake(&exchange).await);
        }
        tokio::time::timeout(BEFORE_PAGE, app.wake(&exchange)).await.ok()
    };
    match while_wanted(&exchange, asked.ends_with_client(), waking).await {
        Some(Some(Ok((group, mut lease)))) => {
            match while_wanted(&exchange, asked.ends_with_client(), share.turn()).await.flatten() {
                Some(place) => lease.keep(place),
                None => return refuse(&asked, &NoApp::Full),
            }
            asked.pass(&group, Some(lease)).await
        }
        Some(Some(Err(why))) => refuse(&asked, &why),
        Some(None) => waiting::page(&app.settings().name),
        None => Response::new(Body::Empty), // nobody is there to read it
    }
}

/// The page of an app that does not answer.
fn refuse(asked: &Asked, why: &NoApp) -> Response<Body> {
    let (status, id, retry_in) = match why {
        NoApp::Crashed { id } => (StatusCode::BAD_GATEWAY, Some(id), None),
        NoApp::Resting { id, retry_in } => (StatusCode::SERVICE_UNAVAILABLE, Some(id), Some(*retry_in)),
        NoApp::Full => (StatusCode::SERVICE_UNAVAILABLE, None, Some(Duration::from_secs(1))),
    };
    let mut page = asked.page(status, id.map(String::as_str));
    if let Some(retry_in) = retry_in {
        let secs = retry_in.as_secs() + u64::from(retry_in.subsec_nanos() > 0);
        page.headers_mut().insert(RETRY_AFTER, secs.max(1).into());
    }
    page
}

fn is_exempt(exempt: &Exempt, head: &Head<'_>) -> bool {
    let path = head.uri.path();
    match exempt {
        Exempt::Path(own) => path == own,
        Exempt::Below(own) => path.starts_with(own.as_str()),
        Exempt::Agent(part) => {
            let agent = head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
            agent.is_some_and(|agent| agent.to_lowercase().contains(part.as_str()))
        }
    }
}

/// For whom the app is not woken.
fn asleep(status: u16, name: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{name} is asleep\n")));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == 503 {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    response
}

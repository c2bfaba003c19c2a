//! The way of a request into the service and back: counted, caught when it panics, told when the connection ends.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use pin_project_lite::pin_project;

use super::BoxError;
use super::exchange::{Exchange, Part, Serve};
use super::in_flight::InFlight;
use super::link::Link;
use super::record::State;
use super::shared::{Promise, Stage};
use super::transport::Transport;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Server-Sent Events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// Which protocol a connection speaks; HTTP/1 answers say when it will close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A service as hyper calls it for one connection.
pub struct Counted<S, T> {
    service: Arc<S>,
    link: Arc<Link<T>>,
    protocol: Protocol,
}

impl<S, T> Counted<S, T> {
    /// The service, for the requests of one connection.
    pub fn new(service: Arc<S>, link: &Arc<Link<T>>, protocol: Protocol) -> Self {
        Self { service, link: link.clone(), protocol }
    }
}

impl<S: Serve, T: Transport> hyper::service::Service<Request<Incoming>> for Counted<S, T> {
    type Response = Response<Counting<S::Body>>;
    type Error = BoxError;
    type Future = Answering<S::Future, T>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let method = request.method().clone();
        let exchange = Exchange::new(self.link.record.clone(), self.link.shared.clone(), method);
        let close = match self.protocol {
            Protocol::Http1 => Closing::of(&request),
            Protocol::Http2 => Closing::NotOurs,
        };
        let is_connect = request.method() == Method::CONNECT;
        let hold = match self.protocol {
            Protocol::Http1 => None, // its connection's
            Protocol::Http2 => exchange.hold(),
        };
        let in_flight = InFlight::begin(exchange.clone(), hold);
        let call = AssertUnwindSafe(|| self.service.serve(request, exchange));
        let (future, panic) = match catch_unwind(call) {
            Ok(future) => (Some(future), None),
            Err(panic) => (None, Some(panic)),
        };
        Answering { future, panic, in_flight: Some(in_flight), link: self.link.clone(), close, is_connect }
    }
}

/// What an HTTP/1 answer says about the connection's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// Nothing: HTTP/2 has GOAWAY.
    NotOurs,
    /// The client ends it after this answer anyway.
    ByClient,
    /// How long it stays.
    ByUs,
    /// The same to an HTTP/1.0 client that asked for keep-alive: the end is an answer that does not grant it.
    ByUsUngranted,
}

impl Closing {
    fn of(request: &Request<Incoming>) -> Self {
        let says_close =
            |value: &HeaderValue| value.as_bytes().to_ascii_lowercase().windows(5).any(|w| w == b"close");
        let is_last = request.headers().get_all(CONNECTION).iter().any(says_close);
        match request.version() {
            _ if is_last => Self::ByClient,
            Version::HTTP_11 => Self::ByUs,
            _ => Self::ByUsUngranted,
        }
    }
}

pin_project! {
    /// An answer to come.
    pub struct Answering<F, T> {
        #[pin]
        future: Option<F>,
        panic: Option<Box<dyn Any + Send>>,
        in_flight: Option<InFlight>,
        link: Arc<Link<T>>,
        close: Closing,
        is_connect: bool,
    }
}

impl<F, B, T> Future for Answering<F, T>
where
    F: Future<Output = Result<Response<B>, BoxError>>,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
    T: Transport,
{
    type Output = Result<Response<Counting<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = match (this.future.as_pin_mut(), this.panic.take()) {
            (Some(future), _) => catch_unwind(AssertUnwindSafe(|| future.poll(cx))),
            (None, Some(panic)) => Err(panic),
            (None, None) => return Poll::Pending, // answered already; hyper does not ask again
        };
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome.map_err(Failure::Error),
            Err(panic) => Err(Failure::Panic(panic)),
        };
        let Some(in_flight) = this.in_flight.take() else { return Poll::Pending };
        let answer = match outcome {
            Ok(response) => response.map(|body| Counting::of(body, in_flight)),
            Err(failure) => failure.answer(in_flight),
        };
        Poll::Ready(Ok(finish(answer, this.link, *this.close, *this.is_connect)))
    }
}

/// Adds what the connection has to say, and notes an upgrade.
fn finish<B, T: Transport>(
    mut answer: Response<Counting<B>>,
    link: &Link<T>,
    close: Closing,
    is_connect: bool,
) -> Response<Counting<B>>
where
    Counting<B>: Body,
{
    let part = part_of(&answer, close, is_connect);
    answer.body_mut().in_flight.answer(part);
    if part == Part::Upgrade {
        link.record.set_state(State::Tunnel);
    } else if matches!(close, Closing::ByUs | Closing::ByUsUngranted)
        && let Some((name, value)) = keep_or_close(link, answer.body().in_flight.exchange().counts())
    {
        if close == Closing::ByUsUngranted && name == CONNECTION {
            *answer.version_mut() = Version::HTTP_10; // hyper grants keep-alive to answers of 1.1 only
        } else {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// What an answer with this head is.
fn part_of<B: Body>(answer: &Response<B>, close: Closing, is_connect: bool) -> Part {
    let status = answer.status();
    let is_upgrade = status == StatusCode::SWITCHING_PROTOCOLS || (is_connect && status.is_success());
    let is_stream_of_events = || {
        if answer.body().size_hint().exact().is_some() {
            return false; // it ends by itself
        }
        is_event_stream(answer.headers())
    };
    match is_upgrade {
        true if close != Closing::NotOurs => Part::Upgrade,
        true => Part::Stream, // of HTTP/2: the connection stays
        false if is_stream_of_events() => Part::Stream,
        false => Part::Answer,
    }
}

/// Whether the answer with these headers is a stream of Server-Sent Events.
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    media_type.get(..EVENT_STREAM.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM))
}

/// How long the connection stays after this answer, or that it does not.
fn keep_or_close<T: Transport>(link: &Link<T>, counts: bool) -> Option<(HeaderName, HeaderValue)> {
    let is_last = match link.shared.promise(counts) {
        _ if link.shared.stage() == Stage::Drain => true,
        Promise::Stays(hint) => return Some((KEEP_ALIVE, hint)),
        // An answer that restarts no clock may be followed by sleep at once: the client is to know.
        Promise::Nothing => !counts,
        Promise::Forever => false,
    };
    // A request sent ahead is answered first.
    (is_last && !link.has_next()).then(|| (CONNECTION, HeaderValue::from_static("close")))
}

/// A service that gave no answer.
enum Failure {
    Error(BoxError),
    Panic(Box<dyn Any + Send>),
}

impl Failure {
    /// 500 with an id; the details are in the journal under that id.
    fn answer<B>(self, in_flight: InFlight) -> Response<Counting<B>> {
        let id = in_flight.exchange().new_id();
        match self {
            Self::Error(error) => tracing::error!(id, error, "the service failed, answered 500"),
            Self::Panic(panic) => {
                let panic = panic_message(&*panic);
                tracing::error!(id, panic, "the service panicked, answered 500: {panic}");
            }
        }
        let page = Bytes::from(format!("500 Internal Server Error\nid {id}\n"));
        let mut answer = Response::new(Counting { inner: Inner::Page { page: Some(page) }, in_flight });
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        answer
    }
}

/// What a panic said.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

pin_project! {
    /// An answer's body, counted until hyper drops it.
    pub struct Counting<B> {
        #[pin]
        inner: Inner<B>,
        in_flight: InFlight,
    }
}

pin_project! {
    #[project = InnerProjection]
    enum Inner<B> {
        Service { #[pin] body: B },
        Page { page: Option<Bytes> },
    }
}

impl<B> Counting<B> {
    fn of(body: B, in_flight: InFlight) -> Self {
        Self { inner: Inner::Service { body }, in_flight }
    }
}

impl<B> Body for Counting<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        this.in_flight.set_untaken(false);
        let polled = match this.inner.project() {
            InnerProjection::Page { page } => Poll::Ready(page.take().map(|page| Ok(Frame::data(page)))),
            InnerProjection::Service { body } => match catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx)))
            {
                Ok(polled) => polled.map_err(Into::into),
                Err(panic) => {
                    let panic = panic_message(&*panic);
                    tracing::error!(panic, "an answer's body panicked, the answer is cut: {panic}");
                    Poll::Ready(Some(Err("the body panicked".into())))
                }
            },
        };
        this.in_flight.set_untaken(matches!(polled, Poll::Ready(Some(Ok(_)))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Service { body } => body.is_end_stream(),
            Inner::Page { page } => page.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Service { body } => body.size_hint(),
            Inner::Page { page } => SizeHint::with_exact(page.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

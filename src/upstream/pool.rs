//! One upstream with its connections: kept open between requests, never more than may be.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode, Uri, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::AnswerBody;
use super::connect::{Hello, connect};
use super::conversation::Conversation;
use super::failure::{Failure, Kind};
use super::http2::Http2;
use super::origin::Scheme;
use super::repeatable::Repeatable;
use super::wire::Wire;
use super::{Origin, Pace};
use crate::guard::RequestBody;
use crate::schema::rate::Rate;
use crate::server::Exchange;

/// How long a connection may wait for its next request. Below the five seconds of Node and uvicorn: who closes first
/// loses no request.
const KEEP_IDLE: Duration = Duration::from_secs(4);

/// For how long after its last answer a connection is believed to be open without a look, by requests that may be asked
/// again. No upstream closes idle connections as soon; and one that closed it after that answer is found out by the
/// next, which then goes to a new connection.
const FRESH: Duration = Duration::from_millis(100);

/// How long an upstream that failed is passed over while there are others.
const SET_ASIDE: Duration = Duration::from_secs(10);

/// What an upstream is, and how it is to be treated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamSettings {
    /// Where it is.
    pub origin: Origin,
    /// Most connections that are asked something at once; further requests wait.
    pub connections: usize,
    /// How often it may be asked.
    pub rate: Option<Rate>,
}

impl UpstreamSettings {
    /// As `proxy` has them by default: who asks the same upstream by these has the same pool.
    pub fn by_default(origin: Origin) -> Self {
        Self { origin, connections: 1024, rate: None }
    }
}

/// One upstream.
#[derive(Debug)]
pub struct Upstream {
    origin: Origin,
    idle: Mutex<Idles>,
    places: Arc<Semaphore>,
    pace: Option<Pace>,
    http2: Http2,
    born: Instant,
    /// Until when it is passed over, in milliseconds after `born`; 0: it did not fail.
    aside_until: AtomicU64,
}

/// Connections between two requests.
#[derive(Debug, Default)]
struct Idles {
    /// The one that was used last is the last.
    all: Vec<Idle>,
    /// Whether a task closes those that fall out of use.
    is_watched: bool,
}

/// A connection between two requests.
#[derive(Debug)]
struct Idle {
    conversation: Box<Conversation>,
    since: Instant,
}

/// How one request is to be asked.
#[derive(Debug, Default)]
pub struct How {
    /// For a connection.
    pub connect: Option<Duration>,
    /// Said before the request; the connection is then this request's alone.
    pub hello: Option<Hello>,
    /// Whose answer it is to be, and how long it may take: an upstream that lets it take longer is passed over.
    pub within: Option<(Exchange, Duration)>,
}

/// What came of a request.
#[derive(Debug)]
pub enum Answered {
    /// An answer.
    Plainly(Response<AnswerBody>),
    /// The connection speaks another protocol from here on; the bytes read of it already.
    Upgraded(Response<()>, Wire, bytes::Bytes),
}

/// A connection in use, and its place among them.
#[derive(Debug)]
pub(super) struct Leased {
    pub conversation: Box<Conversation>,
    pub place: Option<OwnedSemaphorePermit>,
    /// It is for one request alone.
    pub is_single: bool,
}

/// Why a connection brought no answer.
struct Missed {
    failure: Failure,
    /// The request, if it may be asked once more.
    request: Option<Box<Request<RequestBody>>>,
    /// The connection had been used before: it may just have been its time to be closed.
    is_stale: bool,
    /// That request is a copy: something of the first one may have been read.
    was_written: bool,
    place: Option<OwnedSemaphorePermit>,
}

impl Upstream {
    /// An upstream that nobody has asked yet.
    pub fn new(settings: &UpstreamSettings) -> Arc<Self> {
        Arc::new(Self {
            origin: settings.origin.clone(),
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(settings.connections.clamp(1, Semaphore::MAX_PERMITS))),
            pace: settings.rate.map(Pace::new),
            http2: Http2::default(),
            born: Instant::now(),
            aside_until: AtomicU64::new(0),
        })
    }

    /// Where it is.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Asks, and waits for the head of the answer. A request that was not written at all because the connection had been
    /// closed, or one that may be repeated and found it closing, is asked once more, on a new connection.
    ///
    /// # Errors
    /// When there is no answer; with the request, if nothing of it was written.
    pub async fn ask(
        self: &Arc<Self>,
        mut request: Box<Request<RequestBody>>,
        how: &How,
    ) -> Result<Answered, (Failure, Option<Box<Request<RequestBody>>>)> {
        // What is rare is boxed here and below: most requests should not make room for it.
        if let Some(pace) = &self.pace
            && !Box::pin(pace.turn()).await
        {
            return Err((Failure::new(Kind::Busy, &self.origin, None), Some(request)));
        }
        let _late = how.within.as_ref().map(|within| Late(self, within));
        if self.origin.scheme == Scheme::H2c {
            return Box::pin(self.http2.ask(self, *request, how)).await;
        }
        *request.version_mut() = Version::HTTP_11;
        if request.uri().authority().is_some() {
            // It was made for an upstream of HTTP/2, which did not get it.
            let target = request.uri().path_and_query().cloned();
            *request.uri_mut() = target.map(Uri::from).unwrap_or_default();
        }
        let place = self.places.clone().acquire_owned().await.ok();
        match self.ask_on_one(place, request, how, Used::Welcome).await {
            Err(Missed { is_stale: true, request: Some(request), was_written, place, .. }) => {
                let answered = Box::pin(self.ask_on_one(place, request, how, Used::Unwelcome)).await;
                // What was written once has been repeated now, and is nobody else's any more.
                answered
                    .map_err(|missed| (self.noted(missed.failure), missed.request.filter(|_| !was_written)))
            }
            answered => answered.map_err(|missed| (self.noted(missed.failure), missed.request)),
        }
    }

    /// Asks on one connection.
    async fn ask_on_one(
        self: &Arc<Self>,
        place: Option<OwnedSemaphorePermit>,
        request: Box<Request<RequestBody>>,
        how: &How,
        used: Used,
    ) -> Result<Answered, Missed> {
        let may_repeat = Repeatable::may(&request);
        let (mut leased, is_used) = match self.lease(how, used, may_repeat).await {
            Ok((conversation, is_used)) => {
                (Leased { conversation, place, is_single: how.hello.is_some() }, is_used)
            }
            Err(failure) => {
                let (is_stale, was_written) = (false, false);
                return Err(Missed { failure, request: Some(request), is_stale, was_written, place });
            }
        };
        let repeatable = (is_used && may_repeat).then(|| Repeatable::of(&request));
        let mut unanswered = match leased.conversation.ask(request).await {
            Ok(answer) => return Ok(self.answered(leased, answer).await),
            Err(unanswered) => unanswered,
        };
        let unwritten = unanswered.take_message().map(Box::new);
        let error = unanswered.into_error();
        let has_answer = error.is_parse(); // of sorts
        let repeated = repeatable.filter(|_| !has_answer).map(Repeatable::request);
        Err(Missed {
            failure: Failure::of_hyper(&self.origin, error),
            was_written: unwritten.is_none(),
            request: unwritten.or(repeated),
            is_stale: is_used,
            place: leased.place.take(),
        })
    }

    /// Connects, and keeps the connection for the request that is about to come.
    pub async fn connect_ahead(self: &Arc<Self>, limit: Duration) -> bool {
        let Ok((wire, plain)) = connect(&self.origin, None, Some(limit)).await else { return false };
        if self.origin.scheme != Scheme::H2c
            && let Ok(mut conversation) = Conversation::begin(wire, plain).await
            && std::future::poll_fn(|cx| Poll::Ready(conversation.is_ready(cx))).await
        {
            self.keep(conversation);
        }
        true
    }

    async fn answered(self: &Arc<Self>, leased: Leased, answer: Response<Incoming>) -> Answered {
        self.note_answer();
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (wire, read) = leased.conversation.into_parts();
            return Answered::Upgraded(answer.map(|_| ()), wire, read);
        }
        let mut answer = answer.map(|incoming| AnswerBody::new(incoming, self.clone(), Some(leased)));
        // Nobody reads a body that is not there.
        std::future::poll_fn(|cx| {
            answer.body_mut().give_back_if_over(cx);
            Poll::Ready(())
        })
        .await;
        Answered::Plainly(answer)
    }

    /// A connection that is open by all that can be known, and whether it has been used before.
    async fn lease(
        &self,
        how: &How,
        used: Used,
        may_repeat: bool,
    ) -> Result<(Box<Conversation>, bool), Failure> {
        if used == Used::Welcome
            && how.hello.is_none()
            && let Some(conversation) = self.take_idle(may_repeat)
        {
            return Ok((conversation, true));
        }
        let connecting = async {
            let (wire, plain) = connect(&self.origin, how.hello.as_ref(), how.connect).await?;
            let begun = Conversation::begin(wire, plain).await;
            begun.map_err(|error| Failure::of_hyper(&self.origin, error))
        };
        Ok((Box::pin(connecting).await?, false))
    }

    /// The connection that was used last: the others may fall out of use.
    fn take_idle(&self, may_repeat: bool) -> Option<Box<Conversation>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(last) = idle.all.pop() {
            let age = last.since.elapsed();
            let is_believed = may_repeat && age < FRESH;
            if age < KEEP_IDLE && (is_believed || last.conversation.is_still_open()) {
                return Some(last.conversation);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(self: &Arc<Self>, conversation: Box<Conversation>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut idle.is_watched, true) {
            tokio::spawn(close_unused(Arc::downgrade(self)));
        }
        idle.all.push(Idle { conversation, since: Instant::now() });
    }

    /// Closes all connections on which nothing is asked.
    pub fn close_idle(&self) {
        let all = std::mem::take(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner).all);
        drop(all); // closing them needs no lock
    }

    /// Closes connections that nobody has used for a while; how long until the next one, if there are any.
    fn close_unused(&self) -> Option<Duration> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unused = |idle: &Idle| idle.since.elapsed() >= KEEP_IDLE;
        let count = idle.all.iter().take_while(|idle| is_unused(idle)).count();
        let unused: Vec<_> = idle.all.drain(..count).collect();
        let next = idle.all.first().map(|idle| KEEP_IDLE.saturating_sub(idle.since.elapsed()));
        idle.is_watched = next.is_some();
        drop(idle);
        drop(unused); // closing them needs no lock
        next
    }

    /// Notes that it failed, if it was its fault.
    pub(super) fn noted(&self, failure: Failure) -> Failure {
        if failure.is_upstreams() {
            self.set_aside();
        }
        failure
    }

    /// Notes that it has answered.
    pub(super) fn note_answer(&self) {
        self.aside_until.store(0, Relaxed);
    }

    /// Passes it over for a while, if there are others.
    pub fn set_aside(&self) {
        self.aside_until.store(self.millis(SET_ASIDE), Relaxed);
    }

    /// Whether it is passed over now.
    pub fn is_aside(&self) -> bool {
        self.aside_until.load(Relaxed) > self.millis(Duration::ZERO)
    }

    fn millis(&self, from_now: Duration) -> u64 {
        u64::try_from((self.born.elapsed() + from_now).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Whether a connection that has been used before will do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Used {
    Welcome,
    Unwelcome,
}

/// A request under way. That it has taken too long is seen by its end: whoever waits for an answer drops it.
struct Late<'u>(&'u Upstream, &'u (Exchange, Duration));

impl Drop for Late<'_> {
    fn drop(&mut self) {
        let Self(upstream, (exchange, limit)) = self;
        if exchange.waited_for_since().is_some_and(|since| since.elapsed() >= *limit) {
            upstream.set_aside();
        }
    }
}

/// Runs while there are idle connections. It holds nothing: the process may leave over it.
async fn close_unused(upstream: std::sync::Weak<Upstream>) {
    let mut next = KEEP_IDLE;
    loop {
        tokio::time::sleep(next.max(Duration::from_millis(10))).await;
        match upstream.upgrade().and_then(|upstream| upstream.close_unused()) {
            Some(after) => next = after,
            None => return,
        }
    }
}

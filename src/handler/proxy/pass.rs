//! The way of one request to an upstream and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http_body::Body as _;
use hyper::header::{ACCEPT, CONTENT_LENGTH, EXPECT, HOST, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};

use super::forward::{self, UpstreamHost};
use super::hop::{self, Passed};
use super::passing::Passing;
use super::{Options, upgrade};
use crate::activation::Peer;
use crate::app::Lease;
use crate::guard::{Client, RequestBody};
use crate::handler::accept::Format;
use crate::handler::{Body, RequestContext, pages, while_wanted};
use crate::server::framing::proxy_header;
use crate::server::{Exchange, is_event_stream};
use crate::upstream::{AnswerBody, Answered, Failure, Group, How, Kind, Origin, Upstream};

/// A request that is to be passed on, with what is needed to answer it. Boxed: it is large, and goes from hand to hand.
pub struct Asked {
    /// `None`: it has gone on.
    request: Option<Box<Request<RequestBody>>>,
    exchange: Exchange,
    options: Arc<Options>,
    is_head: bool,
    /// The client's connection, if it may become another protocol's.
    upgrade: Option<OnUpgrade>,
    passed: Passed,
    /// `None`: what would be sent is no path.
    target: Option<Uri>,
    /// For the page of an error.
    accept: Option<HeaderValue>,
    path: Uri,
}

impl Asked {
    /// Takes a request out of a handler's hands.
    pub fn new(
        mut request: Request<RequestBody>,
        context: &RequestContext<'_>,
        options: Arc<Options>,
    ) -> Box<Self> {
        // A way to anywhere is nothing that an upstream of ours has to give (RFC 9110 section 9.3.6).
        let is_connect = request.method() == Method::CONNECT;
        let target = options.paths.target(request.uri(), Some(context.rest)).filter(|_| !is_connect);
        let accept = request.headers().get(ACCEPT).cloned();
        let mut passed = hop::strip(request.headers_mut());
        let may_upgrade = passed.upgrade.is_some() && request.version() == Version::HTTP_11;
        let upgrade = may_upgrade.then(|| hyper::upgrade::on(&mut request));
        if !may_upgrade {
            passed.upgrade = None;
        }
        Box::new(Self {
            is_head: request.method() == Method::HEAD,
            path: request.uri().clone(),
            exchange: context.exchange.clone(),
            request: Some(Box::new(request)),
            options,
            upgrade,
            passed,
            target: target.map(Uri::from),
            accept,
        })
    }

    /// The request's exchange.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Whether its client's leaving ends it.
    pub fn ends_with_client(&self) -> bool {
        self.options.ends_with_client
    }

    /// A page of dormouse's own, in the form the client likes.
    pub fn page(&self, status: StatusCode, id: Option<&str>) -> Response<Body> {
        let format = Format::of(self.accept.iter()).unwrap_or(Format::Plain);
        pages::error(status, format, self.path.path(), id)
    }

    /// Asks a group of upstreams, and answers with what they say. `lease` is kept until the answer's end.
    pub async fn pass(mut self: Box<Self>, group: &Group, lease: Option<Lease>) -> Response<Body> {
        let (Some(target), Some(mut request)) = (self.target.take(), self.request.take()) else {
            return self.page(StatusCode::BAD_REQUEST, None);
        };
        let (mut how, host) = self.prepare(&mut request, target);
        if group.upstreams().len() > 1 {
            how.within = self.options.waits.request.map(|limit| (self.exchange.clone(), limit));
        }
        let options = self.options.clone();
        let asking =
            group.ask(request, &how, |upstream, request| address(&options, upstream, request, host.as_ref()));
        let answered = match while_wanted(&self.exchange, options.ends_with_client, asking).await {
            Some(answered) => answered,
            None => Err(Failure::new(Kind::ClientGone, group.upstreams()[0].origin(), None)),
        };
        match answered {
            Ok(Answered::Plainly(answer)) => self.answer(answer, lease).await,
            Ok(Answered::Upgraded(head, wire, read)) => match self.upgrade.take() {
                Some(client) => upgrade::answer(head, client, (wire, read), self.exchange, lease),
                None => {
                    let origin = group.upstreams()[0].origin();
                    self.fail(&Failure::new(
                        Kind::Garbage,
                        origin,
                        Some("an upgrade nobody asked for".into()),
                    ))
                }
            },
            Err(failure) => self.fail(&failure),
        }
    }

    /// Makes of the client's head the upstream's.
    fn prepare(&self, request: &mut Request<RequestBody>, target: Uri) -> (How, Option<HeaderValue>) {
        let client = Client::of(&self.exchange);
        let host = forward::asked_host(request.uri(), request.headers());
        let came_by = request.version();
        let headers = request.headers_mut();
        forward::introduce(headers, &client, host.as_ref(), self.options.also_forwarded);
        forward::add_via(headers, came_by);
        if came_by == Version::HTTP_2 {
            forward::join_cookies(headers);
        }
        hop::say(headers, &self.passed);
        let has_body = !request.body().is_end_stream();
        let headers = request.headers_mut();
        if has_body && !headers.contains_key(CONTENT_LENGTH) {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked")); // hyper gives a GET no body unasked
        }
        let expects = headers.contains_key(EXPECT);
        if expects && !has_body {
            headers.remove(EXPECT);
        }
        *request.uri_mut() = target;
        request.extensions_mut().clear();
        if expects && has_body {
            let gate = request.body_mut().wait_for_word();
            hyper::ext::on_informational(request, move |said| {
                if said.status() == StatusCode::CONTINUE {
                    gate.open();
                }
            });
        }
        let hello = self.options.says_hello.then(|| hello(&self.exchange));
        (How { connect: self.options.waits.connect, hello, within: None }, host)
    }

    /// The client's answer, made of the upstream's.
    async fn answer(self: Box<Self>, answer: Response<AnswerBody>, lease: Option<Lease>) -> Response<Body> {
        let (mut head, mut body) = answer.into_parts();
        hop::strip(&mut head.headers);
        hop::say_length_once(&mut head.headers);
        head.version = Version::HTTP_11;
        head.extensions.remove::<OnUpgrade>();
        if self.is_head {
            return Response::from_parts(head, Body::Absent);
        }
        // Most answers are small, and have come in one piece with their heads.
        let first = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await;
        let first = match first {
            Poll::Ready(None) => return Response::from_parts(head, Body::Empty),
            // Nothing has gone to the client yet, so it can be told.
            Poll::Ready(Some(Err(error))) => {
                let failure = Failure::new(Kind::Broken, body.origin(), Some(error.into()));
                return self.fail(&failure);
            }
            Poll::Ready(Some(Ok(frame))) if body.is_end_stream() && frame.is_data() => {
                let data = frame.into_data().unwrap_or_default();
                return Response::from_parts(head, Body::Bytes(data));
            }
            Poll::Ready(Some(frame)) => Some(frame),
            Poll::Pending => None,
        };
        let is_event_stream = is_event_stream(&head.headers);
        let passing = Passing::new(first, body, self.exchange, &self.options, is_event_stream, lease);
        Response::from_parts(head, Body::Upstream(Box::new(passing)))
    }

    /// The page of a failure, with an id by which the journal has the details.
    pub fn fail(&self, failure: &Failure) -> Response<Body> {
        let status = failure.status();
        if !failure.is_upstreams() && failure.kind != Kind::Busy {
            tracing::debug!(status = status.as_u16(), "{failure}");
            return self.page(status, None);
        }
        let id = self.exchange.new_id();
        let (code, path) = (status.as_u16(), self.path.path());
        tracing::warn!(id, status = code, upstream = %failure.upstream, path, "answered {code} (id {id}): {failure}");
        let mut page = self.page(status, Some(&id));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            page.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        page
    }
}

/// Tells of the client by a PROXY header. Where it has connected to the upstream need not know.
fn hello(exchange: &Exchange) -> Vec<u8> {
    match exchange.client() {
        Peer::Tcp(client) => {
            let any: IpAddr =
                if client.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            proxy_header::encode_v2(*client, SocketAddr::new(any, 0))
        }
        Peer::Unix(_) => proxy_header::encode_v2_local(),
    }
}

/// Sets what is different for each upstream.
fn address(
    options: &Options,
    upstream: &Upstream,
    request: &mut Request<RequestBody>,
    asked: Option<&HeaderValue>,
) {
    let own = |origin: &Origin| origin.host_header();
    let host = match (&options.host, asked) {
        (UpstreamHost::Name(name), _) => name.clone(),
        (UpstreamHost::Keep, Some(asked)) => asked.clone(),
        _ => own(upstream.origin()),
    };
    request.headers_mut().insert(HOST, host);
}

/// An answer's bytes that are here already.
pub type First = Option<Result<http_body::Frame<Bytes>, hyper::Error>>;

//! Guards, permits and time limits, with handlers made for the purpose.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dormouse::Exchange;
use dormouse::guard::{Admission, Chain, Guard, Refusal, RequestBody, Waits};
use dormouse::handler::{Answer, Body, Handler, Head, RequestContext};
use dormouse::route::{MethodSet, Pattern, Router, Spec};
use dormouse::site::{Route, Site};
use http_body::Frame;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use tokio::time::sleep;

use crate::harness::Served;

/// Answers after a while, with a body that says nothing more after its first piece.
struct Slow(Duration);

impl Handler for Slow {
    fn answer(&self, _: Request<RequestBody>, _: &RequestContext<'_>) -> Answer {
        let delay = self.0;
        Answer::Later(Box::pin(async move {
            sleep(delay).await;
            Response::new(Body::Stream(Box::pin(Stalled(Some("piece")))))
        }))
    }
}

struct Stalled(Option<&'static str>);

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.0.take() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
            None => Poll::Pending,
        }
    }
}

/// Says the path it was asked for.
struct Echo;

impl Handler for Echo {
    fn answer(&self, request: Request<RequestBody>, context: &RequestContext<'_>) -> Answer {
        let name = context.capture("name").unwrap_or_default();
        Response::new(Body::from(format!("{} {name}", request.uri().path()))).into()
    }
}

fn site(handler: impl Handler, waits: Waits, guards: Vec<Box<dyn Guard>>) -> Served {
    let pattern = Pattern::parse("/{name}").expect("a path");
    let spec = Spec { pattern, below: None, hosts: vec![], socket: None, methods: MethodSet::Any };
    let chain = Chain::new(guards, vec![]).with_waits(waits);
    let route = Route {
        verb: "test",
        path: "/".into(),
        operand: String::new(),
        handler: Box::new(handler),
        chain,
        keeps_awake: true.into(),
    };
    let router = Router::new(vec![spec]).expect("no conflicts");
    Served::site(Site { router, routes: vec![route], places: None, is_provisional: false })
}

/// A guard from a function.
struct By<F>(F);

impl<F: Fn(&Head<'_>) -> Admission + Send + Sync + 'static> Guard for By<F> {
    fn admit(&self, head: &Head<'_>, _: &Exchange) -> Admission {
        (self.0)(head)
    }
}

fn by<F: Fn(&Head<'_>) -> Admission + Send + Sync + 'static>(guard: F) -> Box<dyn Guard> {
    Box::new(By(guard))
}

#[test]
fn a_handler_that_takes_too_long_is_a_504() {
    let waits = Waits { request: Some(Duration::from_millis(50)), total: None, ..Waits::default() };
    let answer = site(Slow(Duration::from_secs(60)), waits, vec![]).ask("GET /x\nAccept: application/json");
    assert_eq!((answer.status(), answer.json()["error"].as_str()), (504, Some("gateway timeout")));
}

#[test]
fn an_answer_that_takes_too_long_is_cut_off_in_the_middle() {
    let waits = Waits { request: None, total: Some(Duration::from_millis(300)), ..Waits::default() };
    let answer = site(Slow(Duration::ZERO), waits, vec![]).ask("GET /x");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body, "5\r\npiece\r\n"); // the last chunk never comes
}

#[test]
fn a_guard_refuses_before_the_handler_sees_anything() {
    let refusal = || Refusal {
        status: StatusCode::TOO_MANY_REQUESTS,
        headers: HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]),
    };
    let passes = by(|_| Admission::Pass(None));
    let waits = by(move |head| {
        let is_welcome = head.uri.path() == "/welcome";
        Admission::Later(Box::pin(async move {
            sleep(Duration::from_millis(5)).await;
            if is_welcome { Ok(None) } else { Err(refusal()) }
        }))
    });
    let refuses = by(move |head| match head.headers.contains_key("x-no") {
        true => Admission::Refuse(refusal()),
        false => Admission::Pass(None),
    });
    let site = site(Echo, Waits::default(), vec![passes, waits, refuses]);
    assert_eq!(site.ask("GET /welcome").body, "/welcome welcome");
    for refused in ["GET /other", "GET /welcome\nX-No: 1"] {
        let answer = site.ask(refused);
        assert_eq!((answer.status(), answer.header("retry-after")), (429, "7"), "{refused}");
        assert_eq!(answer.body, "429 too many requests\n");
    }
}

#[test]
fn a_permit_is_given_back_when_the_body_has_ended() {
    let permits = Arc::new(());
    let gives = {
        let permits = permits.clone();
        by(move |_| Admission::Pass(Some(Box::new(permits.clone()))))
    };
    let waits = Waits { request: None, total: Some(Duration::from_millis(300)), ..Waits::default() };
    let seen = {
        let permits = permits.clone();
        by(move |_| {
            assert_eq!(Arc::strong_count(&permits), 4); // the test's, two guards', and the one given for this request
            Admission::Pass(None)
        })
    };
    let site = site(Slow(Duration::ZERO), waits, vec![gives, seen]);
    for _ in 0..3 {
        assert_eq!(site.ask("GET /x").status(), 200);
    }
}

//! A service for the engine's tests: an ordinary axum app whose handlers wait, fail, stream and upgrade on request.
//!
//! A *gate* is a Unix socket of the test: the handler connects, says `started`, and goes on when it reads a line. When
//! the handler is dropped the test sees the gate's end.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use dormouse::lifecycle::{Hooks, Life};
use dormouse::server::Tower;
use dormouse::server::engine::Program;
use dormouse::{Engine, Exchange, Exit, KeepsAwake, Settings, Sockets};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

#[derive(Deserialize)]
struct Gate {
    gate: String,
}

/// `policy=while-active`, `policy=false`; else the default.
#[derive(Deserialize)]
struct Policy {
    policy: Option<String>,
}

impl Policy {
    fn apply(&self, exchange: &Exchange) {
        match self.policy.as_deref() {
            Some("while-active") => exchange.keeps_awake(KeepsAwake::WhileActive),
            Some("false") => exchange.keeps_awake(false),
            _ => {}
        }
    }
}

impl Gate {
    async fn pass(&self) {
        let mut gate = UnixStream::connect(&self.gate).await.expect("the test listens");
        gate.write_all(b"started\n").await.expect("the test reads");
        let mut line = String::new();
        BufReader::new(gate).read_line(&mut line).await.expect("the test answers");
    }
}

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/socket", get(|request: Request| async move { exchange(&request).socket().to_owned() }))
        .route("/peer", get(|request: Request| async move { exchange(&request).peer().to_string() }))
        .route("/environment", get(environment))
        .route("/noise", get(noise))
        .route("/gate", get(gate).post(gate))
        .route("/gone", get(gone))
        .route("/stream", get(stream))
        .route("/big/{bytes}", get(big))
        .route("/crumbs/{bytes}", get(async |Path(bytes): Path<usize>| Body::new(Crumbs(bytes))))
        .route("/upload", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/echo", post(|request: Request| async move { Body::new(request.into_body()) }))
        .route("/ignore", post(|| async { (StatusCode::PAYLOAD_TOO_LARGE, "too large") }))
        .route("/panic", get(|| async { panic!("as asked") as &'static str }))
        .route("/upgrade", get(upgrade))
        .route("/events", get(events))
}

fn exchange(request: &Request) -> &Exchange {
    request.extensions().get().expect("the engine adds it")
}

async fn environment() -> String {
    std::env::vars().map(|(name, _)| name).collect::<Vec<_>>().join("\n")
}

async fn noise(request: Request) -> &'static str {
    exchange(&request).keeps_awake(false);
    "noise"
}

async fn gate(Query(gate): Query<Gate>) -> &'static str {
    gate.pass().await;
    "passed"
}

/// Answers once the client has closed its side.
async fn gone(Query(gate): Query<Gate>, request: Request) -> &'static str {
    let mut stream = UnixStream::connect(&gate.gate).await.expect("the test listens");
    stream.write_all(b"started\n").await.expect("the test reads");
    exchange(&request).gone().await;
    stream.write_all(b"gone\n").await.expect("the test reads");
    "gone"
}

/// Says one thing at once and another after the gate.
async fn stream(Query(gate): Query<Gate>) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        let _ = sender.send(Bytes::from_static(b"first ")).await;
        gate.pass().await;
        let _ = sender.send(Bytes::from_static(b"last")).await;
    });
    Body::new(Channel(receiver))
}

struct Channel(tokio::sync::mpsc::Receiver<Bytes>);

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}

/// That many bytes, in pieces.
async fn big(Path(bytes): Path<usize>) -> Body {
    const PIECE: usize = 64 * 1024;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        let mut left = bytes;
        while left > 0 {
            let some = left.min(PIECE);
            left -= some;
            if sender.send(Bytes::from(vec![b'x'; some])).await.is_err() {
                return;
            }
        }
    });
    Body::new(Channel(receiver))
}

/// That many bytes, ready at any time, in pieces so small that each fills no buffer.
struct Crumbs(usize);

impl http_body::Body for Crumbs {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        const CRUMB: Bytes = Bytes::from_static(b"a crumb of an answer");
        let crumb = CRUMB.slice(..CRUMB.len().min(self.0));
        self.0 -= crumb.len();
        std::task::Poll::Ready((!crumb.is_empty()).then(|| Ok(http_body::Frame::data(crumb))))
    }
}

/// Server-Sent Events: each line of the gate is one, and `bye` is the last when it is to end.
async fn events(Query(gate): Query<Gate>, Query(policy): Query<Policy>, request: Request) -> Response {
    let exchange = exchange(&request).clone();
    policy.apply(&exchange);
    exchange.set_route(&"/events".into());
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        let mut gate = UnixStream::connect(&gate.gate).await.expect("the test listens");
        gate.write_all(b"started\n").await.expect("the test reads");
        let mut lines = BufReader::new(gate).lines();
        loop {
            let (event, is_last) = tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => (line, false),
                    _ => return,
                },
                () = exchange.draining() => ("bye".to_owned(), true),
            };
            if sender.send(Bytes::from(format!("data: {event}\n\n"))).await.is_err() || is_last {
                return;
            }
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], Body::new(Channel(receiver)))
        .into_response()
}

/// `Upgrade: echo`: what comes goes back. With a policy, `bye` is the last when it is to end; without, it does not listen.
async fn upgrade(headers: HeaderMap, Query(policy): Query<Policy>, mut request: Request) -> Response {
    if headers.get(header::UPGRADE).is_none_or(|protocol| protocol != "echo") {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    }
    let exchange = exchange(&request).clone();
    policy.apply(&exchange);
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let stream = hyper_util::rt::TokioIo::new(upgraded.await.expect("it is upgraded"));
        let (mut from, mut to) = tokio::io::split(stream);
        let is_asked_to_end = tokio::select! {
            _ = tokio::io::copy(&mut from, &mut to) => false,
            () = exchange.draining(), if policy.policy.is_some() => true,
        };
        if is_asked_to_end {
            let _ = to.write_all(b"bye").await;
        }
        let _ = to.shutdown().await;
    });
    let headers = [(header::UPGRADE, "echo"), (header::CONNECTION, "upgrade")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// `FIXTURE_*`.
fn number(name: &str) -> Option<u64> {
    let value = std::env::var(format!("FIXTURE_{name}")).ok()?;
    Some(value.parse().expect("a number"))
}

fn millis(name: &str) -> Option<Duration> {
    number(name).map(Duration::from_millis)
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    let sleep = &mut settings.sleep;
    sleep.after = millis("AFTER").or(sleep.after);
    sleep.min_awake = millis("MIN_AWAKE").unwrap_or(sleep.min_awake);
    sleep.grace = millis("GRACE").unwrap_or(sleep.grace);
    sleep.drain = millis("DRAIN").unwrap_or(sleep.drain);
    let timeouts = &mut settings.timeouts;
    timeouts.first_byte = millis("FIRST_BYTE").or(timeouts.first_byte);
    timeouts.head = millis("HEAD").or(timeouts.head);
    timeouts.body = millis("BODY").or(timeouts.body);
    timeouts.write = millis("WRITE").or(timeouts.write);
    timeouts.keep_alive = millis("KEEP_ALIVE").or(timeouts.keep_alive);
    settings.connections = number("CONNECTIONS").map(|number| usize::try_from(number).expect("not too many"));
    settings
}

/// Flushes for as long as `FIXTURE_FLUSH` says.
struct Flush(Duration);

impl Hooks for Flush {
    fn before_sleep(&self, _: &Life) {
        std::thread::sleep(self.0);
    }
}

fn run() -> Result<Exit, Box<dyn Error>> {
    let sockets = Sockets::inherited()?.or_bind("127.0.0.1:0")?;
    let hooks = Arc::new(Flush(millis("FLUSH").unwrap_or_default()));
    let program = Program { service: Tower(app()), hooks };
    Ok(Engine::new(sockets).settings(settings()).run(async |_| Ok::<_, std::io::Error>(program))?)
}

fn main() {
    dormouse::log::start("fixture");
    let exit = run();
    dormouse::log::flush(dormouse::log::FLUSH_DEADLINE);
    std::process::exit(match exit {
        Ok(Exit::Cut) => 75,
        Ok(Exit::Asleep | Exit::Drained | Exit::Overdue) => 0,
        Err(error) => {
            eprintln!("{error}");
            70
        }
    })
}

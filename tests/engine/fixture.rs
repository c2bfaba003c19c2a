//! A service for the engine's tests: an ordinary axum app whose handlers wait, fail, block, stream and upgrade on request.
//!
//! A *gate* is a Unix socket of the test: the handler connects, says `started`, and goes on when it reads a line. When
//! the handler is dropped the test sees the gate's end. Hooks have gates too.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use dormouse::lifecycle::{Hooks, Life};
use dormouse::server::engine::{Control, Program};
use dormouse::server::{Tower, Trust};
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
        .route("/client", get(client))
        .route("/watch", get(watch))
        .route("/watch-stream", get(watch_stream))
        .route("/patience/{millis}", post(patience))
        .route("/environment", get(environment))
        .route("/method", any(|request: Request| async move { request.method().to_string() }))
        .route("/noise", get(noise))
        .route("/gate", get(gate).post(gate))
        .route("/gone", get(gone))
        .route("/stream", get(stream))
        .route("/big/{bytes}", get(big))
        .route("/crumbs/{bytes}", get(async |Path(bytes): Path<usize>| Body::new(Crumbs(bytes))))
        .route("/upload", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/echo", post(|request: Request| async move { Body::new(request.into_body()) }))
        .route("/ignore", post(|| async { (StatusCode::PAYLOAD_TOO_LARGE, "too large") }))
        .route("/work", get(work))
        .route("/counters", get(counters))
        .route("/panic", get(|| async { panic!("as asked") as &'static str }))
        .route("/upgrade", get(upgrade))
        .route("/events", get(events))
        .route("/flood", get(flood))
        .route("/poll", get(poll).post(poll))
        .route("/block", get(block))
        .route("/child", get(child))
}

fn exchange(request: &Request) -> &Exchange {
    request.extensions().get().expect("the engine adds it")
}

async fn environment() -> String {
    std::env::vars().map(|(name, _)| name).collect::<Vec<_>>().join("\n")
}

/// Who asks, through whom, and whether that one is believed.
async fn client(request: Request) -> String {
    let exchange = exchange(&request);
    format!("{} {} {}", exchange.client(), exchange.peer(), exchange.trusts_peer())
}

/// Answers once the client has closed its side, of which nobody wakes it: it looks when it is polled.
async fn watch(Query(gate): Query<Gate>, request: Request) -> &'static str {
    let mut stream = UnixStream::connect(&gate.gate).await.expect("the test listens");
    stream.write_all(b"started\n").await.expect("the test reads");
    drop(stream);
    let exchange = exchange(&request);
    std::future::poll_fn(|_| if exchange.is_gone() { Poll::Ready(()) } else { Poll::Pending }).await;
    "gone"
}

/// Says one thing at once, and another when a look at that has told it the same.
async fn watch_stream(request: Request) -> Body {
    Body::new(Watching { exchange: exchange(&request).clone(), words: vec!["gone", "there "] })
}

struct Watching {
    exchange: Exchange,
    words: Vec<&'static str>,
}

impl http_body::Body for Watching {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        if self.words.len() == 1 && !self.exchange.is_gone() {
            return Poll::Pending;
        }
        let word = self.words.pop();
        Poll::Ready(word.map(|word| Ok(http_body::Frame::data(Bytes::from_static(word.as_bytes())))))
    }
}

/// Waits for the request's body that long between two reads of it, for ever with 0; how many bytes came, or that no
/// more did.
async fn patience(Path(millis): Path<u64>, request: Request) -> String {
    exchange(&request).set_body_timeout((millis > 0).then(|| Duration::from_millis(millis)));
    match axum::body::to_bytes(request.into_body(), usize::MAX).await {
        Ok(body) => body.len().to_string(),
        Err(_) => "timed out".to_owned(),
    }
}

async fn noise(request: Request) -> &'static str {
    exchange(&request).keeps_awake(false);
    "noise"
}

async fn gate(Query(gate): Query<Gate>) -> &'static str {
    gate.pass().await;
    "passed"
}

#[derive(Deserialize)]
struct Work {
    /// Where the handler waits before it answers.
    first: Option<String>,
    /// Where what it leaves behind waits.
    gate: String,
    /// Whether that ends with a panic.
    panics: Option<bool>,
}

/// Answers, and leaves work behind that holds the process.
async fn work(Query(work): Query<Work>, request: Request) -> &'static str {
    if let Some(gate) = work.first {
        Gate { gate }.pass().await;
    }
    let hold = exchange(&request).hold();
    tokio::spawn(async move {
        let _hold = hold.expect("a request is in hand");
        Gate { gate: work.gate }.pass().await;
        assert_ne!(work.panics, Some(true), "as asked");
    });
    "left"
}

/// What the engine counts, one `name value` a line; asking does not count.
async fn counters(request: Request) -> String {
    let exchange = exchange(&request);
    exchange.keeps_awake(false);
    let now = exchange.snapshot();
    let asleep_in = now.asleep_in.map_or(u128::MAX, |left| left.as_micros());
    let counts = [
        ("new", now.new),
        ("busy", now.busy),
        ("idle", now.idle),
        ("lingering", now.lingering),
        ("tunnels", now.tunnels),
        ("in_flight", now.in_flight),
    ];
    let lines: String = counts.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
    format!("{lines}asleep_in {asleep_in}\n")
}

/// Tells when the client has closed its side, and answers when the test says so.
async fn gone(Query(gate): Query<Gate>, request: Request) -> &'static str {
    let mut stream = UnixStream::connect(&gate.gate).await.expect("the test listens");
    stream.write_all(b"started\n").await.expect("the test reads");
    exchange(&request).gone().await;
    stream.write_all(b"gone\n").await.expect("the test reads");
    BufReader::new(stream).read_line(&mut String::new()).await.expect("the test answers");
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

/// A stream that may be slept over, and never has an end.
async fn flood(request: Request) -> Body {
    exchange(&request).keeps_awake(false);
    exchange(&request).is_stream();
    Body::new(Crumbs(usize::MAX))
}

#[derive(Deserialize)]
struct Waiting {
    /// Goes on waiting when it is asked to end.
    stubborn: Option<bool>,
    /// Where it waits once more before it gives its line out.
    then: Option<String>,
}

/// A long poll: waits quietly for a line of the gate, and gives that out; 204 when there is none before it is asked to end or
/// the gate closes. It tells the gate whether the line was `taken`, or `left` for another.
async fn poll(
    Query(gate): Query<Gate>,
    Query(policy): Query<Policy>,
    Query(Waiting { stubborn, then }): Query<Waiting>,
    request: Request,
) -> Response {
    let exchange = exchange(&request).clone();
    policy.apply(&exchange);
    exchange.set_route(&"/poll".into());
    let mut stream = UnixStream::connect(&gate.gate).await.expect("the test listens");
    let quiet = exchange.wait_quietly();
    stream.write_all(b"started\n").await.expect("the test reads");
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    tokio::select! {
        read = stream.read_line(&mut line) => assert!(read.is_ok(), "the test answers"),
        () = exchange.draining(), if stubborn != Some(true) => {}
        () = exchange.gone() => {}
    }
    if !line.ends_with('\n') {
        return StatusCode::NO_CONTENT.into_response();
    }
    let is_taken = quiet.end();
    let word = if is_taken { "taken\n" } else { "left\n" };
    stream.write_all(word.as_bytes()).await.expect("the test reads");
    if let Some(gate) = then {
        Gate { gate }.pass().await;
    }
    if is_taken { line.into_response() } else { StatusCode::NO_CONTENT.into_response() }
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

/// Blocks the thread that serves, for ever: what a deadlock in a handler does.
async fn block() -> &'static str {
    loop {
        std::thread::park();
    }
}

/// Leaves a child behind, and tells its process id.
#[expect(clippy::zombie_processes, reason = "nobody waits for a child that is left behind")]
async fn child() -> String {
    let child = std::process::Command::new("sleep").arg("1000").spawn().expect("there is a sleep");
    child.id().to_string()
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
    if let Ok(entries) = std::env::var("FIXTURE_TRUST") {
        let entries = entries.split(' ').map(|entry| Trust::parse_one(entry).expect("an entry"));
        settings.trust = entries.collect();
    }
    settings.connections = number("CONNECTIONS").map(|number| usize::try_from(number).expect("not too many"));
    settings
}

/// What the program does beside answering. Its gates are synchronous: they hold the thread they are called on.
struct Moments {
    control: Control,
    flush: Duration,
}

impl Moments {
    /// Waits at the gate of the test whose path `FIXTURE_<name>` is; what the test says.
    fn pass(name: &str) -> String {
        use std::io::{BufRead, Write};
        let Some(path) = std::env::var_os(format!("FIXTURE_{name}")) else { return String::new() };
        let mut gate = std::os::unix::net::UnixStream::connect(path).expect("the test listens");
        gate.write_all(b"started\n").expect("the test reads");
        let mut line = String::new();
        std::io::BufReader::new(gate).read_line(&mut line).expect("the test answers");
        line
    }
}

impl Hooks for Moments {
    /// Stops the serving thread, and with it the keeper, at `FIXTURE_RELOAD_GATE`. `sleep`: it may sleep from now on;
    /// `panic`: it panics.
    fn reload(&self) {
        match Self::pass("RELOAD_GATE").trim() {
            "sleep" => {
                let mut settings = settings();
                settings.sleep.after = Some(Duration::ZERO);
                self.control.set_settings(settings);
            }
            "panic" => panic!("as asked"),
            _ => {}
        }
    }

    /// Waits at `FIXTURE_FLUSH_GATE`, then as long as `FIXTURE_FLUSH` says.
    fn before_sleep(&self, _: &Life) {
        Self::pass("FLUSH_GATE");
        std::thread::sleep(self.flush);
    }
}

fn run() -> Result<Exit, Box<dyn Error>> {
    let sockets = Sockets::inherited()?.or_bind("127.0.0.1:0")?;
    let build = async |control: &Control| {
        Moments::pass("START_GATE"); // signals are heard already, nothing is accepted yet
        let moments = Moments { control: control.clone(), flush: millis("FLUSH").unwrap_or_default() };
        Ok::<_, std::io::Error>(Program { service: Tower(app()), hooks: Arc::new(moments) })
    };
    Ok(Engine::new(sockets).settings(settings()).run(build)?)
}

/// With a FIFO at `FIXTURE_EXIT_GATE` the process, which has said goodbye, is not gone until somebody has written to it.
fn wait_at_the_exit() {
    if let Some(gate) = std::env::var_os("FIXTURE_EXIT_GATE") {
        let _ = std::fs::read(gate); // it need not be there
    }
}

fn main() {
    dormouse::log::start("fixture");
    let exit = run();
    wait_at_the_exit();
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

//! HTTP/2 with prior knowledge: one connection, several streams at once, reconnecting after GOAWAY.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::{Request, header};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::{sleep_until, timeout};

use super::{PATIENCE, Question, Round};
use crate::draw::Draw;
use crate::outcomes::{Method, Outcome, Outcomes};

/// How many streams a client opens at once.
const AT_ONCE: usize = 2;

/// How often a request is sent again before it counts as lost.
const TRIES: usize = 5;

/// One client with one connection.
pub struct Client {
    address: SocketAddr,
    draw: Draw,
    outcomes: Outcomes,
    runtime: Runtime,
    handle: Option<SendRequest<Bytes>>,
}

/// How one attempt went.
enum Attempt {
    Over(Outcome),
    /// The connection was closed, or had said GOAWAY, before the stream was opened.
    Unsent,
    /// The server says that it has not looked at the stream.
    Unprocessed,
}

impl Client {
    pub fn new(address: SocketAddr, draw: Draw) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { address, draw, outcomes: Outcomes::default(), runtime, handle: None }
    }

    /// What became of all it asked.
    pub fn outcomes(&self) -> Outcomes {
        self.outcomes
    }

    /// Asks on several streams at once; whether it found its connection closed.
    pub fn ask(&mut self, round: Round) -> bool {
        let Self { address, draw, outcomes, runtime, handle } = self;
        let before = outcomes.reconnected;
        let at = round.at + draw.between(Duration::ZERO, Duration::from_millis(2));
        let mut waiting: Vec<Question> = (0..AT_ONCE).map(|_| Question::draw(draw)).collect();
        runtime.block_on(async {
            sleep_until(at.into()).await; // the connection's own task runs meanwhile
            let began = Instant::now();
            for _ in 0..TRIES {
                waiting = round_of(*address, handle, waiting, began, outcomes).await;
                if waiting.is_empty() {
                    return;
                }
            }
            waiting.iter().for_each(|question| outcomes.count(question.method, Outcome::Closed));
        });
        outcomes.reconnected > before
    }
}

/// Sends all at once; which are to be sent again.
async fn round_of(
    address: SocketAddr,
    handle: &mut Option<SendRequest<Bytes>>,
    questions: Vec<Question>,
    began: Instant,
    outcomes: &mut Outcomes,
) -> Vec<Question> {
    let opened = match handle {
        Some(open) => open.clone(),
        None => match connect(address).await {
            Ok(open) => handle.insert(open).clone(),
            Err(outcome) => {
                questions.iter().for_each(|question| outcomes.count(question.method, outcome));
                return Vec::new();
            }
        },
    };
    let asked: Vec<_> = questions
        .into_iter()
        .map(|question| {
            let opened = opened.clone();
            tokio::spawn(async move {
                let attempt = timeout(PATIENCE, ask(opened, &question, began)).await;
                (attempt.unwrap_or(Attempt::Over(Outcome::Silent)), question)
            })
        })
        .collect();
    let mut again = Vec::new();
    let mut is_over = false;
    for task in asked {
        match task.await.expect("a client does not panic") {
            (Attempt::Over(outcome), question) => {
                is_over |= outcome.is_lost();
                outcomes.count(question.method, outcome);
            }
            (Attempt::Unsent, question) => {
                outcomes.reconnected += u64::from(!is_over);
                is_over = true;
                again.push(question);
            }
            (Attempt::Unprocessed, question) => {
                is_over = true;
                outcomes.retried += 1;
                again.push(question);
            }
        }
    }
    if is_over {
        *handle = None;
    }
    again
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Bytes>, Outcome> {
    let opening = async {
        let stream = TcpStream::connect(address).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::ConnectionRefused => Outcome::Refused,
            _ => Outcome::Reset,
        })?;
        stream.set_nodelay(true).map_err(|_| Outcome::Reset)?;
        let (handle, connection) = h2::client::handshake(stream).await.map_err(|error| outcome_of(&error))?;
        tokio::spawn(connection);
        Ok(handle)
    };
    timeout(PATIENCE, opening).await.unwrap_or(Err(Outcome::Silent))
}

async fn ask(handle: SendRequest<Bytes>, question: &Question, began: Instant) -> Attempt {
    let Ok(mut handle) = handle.ready().await else { return Attempt::Unsent };
    let method = match question.method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    let request = Request::builder().method(method).uri(format!("http://loss.test{}", question.target()));
    let is_bodiless = question.body().is_empty();
    let request = request.body(()).expect("a request");
    let Ok((answer, mut body)) = handle.send_request(request, is_bodiless) else { return Attempt::Unsent };
    if !is_bodiless {
        let _ = body.send_data(Bytes::from_static(question.body().as_bytes()), true); // the answer tells
    }
    match answer.await {
        Ok(answer) => {
            let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let is_right = question.is_answered_by(answer.status().as_u16(), location.unwrap_or_default());
            Attempt::Over(if is_right { Outcome::answered(began.elapsed()) } else { Outcome::Wrong })
        }
        // The crate fails a stream with the peer's GOAWAY only above its last stream id (RFC 9113 section 6.8).
        Err(error) if error.is_go_away() && error.is_remote() => Attempt::Unprocessed,
        Err(error) if error.reason() == Some(h2::Reason::REFUSED_STREAM) && error.is_remote() => {
            Attempt::Unprocessed
        }
        Err(error) => Attempt::Over(outcome_of(&error)),
    }
}

fn outcome_of(error: &h2::Error) -> Outcome {
    match error.get_io().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::ConnectionReset) => Outcome::Reset,
        _ if error.is_reset() => Outcome::Reset,
        _ => Outcome::Closed,
    }
}

//! The answer that is made of a program's output.

use bytes::{Bytes, BytesMut};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{HeaderMap, Method, Response, StatusCode};

use super::cgi::{self, Head};
use super::events::Events;
use super::output::Output;
use super::running::{End, Running, Why};
use super::streamed::{Reading, Streamed};
use super::{Mode, Plan};
use crate::app::sandbox;
use crate::handler::Body;
use crate::handler::body;
use crate::handler::call::{Call, Instead};
use crate::schema::{Fault, Key, Reader};

const NO_HEAD: &str = "it has ended without a CGI head";
pub(super) const LESS: &str = "it has printed less than its Content-Length says";

/// Statuses by exit code.
#[derive(Debug)]
pub(super) struct ExitStatuses(Vec<(i32, StatusCode)>);

impl ExitStatuses {
    /// Reads them.
    pub fn read(reader: &mut Reader<'_>, key: &Key) -> Option<Self> {
        let mut statuses = Vec::new();
        for (code, status) in reader.numbers(key) {
            let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
            match (code.text.parse::<u8>(), status) {
                (Ok(code), Some(status)) => statuses.push((i32::from(code), status)),
                _ => {
                    let fault = Fault::new(code.place, format!("{:?} is no exit code", code.text));
                    reader.fault(fault.help("exit codes are whole numbers from 0 to 255"));
                    return None;
                }
            }
        }
        Some(Self(statuses))
    }

    /// The status of a program that has ended so; `None`: it has failed, and nobody has said what that means.
    fn of(&self, end: &End) -> Option<StatusCode> {
        let code = end.ended.status.code().filter(|_| end.why.is_none())?;
        let said = self.0.iter().find(|(said, _)| *said == code).map(|(_, status)| *status);
        said.or((code == 0).then_some(StatusCode::OK))
    }
}

/// An answer, as far as it is there.
pub(super) enum Made {
    /// All of it.
    Whole(StatusCode, HeaderMap, Body),
    /// Its beginning.
    Begun(StatusCode, HeaderMap, Box<Reading>),
    /// It is a stream of events.
    Events,
}

impl Plan {
    /// Waits for the answer, or for its beginning; or an error page.
    pub(super) async fn make_answer(&self, call: &Call, running: &mut Running) -> Result<Made, Instead> {
        match self.mode {
            Mode::Events => {
                while is_head(call) && running.line().await.is_some() {}
                Ok(Made::Events)
            }
            Mode::Whole(most) => {
                let bytes = self.all(call, running, most).await?;
                let end = running.end().await;
                if self.is_cgi { self.whole_cgi(call, bytes, end) } else { self.whole(call, bytes, end) }
            }
            Mode::Stream if self.is_cgi => self.begin_cgi(call, running).await,
            Mode::Stream => {
                let mut output = Output::default();
                let Some(first) = output.piece(running).await else {
                    return self.whole(call, Bytes::new(), running.end().await);
                };
                if is_head(call) {
                    self.run_out(call, running, output).await?;
                    return Ok(Made::Whole(StatusCode::OK, HeaderMap::new(), Body::Absent));
                }
                let reading = Reading { first: Some(first), output, left: None, last: None };
                Ok(Made::Begun(StatusCode::OK, HeaderMap::new(), Box::new(reading)))
            }
        }
    }

    /// Everything it prints.
    async fn all(&self, call: &Call, running: &mut Running, most: usize) -> Result<Bytes, Instead> {
        let (mut output, mut all) = (Output::default(), BytesMut::new());
        while let Some(piece) = output.piece(running).await {
            if all.len() + piece.len() > most {
                running.stop(Why::Wrong);
                let why = format!("it prints more than {most} bytes; see `output`");
                return Err(self.failed(call, &why).into());
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// All it printed, with the status by its exit code; or the page of its failure.
    fn whole(&self, call: &Call, bytes: Bytes, end: &End) -> Result<Made, Instead> {
        let status = self.statuses.of(end).ok_or_else(|| self.failure(call, end))?;
        let is_error = status.is_client_error() || status.is_server_error();
        if is_error && bytes.is_empty() {
            return Err(call.page(status, None).into());
        }
        let body = if body::is_bodiless(status) { Body::Empty } else { bytes.into() };
        Ok(Made::Whole(status, HeaderMap::new(), body))
    }

    fn whole_cgi(&self, call: &Call, bytes: Bytes, end: &End) -> Result<Made, Instead> {
        if !end.is_success() {
            return Err(self.failure(call, end).into());
        }
        let head = match cgi::parse(&bytes) {
            Ok(Some(head)) => head,
            Ok(None) => return Err(self.failed(call, NO_HEAD).into()),
            Err(error) => return Err(self.failed(call, &error.to_string()).into()),
        };
        let mut body = bytes.slice(head.length..);
        if is_bodiless(call, &head) {
            return Ok(without_body(call, head));
        }
        if let Some(said) = head.body_length {
            if said > body.len() as u64 {
                return Err(self.failed(call, LESS).into());
            }
            body.truncate(usize::try_from(said).unwrap_or(usize::MAX));
        }
        Ok(Made::Whole(head.status, head.headers, body.into()))
    }

    /// Reads until the head is there.
    async fn begin_cgi(&self, call: &Call, running: &mut Running) -> Result<Made, Instead> {
        let (mut output, mut read) = (Output::default(), BytesMut::new());
        loop {
            let Some(piece) = output.piece(running).await else {
                let end = running.end().await;
                let failure =
                    if end.is_success() { self.failed(call, NO_HEAD) } else { self.failure(call, end) };
                return Err(failure.into());
            };
            read.extend_from_slice(&piece);
            match cgi::parse(&read) {
                Ok(None) => {}
                Ok(Some(head)) if is_bodiless(call, &head) => {
                    self.run_out(call, running, output).await?;
                    return Ok(without_body(call, head));
                }
                Ok(Some(Head { status, headers, length, body_length })) => {
                    let first = read.split_off(length).freeze();
                    let first = (!first.is_empty()).then_some(first);
                    let reading = Reading { first, output, left: body_length, last: None };
                    return Ok(Made::Begun(status, headers, Box::new(reading)));
                }
                Err(error) => {
                    running.stop(Why::Wrong);
                    return Err(self.failed(call, &error.to_string()).into());
                }
            }
        }
    }

    /// Waits for the end of a program whose answer has no body, or none that anybody reads: with that it would end half-way.
    /// What it still prints is dropped.
    async fn run_out(&self, call: &Call, running: &mut Running, mut output: Output) -> Result<(), Instead> {
        while output.piece(running).await.is_some() {}
        let end = running.end().await;
        if end.is_success() { Ok(()) } else { Err(self.failure(call, end).into()) }
    }

    /// The page of a program that has failed, or had to end.
    fn failure(&self, call: &Call, end: &End) -> Response<Body> {
        match end.why {
            Some(Why::TooLarge) => call.page(StatusCode::PAYLOAD_TOO_LARGE, None),
            Some(Why::Stalled) => call.page(StatusCode::REQUEST_TIMEOUT, None),
            Some(Why::TimedOut) => self.too_late(call),
            Some(Why::Left | Why::LeftEarly) => super::left(call),
            None | Some(Why::Wrong | Why::Leaving) => self.failed(call, &last_words(end)),
        }
    }

    fn failed(&self, call: &Call, why: &str) -> Response<Body> {
        call.failed(&self.owner().to_string(), why)
    }
}

fn is_head(call: &Call) -> bool {
    *call.method() == Method::HEAD
}

/// Whether nobody gets to see a body of this answer, so that a program may leave it out.
fn is_bodiless(call: &Call, head: &Head) -> bool {
    is_head(call) || body::is_bodiless(head.status) || head.body_length == Some(0)
}

/// What is answered then. Of how long the body of an answer to HEAD would be, the program has the last word.
fn without_body(call: &Call, head: Head) -> Made {
    let Head { status, mut headers, body_length, .. } = head;
    if !is_head(call) || body::is_bodiless(status) {
        return Made::Whole(status, headers, Body::Empty);
    }
    if let Some(length) = body_length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    Made::Whole(status, headers, Body::Absent)
}

/// How it ended, for the journal.
pub(super) fn last_words(end: &End) -> String {
    let mut words = match end.why {
        Some(why) => format!("was ended, for {why}"),
        None => end.ended.to_string(),
    };
    words.push_str(sandbox::hint(&end.ended));
    if let Some(last) = end.ended.stderr.last() {
        words.push_str(": ");
        words.push_str(last);
    }
    words
}

impl Made {
    /// The answer.
    pub fn into_response(self, running: Running, plan: &Plan, call: &Call) -> Response<Body> {
        let (status, headers, body) = match self {
            Self::Whole(status, headers, body) => (status, headers, body),
            Self::Begun(status, headers, reading) => {
                let body = Streamed {
                    running,
                    reading: *reading,
                    exchange: call.exchange.clone(),
                    ends_with_client: plan.ends_with_client,
                    owner: plan.owner(),
                    is_over: false,
                    error: None,
                };
                (status, headers, Body::Stream(Box::pin(body)))
            }
            Self::Events => return Events::answer(running, call.exchange.clone(), plan.ends_with_client),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        if !plan.is_cgi {
            response.headers_mut().insert(CONTENT_TYPE, plan.media.clone());
        }
        response
    }
}

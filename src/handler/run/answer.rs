//! The answer that is made of a program's output.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Response, StatusCode};

use super::cgi::{self, Head};
use super::events::Events;
use super::output::Output;
use super::running::{End, Running, Stop, broken};
use super::{Mode, Plan};
use crate::app::sandbox;
use crate::handler::Body;
use crate::handler::call::{Call, Instead};
use crate::schema::{Fault, Key, Reader};
use crate::server::Exchange;

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
    Whole(StatusCode, HeaderMap, Bytes),
    /// Its beginning.
    Begun(StatusCode, HeaderMap, Box<Reading>),
    /// It is a stream of events.
    Events,
}

/// What is left to read of an answer.
pub(super) struct Reading {
    first: Option<Bytes>,
    output: Output,
    /// How long it said it would be.
    left: Option<u64>,
}

impl Plan {
    /// Waits for the answer, or for its beginning; or an error page.
    pub(super) async fn make_answer(&self, call: &Call, running: &mut Running) -> Result<Made, Instead> {
        let mut output = Output::default();
        let whole = |bytes| Made::Whole(StatusCode::OK, HeaderMap::new(), bytes);
        match self.mode {
            Mode::Events => return Ok(Made::Events),
            Mode::Whole(most) => {
                let bytes = self.all(call, running, most).await?;
                if self.is_cgi {
                    return self.whole_cgi(call, bytes);
                }
                let status = self.status(call, running).await?;
                return Ok(Made::Whole(status, HeaderMap::new(), bytes));
            }
            Mode::Stream if self.is_cgi => return self.begin_cgi(call, running).await,
            Mode::Stream => {}
        }
        match output.piece(running).await {
            Some(first) => {
                let reading = Reading { first: Some(first), output, left: None };
                Ok(Made::Begun(StatusCode::OK, HeaderMap::new(), Box::new(reading)))
            }
            None => {
                let status = self.status(call, running).await?;
                if status.is_success() {
                    Ok(whole(Bytes::new()))
                } else {
                    Err(call.page(status, None).into())
                }
            }
        }
    }

    /// Everything it prints.
    async fn all(&self, call: &Call, running: &mut Running, most: usize) -> Result<Bytes, Instead> {
        let (mut output, mut all) = (Output::default(), BytesMut::new());
        while let Some(piece) = output.piece(running).await {
            if all.len() + piece.len() > most {
                running.stop(Stop::Wrong);
                let why = format!("it prints more than {most} bytes; see `output`");
                return Err(self.failed(call, &why).into());
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// The status by its exit code, or the page of its failure.
    async fn status(&self, call: &Call, running: &mut Running) -> Result<StatusCode, Instead> {
        let end = running.end().await;
        Ok(self.statuses.of(end).ok_or_else(|| self.failed(call, &last_words(end)))?)
    }

    fn whole_cgi(&self, call: &Call, bytes: Bytes) -> Result<Made, Instead> {
        match cgi::parse(&bytes) {
            Ok(Some(Head { status, headers, length, .. })) => {
                Ok(Made::Whole(status, headers, bytes.slice(length..)))
            }
            Ok(None) => Err(self.failed(call, "it has printed no CGI head").into()),
            Err(error) => Err(self.failed(call, &error.to_string()).into()),
        }
    }

    /// Reads until the head is there.
    async fn begin_cgi(&self, call: &Call, running: &mut Running) -> Result<Made, Instead> {
        let (mut output, mut read) = (Output::default(), BytesMut::new());
        loop {
            let Some(piece) = output.piece(running).await else {
                let end = running.end().await;
                let why = if end.ended.is_success() && end.why.is_none() {
                    "it has ended without a CGI head".to_owned()
                } else {
                    last_words(end)
                };
                return Err(self.failed(call, &why).into());
            };
            read.extend_from_slice(&piece);
            match cgi::parse(&read) {
                Ok(None) => {}
                Ok(Some(Head { status, headers, length, body_length })) => {
                    let first = read.split_off(length).freeze();
                    let first = (!first.is_empty()).then_some(first);
                    let reading = Reading { first, output, left: body_length };
                    return Ok(Made::Begun(status, headers, Box::new(reading)));
                }
                Err(error) => {
                    running.stop(Stop::Wrong);
                    return Err(self.failed(call, &error.to_string()).into());
                }
            }
        }
    }

    fn failed(&self, call: &Call, why: &str) -> Response<Body> {
        call.failed(&self.owner().to_string(), why)
    }
}

/// How it ended, for the journal.
fn last_words(end: &End) -> String {
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
            Self::Whole(status, headers, bytes) => (status, headers, Body::from(bytes)),
            Self::Begun(status, headers, reading) => {
                let body = Streamed {
                    running,
                    reading: *reading,
                    exchange: call.exchange.clone(),
                    ends_with_client: plan.ends_with_client,
                    owner: plan.owner(),
                    is_over: false,
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

/// A program's output, as it comes. It ends in order only if the program does.
struct Streamed {
    running: Running,
    reading: Reading,
    exchange: Exchange,
    ends_with_client: bool,
    owner: crate::process::Owner,
    is_over: bool,
}

impl Streamed {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.ends_with_client && self.exchange.is_gone() {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if let Some(first) = self.reading.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(piece) = std::task::ready!(self.reading.output.poll_piece(&mut self.running, cx)) else {
            let end = std::task::ready!(self.running.poll_end(cx));
            if end.why.is_none() && end.ended.is_success() {
                return Poll::Ready(None);
            }
            let (id, why, owner) = (self.exchange.new_id(), last_words(end), &self.owner);
            tracing::error!(id, route = owner.name(), "{owner}: its answer was cut (id {id}): {why}");
            return Poll::Ready(Some(Err(broken(end))));
        };
        Poll::Ready(Some(Ok(piece)))
    }

    /// Of an answer that said how long it would be: no more than that, and an error if it is less.
    fn measured(&mut self, piece: Option<Bytes>) -> Option<io::Result<Bytes>> {
        let Some(left) = &mut self.reading.left else { return piece.map(Ok) };
        match piece {
            Some(mut piece) => {
                piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= piece.len() as u64;
                Some(Ok(piece))
            }
            None if *left > 0 => Some(Err(io::Error::other("the program has printed less than it said"))),
            None => None,
        }
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        while !this.is_over {
            let polled = match std::task::ready!(this.poll_piece(cx)) {
                Some(Ok(piece)) => this.measured(Some(piece)),
                Some(Err(error)) => Some(Err(error)),
                None => this.measured(None),
            };
            this.is_over = !matches!(polled, Some(Ok(_)));
            match polled {
                Some(Ok(piece)) if piece.is_empty() => {} // more than it said
                Some(Ok(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {}
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        self.reading.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

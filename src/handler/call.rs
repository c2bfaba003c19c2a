//! A request for a program, in the hands of who prepares it: what of it is needed later, its own.

use std::time::SystemTime;

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};

use super::accept::Format;
use super::{Body, Head, RequestBody, RequestContext, pages};
use crate::command::cgi::{self, Variables};
use crate::command::{Asked, Fields, Unfit, parameter};
use crate::guard::{Client, Refusal, Remote};
use crate::intake::{Input, Intake, IntakeError};
use crate::log::chain;
use crate::process::StartError;
use crate::server::Exchange;
use crate::verify::{Checking, Verify, VerifyError};

/// An answer that ends the matter before the usual one is there. Boxed: it is large, and rare.
pub type Instead = Box<Response<Body>>;

/// 204: nothing is done, or nothing is there.
pub fn nothing() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A request without its body.
pub struct Call {
    /// Its head.
    pub parts: Parts,
    /// Its exchange.
    pub exchange: Exchange,
    captures: Vec<(String, String)>,
    /// What follows the route's path.
    pub rest: String,
    /// Whether the route has everything below its path.
    is_subtree: bool,
    /// Who asks, as text.
    pub client: String,
}

impl Call {
    /// Takes a request apart.
    pub fn new(
        request: Request<RequestBody>,
        context: &RequestContext<'_>,
        is_subtree: bool,
    ) -> (Self, RequestBody) {
        let (mut parts, body) = request.into_parts();
        let client = Client::of(context.exchange);
        client.clean(&mut parts.headers);
        let client = Remote::of(context.exchange, &parts.headers).to_string();
        let captures = context.captures.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let captures = captures.collect();
        let (exchange, rest) = (context.exchange.clone(), context.rest.to_owned());
        (Self { parts, exchange, captures, rest, is_subtree, client }, body)
    }

    /// Its head.
    pub fn head(&self) -> Head<'_> {
        Head { method: &self.parts.method, uri: &self.parts.uri, headers: &self.parts.headers }
    }

    /// The path it is for, as sent.
    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The path of its route, as sent and without a slash at its end.
    pub fn base(&self) -> String {
        let path = self.path();
        path.strip_suffix(&*self.rest).unwrap_or(path).trim_end_matches('/').to_owned()
    }

    /// The value of a parameter of its query, percent-decoded; `None` if there is none, or it is no text.
    pub fn query(&self, name: &str) -> Option<String> {
        let value = parameter(&self.parts.uri, name)?;
        std::str::from_utf8(&value).ok().map(Into::into)
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// Gives placeholders their values; `fields` are those of its body.
    pub fn with_values<T>(&self, fields: &Fields, then: impl FnOnce(&Asked<'_>) -> T) -> T {
        let captures: Vec<_> = self.captures.iter().map(|(name, value)| (&**name, &**value)).collect();
        then(&Asked { head: self.head(), captures: &captures, client: &self.client, fields })
    }

    /// The variables by which a program knows it (RFC 3875). `length` is that of its input, if it is known.
    pub fn variables(&self, length: Option<u64>) -> Result<Variables, Unfit> {
        let (script_name, path_info) = cgi::split(self.path(), &self.rest, self.is_subtree);
        cgi::variables(&cgi::Request {
            head: self.head(),
            version: self.parts.version,
            client: Client::of(&self.exchange),
            remote: Remote::of(&self.exchange, &self.parts.headers),
            script_name,
            path_info,
            length,
        })
    }

    /// How long its body says it is.
    pub fn length(&self) -> Option<u64> {
        self.parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// Begins to check who has sent it, if that is to be checked.
    pub async fn begin_check(&self, verify: Option<&Verify>) -> Result<Option<Checking>, Instead> {
        let Some(verify) = verify else { return Ok(None) };
        let begun = verify.begin(&self.parts.headers, SystemTime::now()).await;
        Ok(Some(begun.map_err(|error| self.not_verified(&error))?))
    }

    /// Reads its body, of so many bytes at most, and checks who has sent it.
    pub async fn take_whole(
        &self,
        body: RequestBody,
        most: usize,
        verify: Option<&Verify>,
    ) -> Result<Bytes, Instead> {
        let mut checking = self.begin_check(verify).await?;
        if self.length().is_some_and(|length| length > most as u64) {
            return Err(self.page(StatusCode::PAYLOAD_TOO_LARGE, None).into());
        }
        let watch = |bytes: &[u8]| checking.iter_mut().for_each(|checking| checking.update(bytes));
        let intake = Intake { most_in_memory: most, spool: None, watch, field: None };
        let taken = intake.take(self.parts.headers.get(CONTENT_TYPE), body).await;
        let taken = taken.map_err(|error| self.not_taken(&error))?;
        if let Some(checking) = checking {
            checking.finish().map_err(|error| self.not_verified(&error))?;
        }
        match taken.input {
            Input::Memory(bytes) => Ok(bytes),
            Input::File(_) => Err(self.page(StatusCode::PAYLOAD_TOO_LARGE, None).into()), // there was no folder for it
        }
    }

    /// The page for a body that was not taken in.
    pub fn not_taken(&self, error: &IntakeError) -> Response<Body> {
        match error {
            IntakeError::Form(error) => self.explained(StatusCode::BAD_REQUEST, &error.to_string()),
            IntakeError::NoSpace(_) | IntakeError::Io(_) => {
                let id = self.exchange.new_id();
                tracing::error!(id, "a request is not taken in (id {id}): {}", chain(error));
                self.page(error.status(), Some(&id))
            }
            IntakeError::Body(_) | IntakeError::TooLarge => self.page(error.status(), None),
        }
    }

    /// The page for somebody who has not proved to be who may send it.
    pub fn not_verified(&self, error: &VerifyError) -> Response<Body> {
        let (status, path) = (error.status(), self.path());
        if status.is_server_error() {
            return self.failed(&format!("a request for {path:?} cannot be verified"), &chain(error));
        }
        tracing::warn!(
            client = self.client,
            "a request from {} for {path:?} is refused: {}",
            self.client,
            chain(error)
        );
        self.page(status, None)
    }

    /// The form in which it would like to read.
    pub fn format(&self) -> Format {
        Format::of(self.parts.headers.get_all(ACCEPT).iter()).unwrap_or(Format::Plain)
    }

    /// An error page.
    pub fn page(&self, status: StatusCode, id: Option<&str>) -> Response<Body> {
        pages::error(status, self.format(), self.path(), id)
    }

    /// An error page that says why.
    pub fn explained(&self, status: StatusCode, why: &str) -> Response<Body> {
        pages::explained(status, self.format(), self.path(), why)
    }

    /// The page for a request whose values do not fit: 400.
    pub fn unfit(&self, unfit: &Unfit) -> Response<Body> {
        self.explained(StatusCode::BAD_REQUEST, &unfit.to_string())
    }

    /// A guard's no.
    pub fn refuse(&self, refusal: Refusal) -> Response<Body> {
        let mut page = self.page(refusal.status, None);
        page.headers_mut().extend(refusal.headers);
        page
    }

    /// The page for a program that could not be started; the error says itself whose it is.
    pub fn not_started(&self, error: &StartError) -> Response<Body> {
        let id = self.exchange.new_id();
        tracing::error!(id, "{} (id {id})", chain(error));
        self.page(StatusCode::INTERNAL_SERVER_ERROR, Some(&id))
    }

    /// The page of what has gone wrong on our side: 500, with an id by which the journal has the reason.
    pub fn failed(&self, what: &str, why: &str) -> Response<Body> {
        let id = self.exchange.new_id();
        tracing::error!(id, "{what} (id {id}): {why}");
        self.page(StatusCode::INTERNAL_SERVER_ERROR, Some(&id))
    }
}

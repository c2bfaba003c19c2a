//! A request for a program, in the hands of who prepares it: what of it is needed later, its own.

use std::ffi::OsString;

use hyper::header::{ACCEPT, CONTENT_LENGTH};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};

use super::accept::Format;
use super::{Body, Head, RequestBody, RequestContext, pages};
use crate::command::{Asked, Fields, Unfit, cgi};
use crate::guard::{Client, Refusal};
use crate::server::Exchange;

/// A request without its body.
pub struct Call {
    /// Its head.
    pub parts: Parts,
    /// Its exchange.
    pub exchange: Exchange,
    captures: Vec<(String, String)>,
    /// What follows the route's path.
    pub rest: String,
    /// Who asks, as text.
    pub client: String,
}

impl Call {
    /// Takes a request apart.
    pub fn new(request: Request<RequestBody>, context: &RequestContext<'_>) -> (Self, RequestBody) {
        let (mut parts, body) = request.into_parts();
        let client = Client::of(context.exchange);
        client.clean(&mut parts.headers);
        let client = client.name(&parts.headers);
        let captures = context.captures.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let captures = captures.collect();
        let (exchange, rest) = (context.exchange.clone(), context.rest.to_owned());
        (Self { parts, exchange, captures, rest, client }, body)
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
        let query = self.parts.uri.query().unwrap_or_default();
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.into_iter().find(|(own, _)| *own == name)?;
        let value = value.replace('+', " ");
        percent_encoding::percent_decode_str(&value).decode_utf8().ok().map(Into::into)
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

    /// The variables by which a program knows it (RFC 3875).
    pub fn variables(&self) -> Result<Vec<(OsString, OsString)>, Unfit> {
        let path = self.path();
        let script = path.strip_suffix(&*self.rest).unwrap_or(path);
        // On a subtree the slash between the two belongs to what follows.
        let (script, info) = match script.strip_suffix('/') {
            Some(script) => (script, &path[script.len()..]),
            None => (script, ""),
        };
        let length = self.parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        cgi::variables(&self.head(), self.parts.version, &self.exchange, script, info, length)
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

    /// The page of what has gone wrong on our side: 500, with an id by which the journal has the reason.
    pub fn failed(&self, what: &str, why: &str) -> Response<Body> {
        let id = self.exchange.new_id();
        tracing::error!(id, "{what} (id {id}): {why}");
        self.page(StatusCode::INTERNAL_SERVER_ERROR, Some(&id))
    }
}

//! Why there is no answer from an upstream.

use std::error::Error;
use std::fmt;

use hyper::StatusCode;

use crate::guard::BodyError;
use crate::server::BoxError;

/// Why there is no answer.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// The upstream, for people.
    pub upstream: String,
    source: Option<BoxError>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No connection: nobody listens there, the name is unknown, the certificate is not trusted.
    Connect,
    /// No connection within `timeouts.connect`.
    ConnectTimeout,
    /// It closed the connection before its answer's head was whole.
    Closed,
    /// It closed the connection after its answer's head, and before its body.
    Broken,
    /// What it said is no HTTP, or its head is too large.
    Garbage,
    /// The request has waited too long for its turn, or too many wait already.
    Busy,
    /// What the request asks for has no host that can be said over HTTP/2.
    NoHost,
    /// The request's body is larger than it may be.
    RequestTooLarge,
    /// The client sends no more of its request's body.
    RequestTimeout,
    /// The client is gone.
    ClientGone,
}

impl Failure {
    /// A failure of an upstream.
    pub fn new(kind: Kind, upstream: impl fmt::Display, source: Option<BoxError>) -> Self {
        Self { kind, upstream: upstream.to_string(), source }
    }

    /// What hyper says went wrong on a connection.
    pub(super) fn of_hyper(upstream: impl fmt::Display, error: hyper::Error) -> Self {
        let of_body = find::<BodyError>(&error).map(|error| match error {
            BodyError::TooLarge => Kind::RequestTooLarge,
            BodyError::TimedOut => Kind::RequestTimeout,
            BodyError::Broken(_) => Kind::ClientGone,
        });
        let kind = of_body.unwrap_or(if error.is_parse() { Kind::Garbage } else { Kind::Closed });
        Self::new(kind, upstream, Some(error.into()))
    }

    /// What the client is told.
    pub fn status(&self) -> StatusCode {
        match self.kind {
            Kind::Connect | Kind::Closed | Kind::Broken | Kind::Garbage => StatusCode::BAD_GATEWAY,
            Kind::ConnectTimeout => StatusCode::GATEWAY_TIMEOUT,
            Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Kind::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Kind::NoHost | Kind::ClientGone => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether it is the upstream's fault, and not its client's.
    pub fn is_upstreams(&self) -> bool {
        use Kind::{Broken, Closed, Connect, ConnectTimeout, Garbage};
        matches!(self.kind, Connect | ConnectTimeout | Closed | Broken | Garbage)
    }
}

/// The first cause of this type.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upstream = &self.upstream;
        match self.kind {
            Kind::Connect => write!(f, "cannot connect to {upstream}"),
            Kind::ConnectTimeout => write!(f, "no connection to {upstream} within timeouts.connect"),
            Kind::Closed => write!(f, "{upstream} closed the connection before it answered"),
            Kind::Broken => write!(f, "{upstream} broke off its answer"),
            Kind::Garbage => {
                write!(f, "{upstream} answered something that is no HTTP, or has too large a head")
            }
            Kind::Busy => write!(f, "too many requests wait for their turn at {upstream} (rate)"),
            Kind::NoHost => write!(f, "the request for {upstream} has a Host that is no address"),
            Kind::RequestTooLarge => write!(f, "the request for {upstream} is larger than limits.body"),
            Kind::RequestTimeout => write!(f, "the request for {upstream} does not go on (timeouts.body)"),
            Kind::ClientGone => write!(f, "the client has left while {upstream} was asked"),
        }?;
        let mut cause = self.source.as_deref().map(|source| source as &dyn Error);
        let mut said = String::new();
        while let Some(error) = cause {
            let text = error.to_string();
            if text != said {
                write!(f, ": {text}")?;
            }
            (said, cause) = (text, error.source());
        }
        Ok(())
    }
}

impl Error for Failure {}

//! `redirect`: somewhere else.

use hyper::header::LOCATION;
use hyper::{Request, Response, StatusCode};

use super::accept::Format;
use super::{Answer, Body, Handler, Head, RequestBody, RequestContext, RouteShape, Verb, pages};
use crate::schema::{self, Fault, Key, Kind, Reader};

mod target;

pub(crate) use target::with_slash;
use target::{Target, TargetError};

const REDIRECT: Key =
    Key::new("redirect", Kind::Text, "Sends the client to this address; placeholders are filled in.")
        .example("https://example.org/new/{page}");
const STATUS: Key = Key::new("status", Kind::Status { least: 300, most: 399 }, "The redirect's HTTP status.")
    .default("308")
    .example("302");

/// `redirect`.
pub(super) const VERB: Verb = Verb {
    schema: schema::Verb {
        operand: REDIRECT,
        keys: &[STATUS],
        about: "The address is absolute (`https://...`) or a path (`/...`). The request's query is kept unless the \
                address has one. Placeholders stand for the bytes as sent; what cannot stand in an address is \
                percent-encoded.",
        ..schema::Verb::DEFAULT
    },
    build,
};

struct Redirect {
    status: StatusCode,
    target: Target,
}

fn build(reader: &mut Reader<'_>, route: &RouteShape<'_>) -> Option<Box<dyn Handler>> {
    let (text, status) = (reader.text(&REDIRECT), reader.status(&STATUS));
    if status == Some(StatusCode::NOT_MODIFIED) {
        reader.fault(
            Fault::new(&reader.place(&STATUS), "304 is no redirect").help("for example: status = 302"),
        );
    }
    match Target::parse(text?, route.parameters) {
        Ok(target) => Some(Box::new(Redirect { status: status?, target })),
        Err(error) => {
            let help = match &error {
                TargetError::Placeholder(error) => error.help(route.parameters),
                _ => format!("for example: {}", REDIRECT.line()),
            };
            reader.fault(Fault::new(&reader.place(&REDIRECT), error.to_string()).help(help));
            None
        }
    }
}

impl Handler for Redirect {
    fn answer(&self, request: Request<RequestBody>, context: &RequestContext<'_>) -> Answer {
        self.response(&Head::from(&request), context.captures).into()
    }
}

impl Redirect {
    fn response(&self, head: &Head<'_>, captures: &[(&str, &str)]) -> Response<Body> {
        let Some(location) = self.target.location(head, captures) else {
            return pages::error(StatusCode::BAD_REQUEST, Format::asked(head.headers), head.uri.path(), None);
        };
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = self.status;
        response.headers_mut().insert(LOCATION, location);
        response
    }
}

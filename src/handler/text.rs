//! `text`: the same few words for everybody.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::body::is_bodiless;
use super::{Answer, Body, Handler, RequestBody, RequestContext, RouteShape, Verb};
use crate::schema::{self, Fault, Key, Kind, Reader};

const TEXT: Key = Key::new("text", Kind::Text, "Answers with this text.").example("Hello from dormouse\n");
const TYPE: Key = Key::new("type", Kind::Text, "The answer's Content-Type.")
    .default("text/plain; charset=utf-8")
    .example("application/json");
const STATUS: Key = Key::new("status", Kind::Status { least: 200, most: 599 }, "The answer's HTTP status.")
    .default("200")
    .example("404");

/// `text`.
pub(super) const VERB: Verb =
    Verb { schema: schema::Verb { operand: TEXT, keys: &[TYPE, STATUS], ..schema::Verb::DEFAULT }, build };

/// The answer, ready to be given again and again.
struct Text {
    status: StatusCode,
    media: HeaderValue,
    text: Bytes,
}

fn build(reader: &mut Reader<'_>, _: &RouteShape<'_>) -> Option<Box<dyn Handler>> {
    let (text, media, status) = (reader.text(&TEXT), media(reader, &TYPE), reader.status(&STATUS));
    let (text, media, status) = (text?, media?, status?);
    if is_bodiless(status) && !text.is_empty() {
        let fault = Fault::new(
            &reader.place(&STATUS),
            format!("an answer with status {} has no text", status.as_u16()),
        );
        reader
            .fault(fault.other(&reader.place(&TEXT), "this would never be sent").help(r#"write text = """#));
        return None;
    }
    Some(Box::new(Text { status, media, text: Bytes::copy_from_slice(text.as_bytes()) }))
}

/// A media type that can stand in a header.
pub(super) fn media(reader: &mut Reader<'_>, key: &Key) -> Option<HeaderValue> {
    let media = HeaderValue::from_str(reader.text(key)?);
    if media.is_err() {
        let fault = Fault::new(&reader.place(key), "this cannot stand in a header");
        reader.fault(fault.help(format!("for example: {}", key.line())));
    }
    media.ok()
}

impl Handler for Text {
    fn answer(&self, _: Request<RequestBody>, _: &RequestContext<'_>) -> Answer {
        self.response().into()
    }
}

impl Text {
    fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.text.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, self.media.clone());
        response
    }
}

//! `headers`: set on every answer of a route, errors included.

use hyper::Response;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use super::{Finisher, Link};
use crate::handler::Body;
use crate::schema::{Fault, Key, Kind, Placed, Reader};

const KEY: Key = Key::new("headers", Kind::Map, "Headers set on every answer of the route, errors included.")
    .example(r#"{ "X-Frame-Options" = "DENY" }"#);

pub(super) const HEADERS: Link<dyn Finisher> = Link { keys: &[KEY], build };

struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Finisher for Headers {
    fn finish(&self, response: &mut Response<Body>) {
        for (name, value) in &self.0 {
            response.headers_mut().insert(name, value.clone());
        }
    }
}

fn build(reader: &mut Reader<'_>) -> Option<Box<dyn Finisher>> {
    let entries = reader.map(&KEY);
    let headers: Vec<_> =
        entries.into_iter().filter_map(|(name, value)| header(reader, name, value)).collect();
    if headers.is_empty() { None } else { Some(Box::new(Headers(headers))) }
}

fn header(reader: &mut Reader<'_>, name: Placed<'_>, value: Placed<'_>) -> Option<(HeaderName, HeaderValue)> {
    let parsed = name.text.parse::<HeaderName>();
    if parsed.is_err() {
        reader.fault(Fault::new(name.place, format!("{:?} is no name for a header", name.text)));
    }
    let text = HeaderValue::from_str(value.text);
    if text.is_err() {
        reader.fault(Fault::new(value.place, "a header's value is one line of visible characters"));
    }
    let (parsed, text) = (parsed.ok()?, text.ok()?);
    let framing = [CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    if framing.contains(&parsed) || parsed == "keep-alive" {
        let fault = Fault::new(
            name.place,
            format!("{} belongs to the connection, dormouse sets it itself", name.text),
        );
        reader.fault(fault.help("leave it out"));
        return None;
    }
    Some((parsed, text))
}

#[cfg(test)]
mod tests {
    use hyper::header::SERVER;

    use super::*;

    #[test]
    fn they_replace_what_the_handler_set() {
        let mut response = Response::new(Body::Empty);
        response.headers_mut().insert(SERVER, HeaderValue::from_static("one"));
        response.headers_mut().append(SERVER, HeaderValue::from_static("two"));
        Headers(vec![(SERVER, HeaderValue::from_static("dormouse"))]).finish(&mut response);
        assert_eq!(response.headers().get_all(SERVER).iter().collect::<Vec<_>>(), ["dormouse"]);
    }
}

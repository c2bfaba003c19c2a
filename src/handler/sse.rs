//! Server-Sent Events as they are written (HTML Standard, section 9.2).

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};

use super::Body;
use crate::process::Source;

/// So often something is sent, so that whoever is in between does not take the connection for dead.
pub const BEAT: Duration = Duration::from_secs(15);

/// A stream of events, which nobody keeps, and nobody in between holds back until there is more.
pub fn answer(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no")); // nginx's
    response
}

/// The type of the event that a line of a program's output is: that of stdout has none.
pub fn name(source: Source) -> Option<&'static str> {
    match source {
        Source::Stdout => None,
        Source::Stderr => Some("log"),
    }
}

/// One event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'e> {
    /// Its type; without one it is a `message`.
    pub name: Option<&'e str>,
    /// What the client says in `Last-Event-ID` if this is the last it has got.
    pub id: Option<&'e str>,
    /// After how many milliseconds the client connects again if the stream ends.
    pub retry: Option<u64>,
    /// The data; each line of it is one of the event.
    pub data: &'e [u8],
}

impl Event<'_> {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        for (field, value) in [("event", self.name), ("id", self.id)] {
            if let Some(value) = value {
                out.put_slice(field.as_bytes());
                out.put_slice(b": ");
                // It would end the field.
                out.extend(value.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
                out.put_u8(b'\n');
            }
        }
        if let Some(retry) = self.retry {
            out.put_slice(format!("retry: {retry}\n").as_bytes());
        }
        // A carriage return ends a line too.
        for line in self.data.split(|byte| matches!(byte, b'\n' | b'\r')) {
            out.put_slice(b"data: ");
            out.put_slice(String::from_utf8_lossy(line).as_bytes());
            out.put_u8(b'\n');
        }
        out.put_u8(b'\n');
    }
}

/// A comment, which only keeps the connection busy.
pub const COMMENT: &[u8] = b":\n\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(event: Event<'_>) -> String {
        let mut out = BytesMut::new();
        event.write(&mut out);
        String::from_utf8(out.to_vec()).expect("text")
    }

    #[test]
    fn the_fields() {
        assert_eq!(written(Event { data: b"a", ..Event::default() }), "data: a\n\n");
        let event = Event { name: Some("log"), id: Some("7"), retry: Some(50), data: b"a\nb\rc\xff" };
        let text = "event: log\nid: 7\nretry: 50\ndata: a\ndata: b\ndata: c\u{fffd}\n\n";
        assert_eq!(written(event), text);
    }

    proptest! {
        #[test]
        fn no_data_ends_its_event(data: Vec<u8>, id in "\\PC*|[\r\n]*") {
            let text = written(Event { id: Some(&id), data: &data, ..Event::default() });
            let end = text.find("\n\n").expect("an end");
            prop_assert_eq!(end, text.len() - 2);
            prop_assert!(text.lines().filter(|line| !line.is_empty()).all(|line| line.starts_with("data: ") || line.starts_with("id: ")));
        }
    }
}

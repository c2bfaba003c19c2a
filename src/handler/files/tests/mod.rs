//! The verb as clients see it, on real directories.

mod directories;
mod representation;
mod resolution;

use http_body_util::BodyExt;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName};
use hyper::{Request, Uri};

use super::scratch::Scratch;
use super::*;

/// A scratch directory behind a route `/`.
struct Site {
    scratch: Scratch,
    files: Files,
}

/// A whole answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Site {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// The operand is the scratch directory, unless it is changed.
    fn with(change: impl FnOnce(&mut Options)) -> Self {
        let scratch = Scratch::new();
        let mut options =
            Options { root: scratch.path().to_owned(), is_listing: false, status: StatusCode::OK };
        change(&mut options);
        Self { scratch, files: Files::new(options) }
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[]).await
    }

    async fn status(&self, path: &str) -> u16 {
        self.get(path).await.status
    }

    /// Asks as a client does, and on the blocking pool at once: both must say the same.
    async fn ask(&self, method: &str, path: &str, headers: &[(HeaderName, &str)]) -> Reply {
        let head = || {
            let mut request = Request::builder().method(method).uri(path);
            for (name, value) in headers {
                request = request.header(name, *value);
            }
            request.body(()).unwrap().into_parts().0
        };
        let path = path.parse::<Uri>().unwrap().path()[1..].to_owned();
        let response = match self.files.answer_head(head(), &path) {
            Answer::Ready(response) => response,
            Answer::Later(response) => response.await,
        };
        let waited = self.files.0.respond_waiting(&head(), &path);
        assert_eq!(waited.status(), response.status());
        assert_eq!(waited.headers().get(CONTENT_LENGTH), response.headers().get(CONTENT_LENGTH));
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        if let Some(length) = head.headers.get(CONTENT_LENGTH).filter(|_| method == "GET") {
            assert_eq!(length.to_str().unwrap(), body.len().to_string());
        }
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    }
}

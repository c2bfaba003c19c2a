//! `files = "/srv/www"`: files and folders from the disk.
//!
//! The way of a request: `segments` reads what follows the route's path, or refuses it; `find` picks the file that
//! answers, through `tree`, which cannot be led out of the root; `reply` weighs conditions and ranges and gives it
//! headers and a body. All of that first runs on the serving thread with what the kernel has in memory, and starts
//! again on the blocking pool if it turns out to need the disk.

mod coding;
mod condition;
mod find;
mod listing;
mod media_type;
mod multipart;
mod ranges;
mod read;
mod refusal;
mod reply;
#[cfg(test)]
mod scratch;
mod segments;
mod stream;
#[cfg(test)]
mod tests;
mod tree;
mod validators;
mod verb;

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::{ACCEPT_ENCODING, ALLOW, HeaderValue, LOCATION};
use hyper::http::request::Parts as RequestHead;
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::task::spawn_blocking;

use super::accept::Format;
use super::redirect::with_slash;
use super::{Answer, Body, Handler, RequestBody, RequestContext, pages};
use find::{Found, find};
use refusal::Refusal;
use segments::Place;
use tree::{Patience, Tree};

#[cfg(test)]
pub(crate) use scratch::Scratch;
pub use stream::{FileBody, whole_file};
pub(super) use verb::VERB;

/// Answers with what is below a root directory; or, if the root is a file, with that.
pub struct Files(Arc<Options>);

/// What a `files` route can be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// A directory, or a file. Looked up for each request: it may come, go and be replaced.
    pub root: PathBuf,
    /// Whether directories without an `index.html` are listed; for routes that take what is below their path.
    pub is_listing: bool,
    /// The status of its answers, 200 unless they are about something else (a page for maintenance: 503).
    pub status: StatusCode,
}

impl Files {
    /// A handler for these files. Nothing is looked at yet.
    pub fn new(options: Options) -> Self {
        Self(Arc::new(options))
    }

    /// Answers a request of which the body does not matter.
    fn answer_head(&self, request: RequestHead, rest: &str) -> Answer {
        match self.0.respond(&request, rest, Patience::None) {
            Ok(response) => response.into(),
            Err(Refusal::Status(status)) => refuse(status, &request).into(),
            Err(Refusal::WouldBlock) => {
                let (options, rest) = (self.0.clone(), rest.to_owned());
                let task = spawn_blocking(move || options.respond_waiting(&request, &rest));
                Answer::Later(Box::pin(async {
                    // A panic goes on here, where the engine makes a 500 of it.
                    task.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
                }))
            }
        }
    }
}

impl Handler for Files {
    fn answer(&self, request: Request<RequestBody>, context: &RequestContext<'_>) -> Answer {
        self.answer_head(request.into_parts().0, context.rest)
    }
}

impl Options {
    fn respond_waiting(&self, request: &RequestHead, rest: &str) -> Response<Body> {
        self.respond(request, rest, Patience::Full).unwrap_or_else(|refusal| match refusal {
            Refusal::Status(status) => refuse(status, request),
            // The kernel has asked for another try too often.
            Refusal::WouldBlock => refuse(StatusCode::SERVICE_UNAVAILABLE, request),
        })
    }

    fn respond(
        &self,
        request: &RequestHead,
        rest: &str,
        patience: Patience,
    ) -> Result<Response<Body>, Refusal> {
        if request.method != Method::GET && request.method != Method::HEAD {
            return Err(Refusal::Status(StatusCode::METHOD_NOT_ALLOWED));
        }
        let place = Place::from_rest(rest).ok_or(Refusal::NOT_FOUND)?;
        let codings = request.headers.get_all(ACCEPT_ENCODING).iter().map(HeaderValue::as_bytes);
        match find(&self.root, &place, coding::preference(codings), patience)? {
            Found::File(found) => Ok(reply::reply(found, request, self.status, patience)),
            Found::Directory(tree) => self.list(&tree, &place, request, patience),
            Found::Redirect => {
                let directory = Place { is_directory: true, ..place };
                if self.is_listing || self.has_index(&directory, patience)? {
                    redirect(&request.uri)
                } else {
                    Err(Refusal::NOT_FOUND)
                }
            }
        }
    }

    fn list(
        &self,
        tree: &Tree,
        place: &Place<'_>,
        request: &RequestHead,
        patience: Patience,
    ) -> Result<Response<Body>, Refusal> {
        if !self.is_listing {
            return Err(Refusal::NOT_FOUND);
        }
        if patience == Patience::None {
            return Err(Refusal::WouldBlock);
        }
        listing::list(tree, place, request, self.status)
            .map_err(|error| Refusal::below(&self.root, &place.path, error))
    }

    /// Whether there is something to see behind the slash. If not, a redirect would only tell that the directory exists.
    fn has_index(&self, directory: &Place<'_>, patience: Patience) -> Result<bool, Refusal> {
        let found = find(&self.root, directory, coding::Preference::default(), patience)?;
        Ok(matches!(found, Found::File(_)))
    }
}

/// From a directory's name to the directory: the slash makes the links of its page work.
fn redirect(uri: &Uri) -> Result<Response<Body>, Refusal> {
    let location = with_slash(uri).ok_or(Refusal::NOT_FOUND)?;
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

fn refuse(status: StatusCode, request: &RequestHead) -> Response<Body> {
    let mut response = pages::error(status, Format::asked(&request.headers), request.uri.path(), None);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

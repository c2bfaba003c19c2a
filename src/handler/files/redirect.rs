//! From a directory's name to the directory: the slash at the end makes the links of its page work.

use hyper::header::{HeaderValue, LOCATION};
use hyper::{Response, StatusCode, Uri};

use super::refusal::Refusal;
use crate::handler::Body;

/// 308 to the same path with a slash, query kept. The path goes back as it came, so one that a browser would take for
/// another host (`//evil.example`, and they read a backslash as a slash) is not found instead.
pub fn to_directory(uri: &Uri) -> Result<Response<Body>, Refusal> {
    let path = uri.path();
    if !path.starts_with('/') || path[1..].starts_with(['/', '\\']) {
        return Err(Refusal::NOT_FOUND);
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::try_from(format!("{path}/{query}")).map_err(|_| Refusal::NOT_FOUND)?;
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(uri: &'static str) -> Option<String> {
        let response = to_directory(&Uri::from_static(uri)).ok()?;
        assert_eq!(response.status(), 308);
        Some(response.headers()[LOCATION].to_str().unwrap().to_owned())
    }

    #[test]
    fn the_slash_comes_before_the_query() {
        assert_eq!(location("/a%20b/c").unwrap(), "/a%20b/c/");
        assert_eq!(location("/a?b=/c&d").unwrap(), "/a/?b=/c&d");
        assert_eq!(location("http://example.org/a?").unwrap(), "/a/?");
    }

    #[test]
    fn no_redirect_leaves_the_host() {
        assert_eq!(location("//evil.example"), None);
        assert_eq!(location("/\\evil.example"), None);
        assert_eq!(location("http://example.org//evil.example"), None);
    }
}

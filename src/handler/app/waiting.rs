//! The page that a browser sees while an app starts. It loads itself again until the app is there.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, UPGRADE};
use hyper::{Method, Response, StatusCode};

use crate::handler::escape::Html;
use crate::handler::{Body, Head};

/// Whether this is a browser that opens a page, and not one of its scripts, or some other client: those wait.
pub fn is_navigation(head: &Head<'_>) -> bool {
    if head.method != Method::GET || head.headers.contains_key(UPGRADE) {
        return false;
    }
    match text(head.headers, "sec-fetch-mode") {
        Some(mode) => mode == "navigate", // https://www.w3.org/TR/fetch-metadata/
        // Browsers without it, or over plain HTTP from elsewhere.
        None => {
            let accepts = text(head.headers, "accept").is_some_and(|accept| accept.contains("text/html"));
            let is_browser =
                text(head.headers, "user-agent").is_some_and(|agent| agent.starts_with("Mozilla/"));
            accepts && is_browser && !head.headers.contains_key("x-requested-with")
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The page.
pub fn page(name: &str) -> Response<Body> {
    let name = Html(name);
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta http-equiv=\"refresh\" content=\"1\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{name} is waking up</title>\n\
         <style>{STYLE}</style>\n<p>{name} is waking up<span>.</span><span>.</span><span>.</span></p>\n</html>\n"
    );
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

const STYLE: &str = ":root{color-scheme:light dark}body{font:1.3rem/1.5 system-ui,sans-serif;margin:35vh auto 0;\
    text-align:center}span{animation:b 1.2s infinite}span:nth-child(2){animation-delay:.2s}\
    span:nth-child(3){animation-delay:.4s}@keyframes b{50%{opacity:.1}}";

#[cfg(test)]
mod tests {
    use hyper::Uri;
    use hyper::header::HeaderName;

    use super::*;

    fn navigates(method: &Method, lines: &[(&'static str, &'static str)]) -> bool {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers = lines.iter().map(line).collect();
        is_navigation(&Head { method, uri: &Uri::from_static("/"), headers: &headers })
    }

    #[test]
    fn only_browsers_that_open_a_page_get_it() {
        let html = ("accept", "text/html,application/xhtml+xml");
        let firefox = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)");
        assert!(navigates(&Method::GET, &[("sec-fetch-mode", "navigate")]));
        assert!(navigates(&Method::GET, &[html, firefox]));
        assert!(!navigates(&Method::GET, &[("sec-fetch-mode", "cors"), html, firefox]));
        assert!(!navigates(&Method::GET, &[html, firefox, ("x-requested-with", "XMLHttpRequest")]));
        assert!(!navigates(&Method::GET, &[("accept", "*/*"), ("user-agent", "curl/8.0")]));
        assert!(!navigates(&Method::GET, &[("upgrade", "websocket"), html, firefox]));
        assert!(!navigates(&Method::POST, &[("sec-fetch-mode", "navigate")]));
    }
}

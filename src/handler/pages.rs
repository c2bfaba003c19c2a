//! The short pages with which dormouse itself refuses: plain text, HTML or JSON, as the client likes.

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use super::accept::Format;
use super::escape::Html;
use super::{Body, Refused};

/// The page for an error: its status and, where a look at the journal helps, the id to look for.
///
/// `path` is the path as the client sent it; only the JSON form repeats it. The response is marked as a refusal by
/// dormouse itself ([`Refused`]), which decides whether the request counts as use.
pub fn error(status: StatusCode, format: Format, path: &str, id: Option<&str>) -> Response<Body> {
    page(status, format, path, &Words { id, why: None })
}

/// The same, with a line that says what is wrong with the request; the client may have had a part in its words.
pub fn explained(status: StatusCode, format: Format, path: &str, why: &str) -> Response<Body> {
    page(status, format, path, &Words { id: None, why: Some(why) })
}

/// What stands below the status.
struct Words<'w> {
    id: Option<&'w str>,
    why: Option<&'w str>,
}

fn page(status: StatusCode, format: Format, path: &str, words: &Words<'_>) -> Response<Body> {
    let name = status.canonical_reason().unwrap_or("Error");
    let (media, text) = match format {
        Format::Html => ("text/html; charset=utf-8", html(status, name, words)),
        Format::Json => ("application/json", json(status, name, path, words)),
        Format::Plain => ("text/plain; charset=utf-8", plain(status, name, words)),
    };
    let mut response = Response::new(Body::from(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(Refused);
    response
}

fn plain(status: StatusCode, name: &str, words: &Words<'_>) -> String {
    let name = name.to_lowercase();
    let id = words.id.map(|id| format!(" (id {id})")).unwrap_or_default();
    let why = words.why.map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} {name}{id}{why}\n", status.as_u16())
}

fn json(status: StatusCode, name: &str, path: &str, words: &Words<'_>) -> String {
    let mut page =
        serde_json::json!({ "status": status.as_u16(), "error": name.to_lowercase(), "path": path });
    for (key, value) in [("id", words.id), ("message", words.why)] {
        if let Some(value) = value {
            page[key] = value.into();
        }
    }
    format!("{page}\n")
}

fn html(status: StatusCode, name: &str, words: &Words<'_>) -> String {
    let code = status.as_u16();
    let id = words.id.map(|id| format!("<p>id <code>{}</code></p>\n", Html(id))).unwrap_or_default();
    let why = words.why.map(|why| format!("<p>{}</p>\n", Html(why))).unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{code} {name}</title>\n\
         <style>{STYLE}</style>\n<h1>{code}</h1>\n<p>{name}</p>\n{why}{id}</html>\n"
    )
}

const STYLE: &str = ":root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;margin:20vh auto 0;\
    max-width:30rem;padding:0 1.5rem;text-align:center}h1{font-size:4rem;margin:0;font-weight:300}p{margin:0}";

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: Response<Body>) -> String {
        match response.into_body() {
            Body::Bytes(bytes) => String::from_utf8(bytes.to_vec()).expect("utf-8"),
            _ => panic!("an error page is in memory"),
        }
    }

    #[test]
    fn the_three_forms() {
        let page = |format| error(StatusCode::NOT_FOUND, format, "/a\"b<c>", None);
        assert_eq!(text(page(Format::Plain)), "404 not found\n");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text(page(Format::Json))).expect("json"),
            serde_json::json!({ "status": 404, "error": "not found", "path": "/a\"b<c>" })
        );
        let html = text(page(Format::Html));
        assert!(html.contains("<h1>404</h1>") && html.contains("Not Found"), "{html}");
        assert!(!html.contains("<c>"), "{html}");
    }

    #[test]
    fn an_id_is_shown_to_whoever_reports_it() {
        let page = |format| text(error(StatusCode::INTERNAL_SERVER_ERROR, format, "/", Some("<7f3a>")));
        assert_eq!(page(Format::Plain), "500 internal server error (id <7f3a>)\n");
        assert!(page(Format::Json).contains(r#""id":"<7f3a>""#));
        assert!(page(Format::Html).contains("&lt;7f3a&gt;"));
    }

    #[test]
    fn a_line_says_what_is_wrong() {
        let page = |format| text(explained(StatusCode::BAD_REQUEST, format, "/", "{query.<a>} is not there"));
        assert_eq!(page(Format::Plain), "400 bad request: {query.<a>} is not there\n");
        assert!(page(Format::Json).contains(r#""message":"{query.<a>} is not there""#));
        assert!(page(Format::Html).contains("<p>{query.&lt;a&gt;} is not there</p>"));
    }

    #[test]
    fn it_is_typed_marked_and_not_cached() {
        let page = error(StatusCode::NOT_FOUND, Format::Json, "/", None);
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
        assert_eq!(page.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(page.headers()[CACHE_CONTROL], "no-store");
        assert!(page.extensions().get::<Refused>().is_some());
    }
}

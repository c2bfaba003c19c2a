//! What a browser sees of jobs: one, with its progress as it goes, or a list.

use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};

use super::document::location;
use super::status::private;
use super::time::rfc3339;
use crate::handler::Body;
use crate::handler::escape::Html;
use crate::store::{Job, Progress};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of a job.
pub(super) fn one(job: &Job, base: &str, status: StatusCode) -> Response<Body> {
    let path = location(base, job);
    let cancel = if job.state.is_over() { "" } else { "<button id=\"cancel\">Cancel</button>\n" };
    // Without scripts it loads itself again; this may be the answer to a POST, which is not to be made again.
    let refresh = if job.state.is_over() {
        String::new()
    } else {
        let path = Html(&path);
        format!("<noscript><meta http-equiv=\"refresh\" content=\"5; url={path}\"></noscript>\n")
    };
    let error = job.outcome.as_ref().and_then(|outcome| outcome.error.as_deref()).unwrap_or_default();
    let (percent, text) = match &job.progress {
        Some(progress) => {
            (progress_of(progress), format!("{}/{} {}", progress.done, progress.total, progress.text))
        }
        None => ("hidden".to_owned(), String::new()),
    };
    let body = format!(
        "<h1>Job <code>{id}</code></h1>\n\
         <p>State <strong id=\"state\">{state}</strong>, accepted {created}</p>\n\
         <p><progress id=\"progress\" max=\"100\" {percent}></progress> <span id=\"text\">{text}</span></p>\n\
         <p id=\"error\">{error}</p>\n\
         {cancel}<pre id=\"output\"></pre>\n<p><a href=\"{list}\">All jobs</a></p>\n\
         <script>const path = \"{path}\";\n{SCRIPT}</script>\n",
        id = job.id,
        state = job.state.name(),
        created = rfc3339(job.created),
        list = Html(if base.is_empty() { "/" } else { base }),
        text = Html(&text),
        error = Html(error),
        path = script_text(&path),
    );
    page(&format!("Job {}", job.id), &refresh, &body, status)
}

/// What a progress bar has to know.
fn progress_of(progress: &Progress) -> String {
    let percent = super::document::progress(progress)["percent"].clone();
    format!("value=\"{percent}\"")
}

/// The page of several.
pub(super) fn many(jobs: &[Job], base: &str, next: Option<&str>) -> Response<Body> {
    let row = |job: &Job| {
        let path = location(base, job);
        let progress = job.progress.as_ref().map(|p| format!("{}/{}", p.done, p.total)).unwrap_or_default();
        format!(
            "<tr><td><a href=\"{}\"><code>{}</code></a><td>{}<td>{}<td>{progress}</tr>\n",
            Html(&path),
            job.id,
            job.state.name(),
            rfc3339(job.created)
        )
    };
    let rows: String = jobs.iter().map(row).collect();
    let next = next.map(|next| format!("<p><a href=\"{}\">Older</a></p>\n", Html(next))).unwrap_or_default();
    let body = format!(
        "<h1>Jobs</h1>\n<table>\n<tr><th>Job<th>State<th>Accepted<th>Progress</tr>\n{rows}</table>\n{next}"
    );
    page("Jobs", "", &body, StatusCode::OK)
}

fn page(title: &str, head: &str, body: &str, status: StatusCode) -> Response<Body> {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n{head}<title>{title}</title>\n\
         <style>{STYLE}</style>\n{body}</html>\n"
    );
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status;
    private(&mut response, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// A path within quotes within a script: what could end either is percent-encoded, which a path may have anywhere.
fn script_text(path: &str) -> String {
    let encoded = |c: char| match c {
        '"' | '\\' | '<' | '>' | '\'' | '&' => format!("%{:02X}", u32::from(c)),
        c if c.is_control() => String::new(),
        c => c.to_string(),
    };
    path.chars().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_within_its_quotes() {
        assert_eq!(script_text("/a\"</script>\\b"), "/a%22%3C/script%3E%5Cb");
    }
}

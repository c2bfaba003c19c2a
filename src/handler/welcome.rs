//! The page of a dormouse that has nothing to serve yet.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, FORWARDED, HeaderName, HeaderValue, VIA};
use hyper::{HeaderMap, Request, Response, StatusCode};

use super::accept::Format;
use super::escape::Html;
use super::{Answer, Body, Handler, Head, RequestBody, RequestContext, pages};
use crate::server::Peer;

/// Answers `/` with a greeting and what to do next.
pub struct Welcome {
    /// The config file to write.
    pub config: String,
    /// How long it stays awake after the last request; `None` if it does not sleep.
    pub after: Option<Duration>,
}

impl Handler for Welcome {
    fn answer(&self, request: Request<RequestBody>, context: &RequestContext<'_>) -> Answer {
        let head = Head::from(&request);
        if !context.rest.is_empty() {
            return pages::error(StatusCode::NOT_FOUND, Format::asked(head.headers), head.uri.path(), None)
                .into();
        }
        let details = is_local(context.exchange.peer(), head.headers).then(|| {
            let now = context.exchange.snapshot();
            // The engine knows whether it will leave at all; when, after this request, the config knows.
            let leaves_after = now.asleep_in.and(self.after);
            let leaves = leaves_after.map(|after| clock(SystemTime::now() + after));
            Details { config: &self.config, awake: now.uptime, leaves }
        });
        page(Format::named(head.headers).unwrap_or(Format::Html), details.as_ref()).into()
    }
}

/// Whether the client sits on this machine. One that speaks for somebody else (a reverse proxy) does not count.
fn is_local(peer: &Peer, headers: &HeaderMap) -> bool {
    let is_here = match peer {
        Peer::Unix(_) => true,
        Peer::Tcp(address) => match address.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.to_canonical().is_loopback(),
        },
    };
    let forwarded = [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for")];
    is_here && !forwarded.iter().any(|name| headers.contains_key(name))
}

/// What is told to the machine's own people only.
struct Details<'d> {
    config: &'d str,
    awake: Duration,
    leaves: Option<String>,
}

impl Details<'_> {
    fn started(&self) -> String {
        match self.awake.as_secs() {
            0..10 => format!("It started {} ms ago, for you.", self.awake.as_millis().max(1)),
            seconds @ 10..120 => format!("It has been awake for {seconds} s."),
            seconds => format!("It has been awake for {} minutes.", seconds / 60),
        }
    }

    fn leaves(&self) -> String {
        match &self.leaves {
            Some(time) => format!("It will leave at {time} UTC, unless somebody asks again."),
            None => "It stays awake until it is stopped.".to_owned(),
        }
    }
}

/// `14:03:27` of an HTTP date, whose form is fixed.
fn clock(time: SystemTime) -> String {
    httpdate::fmt_http_date(time).get(17..25).unwrap_or_default().to_owned()
}

/// The next three commands, each with its purpose.
fn commands(config: &str) -> [(&'static str, String); 3] {
    let check = match config.strip_prefix("/etc/dormouse/").and_then(|file| file.strip_suffix(".toml")) {
        Some("dormouse") => "dormouse check".to_owned(),
        Some(name) if !name.contains('/') => format!("dormouse check {name}"),
        _ => format!("dormouse check --config {config}"),
    };
    [
        ("give it a route", format!("sudoedit {config}")),
        ("see whether it is right", check),
        ("watch it wake and sleep", "journalctl -fu dormouse".to_owned()),
    ]
}

const ROUTE: &str = "[[route]]\npath = \"/\"\nfiles = \"/srv/www\"\n";
const GREETING: &str = "The dormouse is awake";
const IDEA: &str = "systemd holds the port. dormouse starts when somebody asks, and leaves when it is quiet.";

fn page(format: Format, details: Option<&Details<'_>>) -> Response<Body> {
    let (media, text) = match format {
        Format::Html => ("text/html; charset=utf-8", html(details)),
        Format::Json => ("application/json", json(details)),
        Format::Plain => ("text/plain; charset=utf-8", plain(details)),
    };
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn plain(details: Option<&Details<'_>>) -> String {
    let mut text = format!("{GREETING}.\n{IDEA}\n");
    if let Some(details) = details {
        text.push_str(&format!("{}\n{}\n", details.started(), details.leaves()));
        text.push_str(&format!("\nIt has no route yet. Its config file: {}\n\n", details.config));
        for (purpose, command) in commands(details.config) {
            text.push_str(&format!("  {command:<44} {purpose}\n"));
        }
    }
    text
}

fn json(details: Option<&Details<'_>>) -> String {
    let mut page = serde_json::json!({ "dormouse": "awake" });
    if let Some(details) = details {
        page["awake_seconds"] = details.awake.as_secs_f64().into();
        page["leaves_at_utc"] = details.leaves.clone().into();
        page["config"] = details.config.into();
    }
    format!("{page}\n")
}

fn html(details: Option<&Details<'_>>) -> String {
    let more = details.map(|details| {
        let [one, two, three] = commands(details.config).map(|(purpose, command)| {
            format!("<dt><code>{}</code></dt><dd>{purpose}</dd>", Html(&command))
        });
        format!(
            "<p>{} {}</p>\n<h2>It has no route yet</h2>\n<p>Its config file is <code>{}</code>. A first route:</p>\n\
             <pre>{}</pre>\n<dl>\n{one}\n{two}\n{three}\n</dl>\n",
            details.started(),
            details.leaves(),
            Html(details.config),
            Html(ROUTE),
        )
    });
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{GREETING}</title>\n\
         <style>{}</style>\n<main>\n{MOUSE}\n<h1>{GREETING}</h1>\n<p>{IDEA}</p>\n{}</main>\n</html>\n",
        include_str!("welcome/style.css").replace('\n', ""),
        more.unwrap_or_default(),
    )
}

/// A dormouse, about to fall asleep again.
const MOUSE: &str = include_str!("welcome/mouse.svg");

#[cfg(test)]
mod tests {
    use super::*;

    fn details(config: &str) -> Details<'_> {
        Details { config, awake: Duration::from_millis(7), leaves: Some("14:03:27".into()) }
    }

    #[test]
    fn every_form_names_dormouse_and_tells_details_only_when_asked_to() {
        let local = details("/srv/<x>.toml");
        for text in [html, json, plain] {
            let (told, untold) = (text(Some(&local)), text(None));
            assert!(told.contains("dormouse") && untold.contains("dormouse"));
            assert!(told.contains("14:03:27") && !untold.contains("14:03:27"), "{untold}");
            assert!(!untold.contains(".toml"), "{untold}");
        }
        assert!(html(Some(&local)).contains("/srv/&lt;x&gt;.toml"));
        assert!(plain(Some(&local)).contains("7 ms ago"));
        assert!(html(Some(&local)).len() < 6000);
    }

    #[test]
    fn the_commands_fit_the_file() {
        let check = |config| commands(config)[1].1.clone();
        assert_eq!(check("/etc/dormouse/dormouse.toml"), "dormouse check");
        assert_eq!(check("/etc/dormouse/blog.toml"), "dormouse check blog");
        assert_eq!(check("/home/ann/x.toml"), "dormouse check --config /home/ann/x.toml");
    }

    #[test]
    fn only_the_machines_own_people_are_local() {
        let at = |address: &str| Peer::Tcp(address.parse().expect("an address"));
        let none = HeaderMap::new();
        assert!(is_local(&Peer::Unix(None), &none));
        assert!(is_local(&at("127.0.0.1:1"), &none) && is_local(&at("[::1]:1"), &none));
        assert!(is_local(&at("[::ffff:127.0.0.1]:1"), &none));
        assert!(!is_local(&at("192.0.2.7:1"), &none) && !is_local(&at("[2001:db8::1]:1"), &none));
        let proxied = HeaderMap::from_iter([(
            HeaderName::from_static("x-forwarded-for"),
            HeaderValue::from_static("x"),
        )]);
        assert!(!is_local(&at("127.0.0.1:1"), &proxied) && !is_local(&Peer::Unix(None), &proxied));
    }

    #[test]
    fn the_clock_is_that_of_http_dates() {
        assert_eq!(clock(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)), "08:49:37");
    }
}

//! What the verbs of a config answer.

use crate::harness::Served;

const CONFIG: &str = r#"
[[route]]
path = "/"
text = "root\n"
methods = "GET"
headers = { "X-Served-By" = "dormouse" }

[[route]]
path = "/docs/"
text = "docs\n"
type = "text/x-docs"
status = 203

[[route]]
path = "/docs/"
host = "*.example.org"
text = "theirs\n"

[[route]]
path = "/old/{page}"
redirect = "/new/{page}"

[[route]]
path = "/gone"
text = "gone for good\n"
status = 404

[[route]]
path = "/secret"
socket = "admin"
text = "secret\n"

[[route]]
path = "/health"
show = "health"
"#;

#[test]
fn text_comes_with_its_type_status_and_headers() {
    let site = Served::config(CONFIG);
    let answer = site.ask("GET /");
    assert_eq!((answer.status(), &answer.body[..]), (200, "root\n"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("x-served-by"), "dormouse");
    assert_eq!(answer.header("content-length"), "5");
    let answer = site.ask("GET /docs/anything");
    assert_eq!((answer.status(), &answer.body[..]), (203, "docs\n"));
    assert_eq!(answer.header("content-type"), "text/x-docs");
    assert_eq!(site.ask("GET /docs/x\nHost: www.EXAMPLE.org:8080").body, "theirs\n");
    assert_eq!(site.ask("GET http://www.example.org/docs/x\nHost: h").body, "theirs\n");
    site.asleep();
}

#[test]
fn head_says_what_get_would_and_has_no_body() {
    let site = Served::config(CONFIG);
    for path in ["/", "/docs/", "/health", "/none\nAccept: text/html"] {
        let (head, get) = (site.ask(&format!("HEAD {path}")), site.ask(&format!("GET {path}")));
        assert_eq!(head.status(), get.status(), "{path}");
        assert_eq!(head.body, "", "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        if path != "/health" {
            assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        }
    }
}

#[test]
fn what_is_not_there_says_so_in_the_form_that_was_asked_for() {
    let site = Served::config(&CONFIG.replace("path = \"/\"\n", "path = \"/root\"\n"));
    let answer = site.ask("GET /none");
    assert_eq!((answer.status(), &answer.body[..]), (404, "404 not found\n"));
    let answer = site.ask("GET /no%22ne?q\nAccept: application/json");
    assert_eq!(answer.json(), serde_json::json!({ "status": 404, "error": "not found", "path": "/no%22ne" }));
    assert!(site.ask("GET /none\nAccept: text/html").body.starts_with("<!doctype html>"));
    assert_eq!(site.ask("GET /secret").status(), 404); // there is no such socket
    assert_eq!(site.ask("GET //root").status(), 404);
    assert_eq!(site.ask("OPTIONS *").status(), 204);
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let site = Served::config(CONFIG);
    let answer = site.ask("POST /");
    assert_eq!((answer.status(), answer.header("allow")), (405, "GET, HEAD"));
    assert_eq!(answer.body, "405 method not allowed\n");
    let answer = site.ask("OPTIONS /");
    assert_eq!((answer.status(), answer.header("allow")), (204, "GET, HEAD, OPTIONS"));
    assert_eq!(site.ask("OPTIONS /docs/").status(), 203); // a route that takes any method takes this one too
}

#[test]
fn redirects_lead_where_they_should() {
    let site = Served::config(CONFIG);
    let answer = site.ask("GET /old/a%20b?x=1");
    assert_eq!((answer.status(), answer.header("location")), (308, "/new/a%20b?x=1"));
    let answer = site.ask("GET /docs?x=1");
    assert_eq!((answer.status(), answer.header("location")), (308, "/docs/?x=1"));
}

#[test]
fn probes_and_refusals_are_noise() {
    let site = Served::config(CONFIG);
    for path in ["/", "/docs/", "/gone"] {
        site.ask(&format!("GET {path}"));
    }
    for request in ["POST /", "GET /health", "GET /docs", "OPTIONS /"] {
        site.ask(request);
    }
    let health = site.ask("GET /health");
    assert_eq!(health.header("cache-control"), "no-store");
    let health = health.json();
    assert_eq!(health["phase"], "serving");
    assert_eq!((&health["served"], &health["noise"]), (&3.into(), &4.into()), "{health}");
    assert_eq!(
        (&health["requests_in_flight"], &health["connections"]["busy"]),
        (&1.into(), &1.into()),
        "{health}"
    );
    site.asleep();
}

#[test]
fn a_dormouse_without_routes_says_welcome() {
    let site = Served::config("");
    let answer = site.ask("GET /\nAccept: */*");
    assert!(answer.body.contains("<html") && answer.body.contains("dormouse"), "{answer:?}");
    assert!(answer.body.contains("site.toml"), "a local client is told the file: {answer:?}");
    let proxied = site.ask("GET /\nX-Forwarded-For: 192.0.2.7");
    assert!(!proxied.body.contains("site.toml"), "{proxied:?}");
    assert_eq!(site.ask("GET /\nAccept: application/json").json()["dormouse"], "awake");
    assert_eq!(site.ask("GET /favicon.ico").status(), 404);
}

//! `gather`: several are asked at once, and answer as one.

use serde_json::{Value, json};

use crate::harness::{Answer, connect};
use crate::upstream::{Upstream, id, log, start};

const JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"a\": 1}";

/// A route that asks both.
fn route(a: &Upstream, b: &Upstream, keys: &str) -> String {
    format!(
        "[[route]]\npath = \"/g/{{id}}\"\ngather = {{ a = \"{}/x/{{id}}?q={{query.q}}\", b = \"{}/y\" }}\n{keys}\n",
        a.url(),
        b.url()
    )
}

fn json_of(answer: &Answer) -> Value {
    let mut json: Value =
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    for member in json.as_object_mut().expect("an object").values_mut() {
        let member = member.as_object_mut().expect("an object");
        assert!(member.remove("ms").is_some_and(|ms| ms.is_u64()));
    }
    json
}

#[test]
fn all_are_asked_at_once() {
    let (a, b) = (Upstream::new(), Upstream::new());
    let (site, _daemon) = start(&route(&a, &b, ""));
    let mut client = connect(site.web);
    client.ask("/g/7?q=a%20b");
    let ((mut to_a, asked), (mut to_b, other)) = (a.asked(), b.asked());
    assert_eq!((asked.line(), other.line()), ("GET /x/7?q=a%20b HTTP/1.1", "GET /y HTTP/1.1"));
    assert_eq!(asked.header("x-forwarded-for"), Some("127.0.0.1"));
    to_b.send("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
    to_a.send(JSON);
    let answer = client.answer();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let both = json!({ "a": { "status": 200, "body": { "a": 1 } }, "b": { "status": 404, "body": "no" } });
    assert_eq!(json_of(&answer), both);
    // The same pool as `proxy` has.
    client.ask("/g/8");
    assert_eq!(to_a.head().line(), "GET /x/8?q= HTTP/1.1");
    to_b.head();
    to_a.send(JSON);
    to_b.send(JSON);
    client.answer();
}

#[test]
fn one_without_an_answer_is_an_error_in_its_place() {
    let (a, b) = (Upstream::new(), Upstream::new());
    let route = route(&a, &b, "");
    drop(b);
    let (site, daemon) = start(&route);
    let mut client = connect(site.web);
    client.ask("/g/7");
    let (mut to_a, _) = a.asked();
    to_a.send(JSON);
    let answer = client.answer();
    let json = json_of(&answer);
    assert_eq!(
        (answer.status(), &json["a"]["status"], &json["b"]["status"]),
        (200, &200.into(), &Value::Null)
    );
    let id = json["b"]["id"].as_str().expect("an id");
    assert!(log(daemon).lines().any(|line| line.contains(id)));
}

#[test]
fn one_that_fails_fails_all_if_so_wanted() {
    let (a, b) = (Upstream::new(), Upstream::new());
    let (site, daemon) = start(&route(&a, &b, "on_error = \"fail\""));
    let mut client = connect(site.web);
    client.ask("/g/7");
    let ((mut to_a, _), (mut to_b, _)) = (a.asked(), b.asked());
    to_b.send("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
    let page = client.answer();
    assert_eq!(page.status(), 502);
    to_a.end(); // is asked no longer
    assert!(log(daemon).contains(&id(&page)));
}

#[test]
fn who_takes_too_long_is_an_error_in_its_place() {
    for keys in ["timeouts = { total = \"400ms\" }", "timeouts = { request = \"400ms\" }"] {
        let (a, b) = (Upstream::new(), Upstream::new());
        let (site, _daemon) = start(&route(&a, &b, keys));
        let mut client = connect(site.web);
        client.ask("/g/7");
        let ((mut to_a, _), (mut to_b, _)) = (a.asked(), b.asked());
        to_a.send(JSON);
        let json = json_of(&client.answer());
        assert_eq!((&json["a"]["status"], &json["b"]["error"]), (&200.into(), &"no answer in time".into()));
        to_b.end();
    }
}

#[test]
fn a_client_that_leaves_cancels_all() {
    let (a, b) = (Upstream::new(), Upstream::new());
    let (site, _daemon) = start(&route(&a, &b, ""));
    let mut client = connect(site.web);
    client.ask("/g/7");
    let ((mut to_a, _), (mut to_b, _)) = (a.asked(), b.asked());
    client.0.shutdown(std::net::Shutdown::Write).expect("open");
    to_a.end();
    to_b.end();
}

#[test]
fn a_part_that_is_too_large_is_not_kept() {
    let (a, b) = (Upstream::new(), Upstream::new());
    let (site, _daemon) = start(&route(&a, &b, ""));
    let mut client = connect(site.web);
    client.ask("/g/7");
    let ((mut to_a, _), (mut to_b, _)) = (a.asked(), b.asked());
    to_b.send(JSON);
    to_a.send("HTTP/1.1 200 OK\r\n\r\n");
    let piece = vec![b'x'; 1 << 20];
    while std::io::Write::write_all(&mut to_a.0, &piece).is_ok() {}
    let json = json_of(&client.answer());
    assert_eq!((&json["a"]["status"], &json["b"]["status"]), (&Value::Null, &200.into()));
}

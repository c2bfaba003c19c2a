//! What of a request becomes an argument, and what is refused before anything runs.

use crate::program::{Stage, sh};
use crate::site::SLOW;

/// Prints each argument in brackets.
const PRINT: &str = r#"/bin/sh", "-c", "printf '[%s]' \"$@\"", "sh"#;

fn print(path: &str, arguments: &str, keys: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\nrun = [\"{PRINT}\", {arguments}]\n{keys}\n")
}

/// Leaves a file behind, so that a test sees whether it ran.
const MARK: &str = "touch FOLDER/ran";

impl Stage {
    #[track_caller]
    fn has_not_run(&self) {
        assert!(!self.path("ran").exists(), "it has run");
    }
}

#[test]
fn every_family_of_placeholders_is_filled_in_decoded() {
    let routes = [
        print("/a/{page}/{*rest}", r#""{page}", "{path.rest}", "{path}""#, ""),
        print("/query", r#""{query.q}", "x{query.empty}y""#, ""),
        print("/header", r#""{header.X-Name}", "{host}", "{client}""#, ""),
        print("/form", r#""{form.name}", "{form.two words}""#, ""),
        print("/json", r#""{json.a.b}", "{json.list.1}", "{json.yes}", "{json.number}""#, ""),
        print("/braces", r#""{{{query.q}}}""#, ""),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let _daemon = stage.wake();
    assert_eq!(stage.get("/a/b%20c/d%2Fe/f").text(), "[b c][d/e/f][/a/b c/d/e/f]");
    assert_eq!(stage.get("/query?q=%C3%A4+b%26&empty=&q=2").text(), "[ä b&][xy]");
    let mut client = stage.client();
    client.send("GET /header HTTP/1.1\r\nHost: site.test:80\r\nX-Name: a \"b\" $(c) `d` *\r\n\r\n");
    assert_eq!(client.answer().text(), "[a \"b\" $(c) `d` *][site.test][127.0.0.1]");
    let urlencoded = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(stage.post("/form", urlencoded, "name=a%0Ab&two+words=%2B").text(), "[a\nb][+]");
    let multipart = "Content-Type: multipart/form-data; boundary=x\r\n";
    let part = |name: &str, value: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let form = part("name", "a") + &part("two words", "b c") + "--x--\r\n";
    assert_eq!(stage.post("/form", multipart, form).text(), "[a][b c]");
    let json = r#"{"a": {"b": "c\u00e4"}, "list": [1, "two"], "yes": true, "number": 1.50}"#;
    let kind = "Content-Type: application/json\r\n";
    assert_eq!(stage.post("/json", kind, json).text(), "[cä][two][true][1.50]");
    assert_eq!(stage.get("/braces?q=1").text(), "[{1}]");
}

#[test]
fn what_is_missing_or_cannot_be_an_argument_is_400_and_named() {
    let touch = |path: &str, argument: &str| {
        format!("[[route]]\npath = \"{path}\"\nrun = [\"/bin/touch\", \"FOLDER/ran\", \"{argument}\"]\n")
    };
    let routes = [
        touch("/mark", "{query.q}"),
        touch("/in", "x{query.q}"),
        touch("/json", "{json.a.b}"),
        touch("/head", "{header.X-A}"),
    ];
    let stage = Stage::new(SLOW, &routes.concat());
    let _daemon = stage.wake();
    for (target, name) in [
        ("/mark", "{query.q} is missing"),
        ("/mark?q=a%00b", "{query.q} has a NUL"),
        ("/mark?q=-rf", "{query.q} begins with a dash"),
        ("/mark?q=%2Drf", "{query.q} begins with a dash"),
        ("/in?q=%00", "{query.q} has a NUL"),
        ("/head", "{header.x-a} is missing"),
        ("/json", "{json.a.b} is missing"),
    ] {
        let page = stage.get(target);
        assert_eq!(page.status(), 400, "{target}");
        assert!(page.text().contains(name), "{target}: {}", page.text());
    }
    let kind = "Content-Type: application/json\r\n";
    for (body, words) in [
        (r#"{"a": {"b": "-x"}}"#, "{json.a.b} begins with a dash"),
        (r#"{"a": {"b": "x\u0000"}}"#, "{json.a.b} has a NUL"),
        (r#"{"a": {"b": {}}}"#, "{json.a.b} is an object or a list"),
        (r#"{"a": 1}"#, "{json.a.b} is missing"),
        (r#"{"a": "#, "no valid JSON"),
    ] {
        let page = stage.post("/json", kind, body);
        assert_eq!(page.status(), 400, "{body}");
        assert!(page.text().contains(words), "{body}: {}", page.text());
    }
    stage.has_not_run();
    // Behind something of the config's own, a dash is none.
    assert_eq!(stage.get("/in?q=-rf").status(), 200);
    assert!(stage.path("ran").exists() && stage.path("x-rf").exists());
}

#[test]
fn a_shells_code_is_no_place_for_what_a_client_says() {
    let stage = Stage::new(SLOW, &sh("/", "", "echo {query.q}"));
    let daemon = stage.site.wake();
    assert_eq!(stage.get("/?q=1").status(), 503);
    let log = crate::program::log(daemon);
    assert!(log.contains("a shell reads this as code"), "{log}");
}

#[test]
fn allow_holds_whole_values_to_a_pattern() {
    let run = "run = [\"/bin/touch\", \"--\", \"FOLDER/ran\", \"{query.q}\"]\n";
    let keys = "allow = { \"query.q\" = \"--?[a-z]+|FOLDER/ok\" }\n";
    let stage = Stage::new(SLOW, &format!("[[route]]\npath = \"/\"\n{run}{keys}"));
    let _daemon = stage.wake();
    for bad in ["a", "-a%0A", "x-a", "-a/../b", "", "%FF"] {
        let page = stage.get(&format!("/?q={bad}"));
        assert_eq!(page.status(), 400, "{bad}");
        assert!(page.text().contains("{query.q} is not as this address allows it"), "{}", page.text());
        assert!(!page.text().contains("[a-z]"), "the pattern is nobody's business: {}", page.text());
    }
    stage.has_not_run();
    assert_eq!(stage.get("/?q=--abc").status(), 200);
    assert!(stage.path("--abc").exists());
}

#[test]
fn when_decides_whether_anything_runs() {
    let keys = "when = { \"header.X-GitHub-Event\" = \"push|ping\", \"json.ref\" = \"refs/heads/.*\" }";
    let stage = Stage::new(SLOW, &sh("/", keys, MARK));
    let _daemon = stage.wake();
    let ask = |event: &str, body: &str| {
        let kind = format!("Content-Type: application/json\r\n{event}");
        stage.post("/", &kind, body).status()
    };
    let main = r#"{"ref": "refs/heads/main"}"#;
    for (event, body) in [
        ("", main),
        ("X-GitHub-Event: pushed\r\n", main),
        ("X-GitHub-Event: push\r\n", r#"{"ref": "refs/tags/1"}"#),
        ("X-GitHub-Event: push\r\n", "{}"),
    ] {
        assert_eq!(ask(event, body), 204, "{event:?} {body}");
        stage.has_not_run();
    }
    assert_eq!(ask("X-GitHub-Event: push\r\n", main), 200);
    assert!(stage.path("ran").exists());
}

#[test]
fn a_204_for_what_is_not_wanted_keeps_the_connection_and_reads_no_large_body() {
    let stage = Stage::sh("when = { \"query.q\" = \"yes\" }", "cat");
    let _daemon = stage.wake();
    let mut client = stage.client();
    client.post("/?q=no", "", "a body");
    assert_eq!(client.head().status(), 204);
    client.post("/?q=yes", "", "a body");
    assert_eq!(client.answer().text(), "a body");
}

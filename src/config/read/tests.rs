use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::config::Diagnostics;
use crate::server::KeepsAwake;

/// The one-line form of everything wrong with a text, without the file's name.
fn wrong(text: &str) -> Vec<String> {
    let sockets = ["http".to_owned(), "admin".to_owned()];
    let faults = read(text, Some(&sockets), &Lasting::default()).err().unwrap_or_default();
    let lines = Diagnostics::faulty(Path::new("f"), text.to_owned(), faults).lines();
    lines.iter().map(|line| line.trim_start_matches("f:").to_owned()).collect()
}

const EVERYTHING: &str = r#"
[sleep]
after = "1h 30m"
min_awake = "0s"
grace = "200ms"
drain = "20s"

[timeouts]
request = "never"
total = "7 days"

[[route]]
path = "/"
text = "Hello\n"
type = "text/plain"
status = 200
headers = { "X-One" = "1", "x-two" = "2" }

[[route]]
path = "/old/{page}"
host = ["example.org", "*.example.org"]
redirect = "https://example.org/new/{page}?from={query.from}"

[[route]]
path = "/old/{other}"
redirect = "/{path.other}"
status = 302

[[route]]
path = "/healthz"
socket = "admin"
show = "health"

[[route]]
path = "/wiki/{*rest}"
methods = "POST"
keeps_awake = false
redirect = "/elsewhere/{rest}"
"#;

#[test]
fn what_the_manual_shows_is_right() {
    assert_eq!(wrong(EVERYTHING), [""; 0]);
    let loaded = read(EVERYTHING, None, &Lasting::default()).expect("a good config");
    assert_eq!(loaded.site.routes[0].chain.waits.request, None);
    assert_eq!(loaded.site.routes[0].chain.waits.total, Some(std::time::Duration::from_secs(7 * 86_400)));
    let routes: Vec<_> =
        loaded.site.routes.iter().map(|route| (route.verb, route.keeps_awake == KeepsAwake::Yes)).collect();
    assert_eq!(
        routes,
        [("text", true), ("redirect", true), ("redirect", true), ("show", false), ("redirect", false)]
    );
}

#[test]
fn everything_wrong_is_told_at_once_in_the_order_of_the_file() {
    let text = r#"[slep]
after = 30
[sleep]
aftr = "30s"
after = 30
grace = "0.5s"
[timeouts]
head = "0s"
[[route]]
text = "no path"
[[route]]
path = "/a"
[[route]]
path = "b"
text = "b"
status = 99
[[route]]
path = "/c"
text = "c"
redirect = "/d"
"#;
    let verbs: Vec<_> = crate::handler::VERBS.iter().map(|verb| verb.schema.name()).collect();
    let no_verb =
        format!("11:1: this route has no verb: it does not say what to do, add one of: {}", verbs.join(", "));
    assert_eq!(
        wrong(text),
        [
            r#"1:2: unknown table "slep", did you mean "sleep"?"#,
            r#"4:1: unknown key "aftr", did you mean "after"?"#,
            r#"5:9: `after` takes a duration or "never": a bare number has no unit, for example: after = "10m""#,
            r#"6:9: `grace` takes a duration: "0.5s" is not a number with a unit, for example: grace = "200ms""#,
            r#"8:8: `head` takes a duration or "never": zero would be over at once; "never" sets no limit, for example: head = "10s""#,
            r#"9:1: this route has no `path`, for example: path = "/docs/""#,
            &no_verb,
            r#"14:8: a path begins with a slash, write "/b""#,
            r#"16:10: `status` takes an HTTP status from 200 to 599: this is out of range, for example: status = 404"#,
            r#"20:1: a route has one verb: `text` or `redirect`, write a [[route]] for each"#,
        ]
    );
}

#[track_caller]
fn route_is_wrong(rest: &str, expected: &[&str]) {
    let text = format!("[[route]]\npath = \"/{{x}}\"\n{rest}");
    assert_eq!(wrong(&text), expected, "{text}");
}

#[test]
fn every_key_of_a_route_says_what_it_wants() {
    route_is_wrong(
        "text = 1",
        &[r#"3:8: `text` takes a string: this is a number, for example: text = "Hello from dormouse\n""#],
    );
    route_is_wrong(
        "text = ''\ntype = \"a\\nb\"",
        &["4:8: this cannot stand in a header, for example: type = \"application/json\""],
    );
    route_is_wrong(
        "text = 'x'\nstatus = 204",
        &["4:10: an answer with status 204 has no text, write text = \"\""],
    );
    route_is_wrong(
        "text = 'x'\nstatus = '404'",
        &[
            "4:10: `status` takes an HTTP status from 200 to 599: it goes without quotes, for example: status = 404",
        ],
    );
    route_is_wrong(
        "text = ''\nmethods = []",
        &[
            "4:11: an empty list: no request would reach this route, leave `methods` out, or write for example: methods = [\"GET\", \"POST\"]",
        ],
    );
    route_is_wrong(
        "text = ''\nmethods = ['get', 'a b']",
        &[
            "4:12: methods are written in capitals, write \"GET\"",
            "4:19: \"a b\" is no method, for example: methods = [\"GET\", \"POST\"]",
        ],
    );
    route_is_wrong(
        "text = ''\nhost = 'a:1'",
        &[
            "4:8: a host goes without port: the port is in the .socket unit, for example: host = \"example.org\"",
        ],
    );
    route_is_wrong(
        "text = ''\nsocket = 'web'",
        &[
            "4:10: systemd passed no socket named \"web\", add FileDescriptorName=web to its .socket unit; there are: http, admin",
        ],
    );
    route_is_wrong(
        "text = ''\nkeeps_awake = 'no'",
        &[
            "4:15: `keeps_awake` takes true or false or \"while-active\": \"no\" is none of them, for example: keeps_awake = \"while-active\"",
        ],
    );
    route_is_wrong(
        "text = ''\nkeeps_awake = 'while-active'",
        &["4:15: `text` has no streams that could be active, write true or false"],
    );
    route_is_wrong(
        "show = 'health'\nkeeps_awake = true",
        &["4:15: `show` never keeps it awake, leave it out"],
    );
    route_is_wrong(
        "show = 'helth'",
        &["3:8: `show` takes \"health\": \"helth\" is none of them, did you mean \"health\"?"],
    );
    route_is_wrong(
        "redirect = '/{y}'",
        &[
            "3:12: unknown placeholder {y}, there are {x} of the path, {path}, {host}, {query.NAME} and {header.NAME}",
        ],
    );
    route_is_wrong("redirect = '/'\nstatus = 304", &["4:10: 304 is no redirect, for example: status = 302"]);
    route_is_wrong(
        "redirect = '/'\ntype = 'a'",
        &["4:1: `type` belongs to `text`, this is a route of `redirect`, leave it out"],
    );
    route_is_wrong(
        "redirect = '/'\ncolour = 1",
        &[
            "4:1: unknown key \"colour\", known here: path, host, socket, methods, keeps_awake, limits, timeouts, headers, status, redirect",
        ],
    );
    route_is_wrong(
        "redirect = '/'\ntimeouts = { request = 5, head = '1s' }\nlimits = 3",
        &[
            "4:24: `request` takes a duration or \"never\": a bare number has no unit, for example: request = \"30s\"",
            "4:27: unknown key \"head\", known here: body, request, total, connect, idle",
            "5:10: `limits` takes a table of `in_flight`, `queue`, `body`: this is a number, for example: limits = { in_flight = 10, queue = 100, body = \"10 MiB\" }",
        ],
    );
    route_is_wrong(
        "text = ''\nheaders = { 'a b' = 'x', c = 1 }",
        &[
            "4:30: `headers` takes a table of strings: this is a number, for example: headers = { \"X-Frame-Options\" = \"DENY\" }",
        ],
    );
    route_is_wrong(
        "text = ''\nheaders = { 'a b' = 'x', c = \"\\n\", Connection = 'close' }",
        &[
            "4:13: \"a b\" is no name for a header",
            "4:30: a header's value is one line of visible characters",
            "4:36: Connection belongs to the connection, dormouse sets it itself, leave it out",
        ],
    );
}

#[test]
fn a_key_in_the_wrong_place_is_sent_to_the_right_one() {
    assert_eq!(
        wrong("after = '1s'\npath = '/'\nsleep = 3\nroute = 'x'\nlisten = ''\n"),
        [
            "1:1: `after` stands outside of its table, it belongs below [sleep]",
            "2:1: `path` stands outside of any route, it belongs below [[route]]",
            "3:1: `sleep` is a table, and this is a number, begin it with [sleep]",
            "4:1: `route` is a table, and this is a string, begin it with [[route]]",
            "5:1: unknown key \"listen\", known here: sleep, limits, timeouts, trust, app, route",
        ]
    );
    assert_eq!(
        wrong("[route]\npath = '/'\ntext = ''\n"),
        ["1:2: a route stands in double brackets, write [[route]]"]
    );
}

#[test]
fn routes_that_cannot_be_told_apart_name_each_other() {
    // Also if something else is wrong with one of them.
    let text = "[[route]]\npath = '/a/{x}'\ntext = '1'\n\n[[route]]\npath = '/a/{y}'\ntext = 2\n";
    assert_eq!(
        wrong(text),
        [
            "6:8: nothing tells /a/{y} from /a/{x} on line 2: both would take the same requests, \
          change a path, or set them apart by `host`, `methods` or `socket`",
            r#"7:8: `text` takes a string: this is a number, for example: text = "Hello from dormouse\n""#
        ]
    );
}

#[test]
fn what_is_no_toml_does_not_hide_the_rest_nor_invent_more() {
    let text = "[sleep]\naftr = \"1s\"\n[[route]]\npath = \"/\ntext = \"x\"\n[[route]]\npath = \"/b\"\n";
    assert_eq!(
        wrong(text),
        ["2:1: unknown key \"aftr\", did you mean \"after\"?", "4:10: invalid basic string, expected `\"`"]
    );
    let twice = "[sleep]\nafter = \"1s\"\nafter = \"2s\"\n";
    assert_eq!(wrong(twice).len(), 1, "{:?}", wrong(twice));
}

fn keys() -> Vec<&'static str> {
    routes::all_keys().chain(SECTIONS.iter().flat_map(|section| section.keys)).map(|key| key.name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "\\PC{0,200}|([\\[\\]{}=\"'.,#a-z0-9 \n]{0,6}(route|sleep|path|text|after)?){0,20}") {
        let _ = wrong(&text);
    }

    #[test]
    fn no_spoiled_config_panics(
        cuts in prop::collection::vec((0_usize..EVERYTHING.len(), 0_usize..12, "\\PC{0,3}|[\\[\\]\"={}\n]{0,3}"), 1..6),
    ) {
        let mut text = EVERYTHING.to_owned();
        for (at, length, instead) in cuts {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(end) {
                text.replace_range(at..end, &instead);
            }
        }
        let _ = wrong(&text);
    }

    #[test]
    fn any_value_for_any_key_is_taken_or_complained_of(
        key in select(keys()),
        value in select(vec!["1", "-1", "true", "\"x\"", "\"/x\"", "\"1s\"", "[]", "[1]", "[\"GET\"]", "{}", "{ a = 1 }",
            "{ a = \"b\" }", "1.5", "1979-05-27", "99999999999999999999", "\"\"", "\"{\"", "\"\\u0000\""]),
    ) {
        let _ = wrong(&format!("[[route]]\npath = \"/\"\ntext = \"\"\n{key} = {value}\n"));
        let _ = wrong(&format!("[[route]]\n{key} = {value}\n"));
        let _ = wrong(&format!("[sleep]\n{key} = {value}\n[timeouts]\n{key} = {value}\n"));
    }
}

#[test]
fn a_file_that_is_no_config_at_all_is_told_in_no_time() {
    let log = "2026-11-21T00:00:00 host dormouse[1]: awake = \"no\" [x\n".repeat(20_000);
    let lines = wrong(&log);
    assert_eq!(lines.len(), 50);
    let keys: String = (0..20_000).map(|number| format!("key{number} = {number}\n")).collect();
    assert_eq!(wrong(&keys).len(), 50);
}

#[test]
fn a_unit_is_one_app_and_not_dormouse() {
    let app =
        |name: &str, unit: &str| format!("[app.{name}]\nunit = {unit:?}\naddress = 'unix:/run/{name}'\n");
    assert_eq!(wrong(&(app("a", "a.service") + &app("b", "b.service"))), [""; 0]);
    assert_eq!(
        wrong(&(app("a", "a.service") + &app("b", "a.service"))),
        ["5:8: a.service is the app \"a\" already, routes may share it: app = \"a\""]
    );
    let own = wrong(&app("a", "dormouse@blog.service"));
    assert!(own[0].starts_with("2:8: \"dormouse@blog.service\" is dormouse itself"), "{own:?}");
}

#[test]
fn what_would_do_nothing_in_an_app_is_told() {
    let cases: &[(&str, &str)] = &[
        (
            "run = ['']",
            "2:8: the first of `run` is the program, and this one has no name, for example: run = [\"/usr/bin/node\", \
             \"/srv/wiki/server.js\"]",
        ),
        ("run = ['x', \"a\\u0000\"]", "2:13: no argument or variable holds a NUL, leave it out"),
        (
            "run = ['x']\nbusy_at_most = '1h'",
            "3:16: `busy_at_most` has no effect without `busy`, leave it out, or add for example: busy = \"GET /busy\"",
        ),
        (
            "run = ['x']\nasleep_status = 503",
            "3:17: `asleep_status` has no effect without `never_wake`, leave it out, or add for example: never_wake = \
             [\"/healthz\", \"UptimeRobot\"]",
        ),
        (
            "run = ['x']\nsleep_after = 'never'\nbusy = 'GET /busy'",
            "4:8: this app never sleeps, so nobody asks whether it is busy, leave it out, or write for example: \
             sleep_after = \"10m\"",
        ),
        (
            "run = ['x']\nnever_wake = ['']",
            "3:15: \"\" is neither a path nor a part of a User-Agent, for example: never_wake = [\"/healthz\", \
             \"UptimeRobot\"]",
        ),
        (
            "run = ['x']\nenv = { PORT = '3000' }",
            "3:16: the port is chosen at each start, and nothing tells the program, leave PORT out, and it is set; or \
             write {port} where it belongs",
        ),
        (
            "run = ['x']\nsocket = 'pass'\nenv = { LISTEN_FDS = '2' }",
            "4:9: LISTEN_FDS is set with the socket, leave it out",
        ),
    ];
    for (app, expected) in cases {
        assert_eq!(wrong(&format!("[app.wiki]\n{app}\n")), [*expected]);
    }
    for right in ["run = ['x', '{port}']\nenv = { PORT = '1' }", "run = ['x']\nenv = { PORT = '{port}' }"] {
        assert_eq!(wrong(&format!("[app.wiki]\n{right}\n")), [""; 0]);
    }
    assert_eq!(
        wrong("[[app]]\nrun = ['x']\n"),
        ["1:3: an app stands in single brackets, with its name, write [app.NAME]"]
    );
}

#[test]
fn an_address_is_one_app_s_own() {
    let app = |name: &str| format!("[app.{name}]\nrun = ['x']\nsocket = 'pass'\naddress = 'unix:/run/x'\n");
    assert_eq!(
        wrong(&(app("a") + &app("b"))),
        ["8:11: unix:/run/x is the app \"a\" already, routes may share it: app = \"a\""]
    );
}

#[test]
fn apps_that_no_route_names_are_known() {
    let text = "[app.a]\nrun = ['x']\n[app.b]\nrun = ['y']\n[[route]]\npath = '/'\napp = 'b'\n";
    assert_eq!(read(text, None, &Lasting::default()).expect("a good config").idle_apps, ["a"]);
}

#[test]
fn a_command_has_no_keys_that_mean_nothing() {
    let route = |keys: &str| wrong(&format!("[[route]]\npath = '/'\nrun = ['x']\n{keys}\n"));
    for (keys, expected) in [
        (
            "stream = 'sse'\ncgi = true",
            "5:7: a stream of events has no head of the program's own, leave one of `cgi`",
        ),
        (
            "stream = 'sse'\ntype = 'a/b'",
            "5:8: a stream of events has its own type, leave one of `type` and `stream`",
        ),
        (
            "stream = 'sse'\nexit_status = { 2 = 404 }",
            "5:15: a stream of events has begun before there is an exit",
        ),
        (
            "cgi = true\ntype = 'a/b'",
            "5:8: a CGI program says its type itself, leave one of `type` and `cgi` out",
        ),
        ("cgi = true\nexit_status = { 2 = 404 }", "5:15: a CGI program says its status itself, leave one of"),
        (
            "output = '1 MiB'",
            "4:10: what is sent as it comes has no limit, leave it out, or write stream = false",
        ),
    ] {
        let wrong = route(keys);
        assert!(wrong.len() == 1 && wrong[0].contains(expected), "{keys}: {wrong:?}");
    }
    for right in ["stream = 'sse'\ncgi = false", "type = 'a/b'\nexit_status = { 2 = 404 }"] {
        assert_eq!(route(right), [""; 0], "{right}");
    }
}

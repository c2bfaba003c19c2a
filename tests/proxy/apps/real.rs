//! Apps as people have them, unmodified: started from cold by the first request, put to sleep, and woken again.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use super::{SLOW, gone};
use crate::harness::{Daemon, PATIENCE, connect};
use crate::site::{DORMOUSE, Site};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/apps");

/// Where the programs of PyPI are; `None`, and why, if they cannot be had.
fn venv() -> Option<PathBuf> {
    let output =
        Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/venv")).output().expect("it runs");
    if output.status.success() {
        return Some(String::from_utf8(output.stdout).expect("text").trim_end().into());
    }
    missing(&String::from_utf8_lossy(&output.stderr));
    None
}

/// Says that a test was skipped; `tests/run` allows no such thing.
fn missing(what: &str) {
    assert!(std::env::var_os("DORMOUSE_ALL").is_none(), "{what}");
    println!("skipped: {what}");
}

/// The processes below another one.
fn children(daemon: &Daemon) -> Vec<i32> {
    let path = format!("/proc/{0}/task/{0}/children", daemon.pid());
    let text = std::fs::read_to_string(path).expect("it runs");
    text.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect()
}

/// Starts the app twice, by a request for `target` that is answered with something that contains `answer`, and sees it
/// sleep twice.
fn wakes_and_sleeps(app: &str, route: &str, target: &str, answer: &str) {
    let site = Site::new(&format!(
        "{SLOW}[[route]]\npath = \"/\"\napp = \"real\"\n{route}\n[app.real]\nsleep_after = \"400ms\"\n{app}\n"
    ));
    let daemon = site.wake_and_wait();
    assert!(children(&daemon).is_empty());
    for _ in 0..2 {
        let mut client = connect(site.web);
        // Two on one connection: it lasts while the app does, and longer.
        for _ in 0..2 {
            let came = client.get(target);
            assert!(came.status() == 200 && came.text().contains(answer), "{came:?}");
        }
        let running = children(&daemon);
        assert_eq!(running.len(), 1);
        running.into_iter().for_each(gone);
    }
    connect(site.web).get(target);
    let running = children(&daemon);
    daemon.signal(libc::SIGTERM);
    let log = daemon.asleep();
    running.into_iter().for_each(gone);
    assert_eq!(log.matches("app real is up after").count(), 3, "{log}");
    assert_eq!(log.matches("app real sleeps").count(), 3, "{log}");
    assert!(!log.contains("error") && !log.contains("warning"), "{log}");
}

#[test]
fn a_node_server() {
    if Command::new("node").arg("--version").output().is_err() {
        return missing("there is no node (apt install nodejs)");
    }
    wakes_and_sleeps(
        &format!("run = [\"node\", \"{HERE}/server.js\"]"),
        "",
        "/a//b/../c?d",
        "node GET /a//b/../c?d",
    );
}

#[test]
fn pythons_http_server() {
    let app = format!(
        "run = [\"{}\", \"-m\", \"http.server\", \"{{port}}\", \"--bind\", \"127.0.0.1\"]\ndir = \"{HERE}\"",
        super::python()
    );
    wakes_and_sleeps(&app, "", "/server.js", "createServer");
}

#[test]
fn an_asgi_app_in_each_way() {
    let Some(venv) = venv() else { return };
    let uvicorn = venv.join("uvicorn").display().to_string();
    for (arguments, socket) in
        [("\"--port\", \"{port}\"", "port"), ("\"--uds\", \"{socket}\"", "unix"), ("\"--fd\", \"3\"", "pass")]
    {
        let app = format!(
            "run = [\"{uvicorn}\", \"asgi:app\", {arguments}]\nsocket = \"{socket}\"\ndir = \"{HERE}\""
        );
        wakes_and_sleeps(&app, "", "/a%2Fb?c", "asgi /a%2Fb");
    }
}

#[test]
fn a_wsgi_app_that_takes_its_socket_from_systemd() {
    let Some(venv) = venv() else { return };
    let gunicorn = venv.join("gunicorn").display().to_string();
    let app = format!("run = [\"{gunicorn}\", \"asgi:wsgi\"]\nsocket = \"pass\"\ndir = \"{HERE}\"");
    wakes_and_sleeps(&app, "", "/a", "wsgi /a");
}

#[test]
fn dormouse_itself() {
    let folder = crate::harness::Folder::new();
    let config = folder.join("inner.toml");
    std::fs::write(&config, format!("{SLOW}[[route]]\npath = \"/inner\"\ntext = \"inner\"\n"))
        .expect("a file");
    let app = format!(
        "run = [\"{DORMOUSE}\", \"serve\", \"--config\", \"{}\"]\nsocket = \"pass\"",
        config.display()
    );
    wakes_and_sleeps(&app, "", "/inner", "inner");
}

#[test]
fn an_app_that_falls_asleep_by_itself_has_not_failed() {
    let folder = crate::harness::Folder::new();
    let config = folder.join("inner.toml");
    let quick = "[sleep]\nafter = \"200ms\"\nmin_awake = \"200ms\"\ngrace = \"10ms\"\n";
    std::fs::write(&config, format!("{quick}[[route]]\npath = \"/inner\"\ntext = \"inner\"\n"))
        .expect("a file");
    let site = Site::new(&format!(
        "{SLOW}[[route]]\npath = \"/inner\"\napp = \"inner\"\n[app.inner]\nsocket = \"pass\"\n\
         run = [\"{DORMOUSE}\", \"serve\", \"--config\", \"{}\"]\n",
        config.display()
    ));
    let daemon = site.wake_and_wait();
    for _ in 0..3 {
        assert_eq!(connect(site.web).get("/inner").text(), "inner");
        children(&daemon).into_iter().for_each(gone);
        let deadline = Instant::now() + PATIENCE;
        while !site.json()["held_by"].as_array().is_some_and(Vec::is_empty) {
            assert!(Instant::now() < deadline, "it is not asleep");
        }
    }
    daemon.signal(libc::SIGTERM);
    let log = daemon.asleep();
    assert_eq!(log.matches("app inner sleeps, it has ended by itself").count(), 3, "{log}");
    assert!(!log.contains("failed"), "{log}");
}

/// Asks a dormouse that is an app, at random moments around the end of its quiet of 20 ms; what the outer one said.
fn at_the_edge(keys: &str, inner: &str) -> String {
    let folder = crate::harness::Folder::new();
    let config = folder.join("inner.toml");
    std::fs::write(&config, format!("{inner}[[route]]\npath = \"/inner\"\ntext = \"inner\"\n"))
        .expect("a file");
    let site = Site::new(&format!(
        "{SLOW}[[route]]\npath = \"/inner\"\napp = \"inner\"\n[app.inner]\n{keys}\nsocket = \"pass\"\n\
         run = [\"{DORMOUSE}\", \"serve\", \"--config\", \"{}\"]\n",
        config.display()
    ));
    let daemon = site.wake();
    let web = site.web;
    let clients: Vec<_> = (0..2u64)
        .map(|seed| {
            std::thread::spawn(move || {
                for round in 0..150 {
                    let answer = connect(web).get("/inner");
                    assert_eq!((answer.status(), answer.text()), (200, "inner"), "{}", answer.head);
                    // Up to twice its quiet, so that many come just as it ends.
                    let micros = (round * 7919 + seed * 104_729) % 40_000;
                    std::thread::sleep(std::time::Duration::from_micros(micros));
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("all are answered"));
    daemon.signal(libc::SIGTERM);
    let log = daemon.asleep();
    let starts = log.matches("app inner starts").count();
    assert!(starts > 5, "it slept only {starts} times");
    assert!(!log.contains("failed"), "{log}");
    log
}

#[test]
fn nothing_is_lost_when_it_is_put_to_sleep() {
    at_the_edge("sleep_after = \"20ms\"", SLOW);
}

#[test]
fn nothing_is_lost_when_it_falls_asleep_by_itself() {
    let log = at_the_edge("", "[sleep]\nafter = \"20ms\"\nmin_awake = \"0s\"\ngrace = \"1ms\"\n");
    assert!(log.contains("it has ended by itself"), "{log}");
}

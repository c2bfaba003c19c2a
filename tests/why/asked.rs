//! What `dormouse why` says, and what asking does not do.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::Value;

use crate::harness::{PATIENCE, connect};
use crate::site::{DORMOUSE, FAST, SLOW, Site, why};

#[test]
fn asleep_it_tells_the_last_story() {
    let site = Site::new(FAST);
    let mut client = connect(site.web);
    client.send("GET /hello HTTP/1.1\r\nHost: test\r\n\r\nGET /nothing HTTP/1.1\r\nHost: test\r\n\r\n");
    let daemon = site.wake();
    assert_eq!(client.answer().status(), 200);
    assert_eq!(client.answer().status(), 404);
    let peer = client.0.local_addr().expect("connected");
    drop(client);
    daemon.asleep();
    let text = site.text();
    for part in [
        "is asleep since ",
        "it had been quiet for ",
        &format!("Woken by   {peer} on http; ready after "),
        "1 wake since boot",
        "Served     1 request; 1 more did not count",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn asking_wakes_nobody() {
    let site = Site::new(FAST);
    assert_eq!(site.json()["state"], "never");
    assert!(site.text().contains("has not run since boot"));
    site.wake().asleep();
    assert_eq!(site.json()["state"], "asleep");
    let accepted = site.listener.accept();
    assert_eq!(accepted.expect_err("nobody came").kind(), ErrorKind::WouldBlock);
    assert!(!site.runtime.join("control.sock").exists());
}

#[test]
fn a_request_in_hand_is_named() {
    let site = Site::new(SLOW);
    let big = site.unit.folder.join("big");
    File::create(&big).and_then(|file| file.set_len(64 << 20)).expect("a file");
    site.configure(&format!("{SLOW}[[route]]\npath = \"/big\"\nfiles = \"{}\"\n", big.display()));
    let _daemon = site.wake_and_wait();
    let mut client = connect(site.web);
    client.send("GET /big HTTP/1.1\r\nHost: test\r\n\r\n");
    client.0.read_exact(&mut [0; 15]).expect("the answer has begun"); // and more than the kernel takes is left
    let mut idle = connect(site.web);
    assert_eq!(idle.get("/hello").text(), "hello");
    let peer = client.0.local_addr().expect("connected").to_string();
    let look = site.json();
    let [holder] = look["held_by"].as_array().expect("a list").as_slice() else { panic!("{look:#}") };
    assert_eq!(
        ["what", "method", "route", "peer", "socket"].map(|member| holder[member].as_str().unwrap_or("none")),
        ["request", "GET", "/big", &peer, "http"]
    );
    assert_eq!((&look["other_holds"], &look["idle_connections"]), (&0.into(), &1.into()), "{look:#}");
    let text = site.text();
    for part in [
        "Kept awake by:",
        "GET /big",
        &peer,
        "not before all of that has ended, then after 1h of quiet",
        "1 open connection",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn awake_it_says_when_it_sleeps_and_by_which_setting() {
    let site = Site::new("[sleep]\nafter = \"1h\"\nmin_awake = \"30m\"\n");
    let _daemon = site.wake_and_wait();
    let text = site.text();
    assert!(text.contains("no request that counts has come, and sleep.min_awake is 30m"), "{text}");
    assert_eq!(connect(site.web).get("/hello").text(), "hello");
    let text = site.text();
    assert!(text.contains(", and sleep.after is 1h"), "{text}");
    assert!(text.contains("Nothing keeps it awake at this moment."), "{text}");
}

#[test]
fn a_bad_config_is_told() {
    let site = Site::new(SLOW);
    site.configure("[sleep]\nafterr = \"1h\"\n");
    let daemon = site.wake_and_wait();
    let text = site.text();
    assert!(text.contains("bad config: ") && text.contains("site.toml:2:1"), "{text}");
    drop(daemon);
}

#[test]
fn asking_extends_nothing() {
    let site = Site::new("[sleep]\nafter = \"1h\"\nmin_awake = \"300ms\"\n");
    let daemon = site.wake_and_wait();
    // It sleeps under questions: they restart no clock, and one at a time leaves it moments without any.
    let mut asked = 0;
    loop {
        let look = site.json();
        if look["state"] != "awake" {
            break;
        }
        assert_eq!(look["last_counted"], Value::Null);
        asked += 1;
    }
    assert!(asked > 0);
    daemon.asleep();
}

#[test]
fn a_client_that_says_nothing_is_sent_off() {
    let site = Site::new(FAST);
    let daemon = site.wake();
    let path = site.runtime.join("control.sock");
    let deadline = std::time::Instant::now() + PATIENCE;
    // It may sleep before anybody came: then there is nothing to see.
    let mut silent = loop {
        match UnixStream::connect(&path) {
            Ok(stream) => break Some(stream),
            Err(_) if std::time::Instant::now() > deadline => panic!("it is neither there nor gone"),
            Err(_) if site.is_over() => break None,
            Err(_) => std::thread::yield_now(),
        }
    };
    daemon.asleep();
    if let Some(silent) = &mut silent {
        assert_eq!(silent.read(&mut [0; 1]).unwrap_or(0), 0);
    }
}

#[test]
fn any_other_question_is_refused() {
    let site = Site::new(SLOW);
    let daemon = site.wake_and_wait();
    for question in ["what\n".to_owned(), "x".repeat(10_000), "\n".to_owned()] {
        let mut stream = UnixStream::connect(site.runtime.join("control.sock")).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let _ = stream.write_all(question.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer); // it may end before it has read all of it
        let answer: Value = serde_json::from_str(&answer).expect("json");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains("why")), "{answer}");
    }
    drop(daemon);
}

#[test]
fn its_socket_is_for_the_group_and_nobody_else() {
    let site = Site::new(SLOW);
    let _daemon = site.wake_and_wait();
    // The mode is set after the path is there.
    let mode =
        || std::fs::metadata(site.runtime.join("control.sock")).expect("there").permissions().mode() & 0o7777;
    let deadline = std::time::Instant::now() + PATIENCE;
    while mode() != 0o660 {
        assert!(std::time::Instant::now() < deadline, "{:o}", mode());
        std::thread::yield_now();
    }
}

#[test]
fn who_may_not_ask_is_told_the_way() {
    let site = Site::new(SLOW);
    let _daemon = site.wake_and_wait();
    let mut command = Command::new(DORMOUSE);
    if rustix::process::geteuid().is_root() {
        // Somebody who may not enter the folder with the build either.
        let program = site.unit.folder.join("dormouse");
        std::fs::hard_link(DORMOUSE, &program)
            .or_else(|_| std::fs::copy(DORMOUSE, &program).map(drop))
            .expect("a copy of the program");
        command = Command::new(program);
        command.uid(65534).gid(65534);
        std::fs::set_permissions(&site.runtime, PermissionsExt::from_mode(0o750)).expect("it is ours");
    } else {
        std::fs::set_permissions(&site.runtime, PermissionsExt::from_mode(0o600)).expect("it is ours");
    }
    let output = command.args(["why", "--runtime"]).arg(&site.runtime).output().expect("it can be run");
    std::fs::set_permissions(&site.runtime, PermissionsExt::from_mode(0o750)).expect("it is ours");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(77), "{output:?}");
    assert!(text.contains("sudo") && text.contains("group dormouse"), "{text}");
}

#[test]
fn a_path_too_long_for_a_socket_only_costs_the_answer() {
    let site = Site::in_runtime(SLOW, &"long/".repeat(30));
    let daemon = site.wake();
    assert_eq!(connect(site.web).get("/hello").text(), "hello");
    let output = site.why(&[]);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("runs, but cannot be asked"), "{output:?}");
    daemon.signal(15);
    let (_, log) = daemon.left();
    assert!(log.contains("no control socket at "), "{log}");
    assert_eq!(site.carry()["wakes"], 1);
    assert_eq!(site.json()["state"], "stopped");
}

#[test]
fn a_name_or_folder_that_is_not_there_is_a_mistake() {
    for arguments in [["why", "no-such-instance"], ["why", "../dormouse"], ["why", "--runtime=/nonexistent"]]
    {
        let output = Command::new(DORMOUSE).args(arguments).output().expect("it can be run");
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("no instance is named") || text.contains("there is no directory"), "{text}");
    }
}

#[test]
fn one_that_was_started_by_hand_is_listed() {
    let site = Site::in_runtime(FAST, "dormouse"); // as in $XDG_RUNTIME_DIR
    site.wake().asleep();
    let parent = site.runtime.parent().expect("a folder");
    let mut command = Command::new(DORMOUSE);
    let output =
        command.args(["why", "--json"]).env("XDG_RUNTIME_DIR", parent).output().expect("it can be run");
    let looks: Value = serde_json::from_slice(&output.stdout).expect("json");
    let own = site.runtime.display().to_string();
    let mut all = looks["instances"].as_array().expect("a list").iter();
    let look = all.find(|look| look["runtime"] == own.as_str()).unwrap_or_else(|| panic!("{looks:#}"));
    assert_eq!(look["state"], "asleep");
    assert_eq!(why(&site.runtime, &[]).status.code(), Some(0));
}

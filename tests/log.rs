//! What the log of a whole process looks like from outside.
#![cfg(feature = "daemon")]

use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use dormouse::log;

/// Says to [`child`] what to play.
const SCENE: &str = "DORMOUSE_TEST_SCENE";

/// Not a test by itself: the process that the tests look at is this same binary, running this alone.
#[test]
fn child() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    log::start("dormouse");
    match scene.as_str() {
        "talk" => {
            tracing::debug!("not asked for");
            tracing::info!(woken_by = "127.0.0.1:4711", served = 7, "awake");
            tracing::warn!("the last line");
        }
        "panic" => {
            let worker = thread::Builder::new().name("worker".into()).spawn(|| panic!("oh no"));
            worker.expect("a thread can be had").join().expect_err("it panics");
        }
        "abort" => {
            std::panic::catch_unwind(|| panic!("the end")).expect_err("it panics");
            std::process::abort();
        }
        "flood" => (0..100_000).for_each(|number| tracing::info!(number, "flood")),
        _ => {}
    }
    assert!(log::flush(Duration::from_secs(30)), "the flush was cut short");
    // At once, as at the end of a short life: nothing may depend on what runs after a flush.
    std::process::exit(0);
}

fn play(scene: &str, variables: &[(&str, &str)]) -> Output {
    let binary = std::env::current_exe().expect("this test has a path");
    let mut command = Command::new(binary);
    command.args(["--exact", "child", "--nocapture"]).env(SCENE, scene);
    command.env_remove("JOURNAL_STREAM").env_remove("SYSTEMD_EXEC_PID").env_remove("DORMOUSE_LOG");
    command.envs(variables.iter().copied()).output().expect("it can be run")
}

/// The log without the times, one item a line.
fn lines_of(output: &Output) -> Vec<String> {
    assert_ne!(output.status.code(), Some(101), "{output:?}"); // the child's own assertions
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().map(|line| line.split_once("  ").expect("a time of day, two spaces").1.to_owned()).collect()
}

#[test]
fn people_see_every_line_up_to_the_last() {
    let lines = lines_of(&play("talk", &[]));
    assert_eq!(lines, ["awake  woken_by=127.0.0.1:4711 served=7", "warning: the last line"]);
}

#[test]
fn the_environment_sets_the_level() {
    assert_eq!(lines_of(&play("talk", &[("DORMOUSE_LOG", "debug")])).len(), 3);
    assert_eq!(lines_of(&play("talk", &[("DORMOUSE_LOG", "error")])), [""; 0]);
    let lines = lines_of(&play("quiet", &[("DORMOUSE_LOG", "dormouse=loud")]));
    assert!(lines[0].starts_with("warning: DORMOUSE_LOG="), "{lines:?}");
}

#[test]
fn a_panic_is_one_line_of_the_log() {
    let lines = lines_of(&play("panic", &[]));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("error: panic at tests/log.rs:"), "{lines:?}");
    assert!(lines[0].contains(": oh no  location=tests/log.rs:"), "{lines:?}");
    assert!(lines[0].ends_with(" thread=worker"), "{lines:?}");
}

#[test]
fn a_panic_that_ends_the_process_is_logged_too() {
    let output = play("abort", &[]);
    assert_eq!(output.status.code(), None, "{output:?}");
    assert!(lines_of(&output)[0].contains(": the end  location="), "{output:?}");
}

#[test]
fn a_flood_loses_no_count_and_not_its_last_line() {
    let lines = lines_of(&play("flood", &[]));
    let dropped = |line: &String| line.rsplit_once("dropped=")?.1.parse::<usize>().ok();
    let missing: usize = lines.iter().filter_map(dropped).sum();
    let written = lines.iter().filter(|line| line.starts_with("flood")).count();
    assert_eq!(written + missing, 100_000);
    assert_eq!(lines.last().map(String::as_str), Some("flood  number=99999"));
}

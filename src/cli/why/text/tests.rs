use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A look as a daemon gives it, 10 s after its last request.
fn quiet() -> Value {
    json!({
        "name": "dormouse", "socket_unit": "dormouse.socket", "runtime": "/run/dormouse/dormouse",
        "state": "awake", "phase": "serving", "pid": 42, "wakes": 2,
        "life": { "began": 1.7e9, "ready_in": 0.0012, "woken_by": "192.0.2.7:4711 on http", "served": 3, "noise": 1 },
        "held_by": [], "held_by_more": 0, "other_holds": 0, "idle_connections": 2,
        "sleep": { "after": 30.0, "min_awake": 2.0, "grace": 0.2, "drain": 20.0 },
        "last_counted": 10.0, "asleep_in": 20.0,
        "config": { "file": "/etc/dormouse/dormouse.toml", "problem": null },
        "history": [],
    })
}

fn lines(text: &str, name: &str) -> String {
    text.lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_else(|| panic!("no {name} in {text}"))
        .to_owned()
}

#[test]
fn when_it_sleeps_comes_with_the_setting_that_decides() {
    let mut look = quiet();
    assert!(lines(&render(&look), "Sleeps").ends_with(", and sleep.after is 30s"));
    look["asleep_in"] = 50.0.into();
    look["sleep"]["min_awake"] = 120.0.into();
    assert!(lines(&render(&look), "Sleeps").ends_with("at least sleep.min_awake, which is 2m"));
    look["last_counted"] = Value::Null;
    assert!(lines(&render(&look), "Sleeps").contains("no request that counts has come"));
    look["other_holds"] = 1.into();
    let text = render(&look);
    assert!(text.contains("Kept awake by:\n  and 1 other (background work, or a reload)\n"), "{text}");
    assert!(
        lines(&text, "Sleeps")
            .ends_with("not before all of that has ended, then after 30s of quiet (sleep.after)")
    );
    look["phase"] = "draining".into();
    let text = render(&look);
    assert!(text.starts_with("dormouse is stopping: pid 42") && text.contains("Waits for:"), "{text}");
    look["phase"] = "serving".into();
    look["sleep"]["after"] = Value::Null;
    assert!(lines(&render(&look), "Sleeps").contains("never: "));
}

#[test]
fn streams_that_may_sleep_stand_apart() {
    let mut look = quiet();
    look["held_by"] = json!([
        { "what": "stream", "method": "GET", "route": "/events", "peer": "192.0.2.7:1", "socket": "http",
          "age": 61.0, "doing": "open", "holds": "while-active" },
    ]);
    let text = render(&look);
    let (before, after) = text.split_once("These may sleep").expect("a part of its own");
    assert!(before.contains("Nothing keeps it awake") && after.contains("GET /events"), "{text}");
    assert!(lines(&text, "Sleeps").contains("sleep.after is 30s"), "it does not hold: {text}");
}

const MEMBERS: [&str; 16] = [
    "/phase",
    "/life",
    "/life/began",
    "/life/ready_in",
    "/life/served",
    "/held_by",
    "/held_by/0",
    "/held_by/0/age",
    "/other_holds",
    "/sleep",
    "/sleep/after",
    "/last_counted",
    "/asleep_in",
    "/config",
    "/history",
    "/history/0/awake_for",
];

proptest! {
    #[test]
    fn whatever_a_daemon_says_is_no_reason_to_panic(
        number in any::<f64>(), text in "\\PC*", is_number in any::<bool>(), state in 0..8_usize,
    ) {
        let states = ["awake", "asleep", "stopped", "killed", "never", "silent", "forbidden", "unknown"];
        for member in MEMBERS {
            let mut look = quiet();
            look["state"] = states[state].into();
            look["history"] = json!([{ "awake_for": 3.0 }]);
            look["held_by"] = json!([{ "age": 3.0, "holds": "yes" }]);
            let place = look.pointer_mut(member).expect("it is there");
            *place = if is_number { number.into() } else { text.clone().into() };
            let _ = render(&look);
        }
    }
}

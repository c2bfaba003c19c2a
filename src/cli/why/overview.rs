//! Several looks, one line each.

use std::time::SystemTime;

use serde_json::Value;

use super::text::{counted, end, str_of};
use super::when::{began, clock, ended, lasted};
use crate::cli::plain::{columns, shortened, span};

/// The most characters of what is told of each.
const WIDEST: usize = 96;

/// A table of all.
pub fn render(looks: &[Value]) -> String {
    let now = SystemTime::now();
    let heads = ["INSTANCE", "STATE", "SINCE", "WAKES", "WHY"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(heads).chain(looks.iter().map(|look| row(look, now))).collect();
    format!("{}\nAll of one: dormouse why NAME\n", columns("", &rows))
}

fn row(look: &Value, now: SystemTime) -> [String; 5] {
    let (life, state) = (&look["life"], str_of(look, "state"));
    let since = match state {
        "asleep" | "stopped" => ended(life),
        _ => began(life),
    };
    [
        str_of(look, "name").to_owned(),
        match state {
            "awake" if str_of(look, "phase") == "draining" => "stopping",
            "never" => "not run",
            state => state,
        }
        .to_owned(),
        since.map_or_else(|| "-".to_owned(), |at| clock(at, now)),
        look["wakes"].as_u64().map_or_else(|| "-".to_owned(), |wakes| wakes.to_string()),
        shortened(&why(look), WIDEST),
    ]
}

fn why(look: &Value) -> String {
    match str_of(look, "state") {
        "awake" => held(look),
        "asleep" | "stopped" | "killed" => end(&look["life"]),
        "never" => "nothing has come since boot".to_owned(),
        "forbidden" => "not for this user: use sudo, or join the group dormouse".to_owned(),
        _ => str_of(look, "reason").to_owned(),
    }
}

/// `2 requests, 1 stream`, or when it sleeps.
fn held(look: &Value) -> String {
    let all = look["held_by"].as_array().map_or(&[][..], Vec::as_slice);
    let held = all.iter().filter(|one| str_of(one, "holds") == "yes").map(|one| str_of(one, "what"));
    let mut kinds: Vec<(&str, u64)> = Vec::new();
    for what in held {
        match kinds.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => kinds.push((what, 1)),
        }
    }
    let others = look["other_holds"].as_u64().unwrap_or(0) + look["held_by_more"].as_u64().unwrap_or(0);
    if others > 0 {
        kinds.push(("other", others));
    }
    if !kinds.is_empty() {
        return kinds.iter().map(|(what, count)| counted(*count, what)).collect::<Vec<_>>().join(", ");
    }
    match lasted(&look["asleep_in"]) {
        Some(left) => format!("nothing now; asleep in {}", span(left)),
        None => "nothing now; never sleeps".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_is_one_line_that_says_why() {
        let request = json!({ "what": "request", "holds": "yes" });
        let stream = json!({ "what": "stream", "holds": "while-active" });
        let held = json!({
            "name": "blog", "state": "awake", "wakes": 3, "life": {}, "asleep_in": 1.5,
            "held_by": [request, request, stream], "other_holds": 1,
        });
        let quiet = json!({ "name": "wiki", "state": "awake", "held_by": [stream], "asleep_in": 1.5 });
        let asleep = json!({
            "name": "dormouse", "state": "asleep", "wakes": 12,
            "life": { "end": "asleep", "why": "quiet for 30.0 s" },
        });
        let never = json!({ "name": "x", "state": "never" });
        let forbidden = json!({ "name": "y", "state": "forbidden" });
        let killed = json!({ "name": "z", "state": "killed", "life": { "end": "lost", "why": "ended" } });
        assert_eq!(
            render(&[held, quiet, asleep, never, forbidden, killed]),
            "INSTANCE  STATE      SINCE  WAKES  WHY\n\
             blog      awake      -      3      2 requests, 1 other\n\
             wiki      awake      -      -      nothing now; asleep in 1.5 s\n\
             dormouse  asleep     -      12     asleep, quiet for 30.0 s\n\
             x         not run    -      -      nothing has come since boot\n\
             y         forbidden  -      -      not for this user: use sudo, or join the group dormouse\n\
             z         killed     -      -      ended\n\
             \nAll of one: dormouse why NAME\n"
        );
    }
}

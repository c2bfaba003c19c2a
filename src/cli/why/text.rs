//! One look, told to people.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::when::{began, clock, clock_and_age, ended, lasted, words};
use crate::cli::plain::{columns, shortened, span};
use crate::schema::duration;

/// When there is no dormouse on this machine.
pub const NONE: &str = "There is no dormouse here: nothing in /run/dormouse, and no config in /etc/dormouse.\n\
                        One that was started by hand is asked with --runtime DIR.\n";

/// The most characters of a route, a peer or a reason in a column.
const WIDEST: usize = 48;

/// All there is to tell.
pub fn render(look: &Value) -> String {
    let now = SystemTime::now();
    let mut text = match str_of(look, "state") {
        "awake" => awake(look, now),
        "asleep" | "stopped" | "killed" => gone(look, now),
        _ => nothing(look),
    };
    text.push_str(&history(look, now));
    text
}

fn awake(look: &Value, now: SystemTime) -> String {
    let life = &look["life"];
    let state = match str_of(look, "phase") {
        "draining" => "stopping",
        "closing" => "falling asleep",
        _ => "awake",
    };
    let since = began(life).map_or_else(String::new, |at| format!(", since {}", clock_and_age(at, now)));
    let mut text = format!("{} is {state}: pid {}{since}\n\n", title(look), look["pid"]);
    text.push_str(&holders(look));
    let mut facts = vec![fact("Sleeps", sleeps(look, now))];
    facts.extend(facts_of(look));
    if let Some(idle @ 1..) = look["idle_connections"].as_u64() {
        facts.push(fact("Idle", format!("{}: they keep nothing awake", counted(idle, "open connection"))));
    }
    facts.push(fact("Config", config(look)));
    text + &columns("", &facts)
}

/// What holds it, one line each.
fn holders(look: &Value) -> String {
    let all = look["held_by"].as_array().map_or(&[][..], Vec::as_slice);
    let (held, let_go): (Vec<_>, Vec<_>) = all.iter().partition(|holder| str_of(holder, "holds") == "yes");
    let others = look["other_holds"].as_u64().unwrap_or(0);
    let more = look["held_by_more"].as_u64().unwrap_or(0);
    let mut text = String::new();
    if held.is_empty() && others + more == 0 {
        text.push_str("Nothing keeps it awake at this moment.\n");
    } else {
        let reason = if str_of(look, "phase") == "draining" { "Waits for" } else { "Kept awake by" };
        let _ = writeln!(text, "{reason}:");
        text.push_str(&table(&held));
    }
    for (count, what) in [(more, "more like these"), (others, "other (background work, or a reload)")] {
        if count > 0 {
            let _ = writeln!(text, "  and {count} {what}");
        }
    }
    if !let_go.is_empty() {
        text.push_str("These may sleep: they wait quietly, or `keeps_awake` of their route says so:\n");
        text.push_str(&table(&let_go));
    }
    text.push('\n');
    text
}

fn table(holders: &[&Value]) -> String {
    if holders.is_empty() {
        return String::new();
    }
    let heads = ["WHAT", "ROUTE", "FROM", "SOCKET", "FOR", "DOING"].map(str::to_owned);
    let row = |holder: &&Value| {
        let route = [str_of(holder, "method"), str_of(holder, "route")];
        let route = route.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        [
            str_of(holder, "what").to_owned(),
            shortened(if route.is_empty() { "-" } else { &route }, WIDEST),
            shortened(str_of(holder, "peer"), WIDEST),
            shortened(str_of(holder, "socket"), WIDEST),
            words(&holder["age"]),
            str_of(holder, "doing").to_owned(),
        ]
    };
    columns("  ", &std::iter::once(heads).chain(holders.iter().map(row)).collect::<Vec<_>>())
}

/// When it falls asleep, and by which setting.
fn sleeps(look: &Value, now: SystemTime) -> String {
    let sleep = &look["sleep"];
    let setting = |name: &str| lasted(&sleep[name]).map(duration::text).unwrap_or_default();
    let (after, min_awake) = (setting("after"), setting("min_awake"));
    if str_of(look, "phase") == "draining" {
        return format!(
            "it leaves once all of that is answered, or is cut when sleep.drain ({}) is over",
            setting("drain")
        );
    }
    let Some(quiet) = lasted(&sleep["after"]) else {
        return "never: sleep.after is \"never\", or no socket came from systemd, so that nobody would wake it"
            .to_owned();
    };
    let is_held = look["other_holds"].as_u64().unwrap_or(0) + look["held_by_more"].as_u64().unwrap_or(0) > 0
        || look["held_by"].as_array().is_some_and(|all| all.iter().any(|one| str_of(one, "holds") == "yes"));
    if is_held {
        return format!("not before all of that has ended, then after {after} of quiet (sleep.after)");
    }
    let left = lasted(&look["asleep_in"]).unwrap_or_default();
    let at = format!("at {}, in {}", clock(now + left, now), span(left));
    match lasted(&look["last_counted"]) {
        // Else it is too young still.
        Some(counted) if left <= quiet.saturating_sub(counted) + Duration::from_millis(1) => {
            let since = clock(now.checked_sub(counted).unwrap_or(now), now);
            format!("{at}: no request since {since}, and sleep.after is {after}")
        }
        Some(_) => format!("{at}: it stays at least sleep.min_awake, which is {min_awake}"),
        None => format!("{at}: no request that counts has come, and sleep.min_awake is {min_awake}"),
    }
}

/// Of a running one and of a past one: who woke it, and what it did.
fn facts_of(look: &Value) -> [[String; 2]; 2] {
    let life = &look["life"];
    let wakes = look["wakes"].as_u64().unwrap_or(0);
    let woken = match life["woken_by"].as_str() {
        Some(by) => shortened(by, 2 * WIDEST),
        None => "nobody: it was started by hand, or whoever came was gone".to_owned(),
    };
    let ready = words(&life["ready_in"]);
    [
        fact("Woken by", format!("{woken}; ready after {ready}; {} since boot", counted(wakes, "wake"))),
        fact("Served", served(life)),
    ]
}

fn served(life: &Value) -> String {
    let served = counted(life["served"].as_u64().unwrap_or(0), "request");
    match life["noise"].as_u64().unwrap_or(0) {
        0 => served,
        noise => {
            format!("{served}; {noise} more did not count (probes, refusals such as 404, silent connections)")
        }
    }
}

fn config(look: &Value) -> String {
    let file = str_of(&look["config"], "file");
    match look["config"]["problem"].as_str() {
        Some(problem) => format!("{problem} - what is served instead: the last good one, or 503"),
        None => file.to_owned(),
    }
}

fn gone(look: &Value, now: SystemTime) -> String {
    let (name, life) = (title(look), &look["life"]);
    let why = str_of(life, "why");
    let at = |time: Option<SystemTime>| time.map_or_else(|| "?".to_owned(), |time| clock_and_age(time, now));
    let (began, ended) = (at(began(life)), at(ended(life)));
    let mut text = match (str_of(look, "state"), str_of(life, "end")) {
        ("asleep", _) => format!("{name} is asleep since {ended}: it had been {why}\n"),
        ("killed", _) => format!("{name} does not run: it woke at {began} and {why}\n"),
        (_, "overdue") => {
            format!("{name} was stopped by {why} at {ended}: at the end of sleep.drain the rest was cut\n")
        }
        (_, "cut") => format!("{name} was stopped by a second {why} at {ended}, which cut what still ran\n"),
        _ => format!("{name} was stopped by {why} at {ended}\n"),
    };
    text.push_str(&waker(look));
    text.push('\n');
    let mut facts = Vec::new();
    if str_of(look, "state") != "killed" {
        facts.push(fact("Was awake", format!("{}, since {began}", words(&life["awake_for"]))));
    }
    facts.extend(facts_of(look));
    if str_of(look, "state") == "killed" {
        facts.pop(); // what it served was not told
    }
    text + &columns("", &facts)
}

/// What would wake it.
fn waker(look: &Value) -> String {
    match (look["socket_unit"].as_str(), str_of(look, "state")) {
        (Some(unit), "asleep") => {
            format!("Nothing runs; the next connection to {unit} wakes it. Asking does not.\n")
        }
        (Some(unit), _) => format!(
            "The next connection wakes it if {unit} is active (systemctl status {unit}). Asking does not.\n"
        ),
        (None, _) => {
            "The next connection wakes it if its sockets are still held. Asking does not.\n".to_owned()
        }
    }
}

/// States without a story.
fn nothing(look: &Value) -> String {
    let (name, runtime, reason) = (title(look), str_of(look, "runtime"), str_of(look, "reason"));
    match str_of(look, "state") {
        "never" => {
            format!("{name} has not run since boot: nothing is recorded in {runtime}\n{}", waker(look))
        }
        "silent" => format!("{name} runs, but cannot be asked: {reason}\n"),
        "forbidden" => format!(
            "{name}: this user may not look into {runtime}; use sudo, or join the group dormouse\n\
             (usermod --append --groups dormouse USER, then log in again)\n"
        ),
        _ => format!("{name} does not run, and its last story is lost: {reason}\n{}", waker(look)),
    }
}

/// The lives before, the newest first.
fn history(look: &Value, now: SystemTime) -> String {
    let lives = look["history"].as_array().map_or(&[][..], Vec::as_slice);
    if lives.is_empty() {
        return String::new();
    }
    let heads =
        ["WOKE", "WOKEN BY", "READY IN", "AWAKE FOR", "SERVED", "NOT COUNTED", "ENDED"].map(str::to_owned);
    let row = |life: &Value| {
        let is_lost = str_of(life, "end") == "lost";
        let unless_lost = |text: String| if is_lost { "?".to_owned() } else { text };
        [
            began(life).map_or_else(|| "?".to_owned(), |at| clock(at, now)),
            shortened(life["woken_by"].as_str().unwrap_or("-"), WIDEST),
            words(&life["ready_in"]),
            unless_lost(words(&life["awake_for"])),
            unless_lost(life["served"].to_string()),
            unless_lost(life["noise"].to_string()),
            shortened(&end(life), WIDEST),
        ]
    };
    let rows: Vec<_> = std::iter::once(heads).chain(lives.iter().map(row)).collect();
    format!("\nBefore that, the newest first:\n{}", columns("  ", &rows))
}

/// How a life ended, in a few words.
pub fn end(life: &Value) -> String {
    let why = str_of(life, "why");
    match str_of(life, "end") {
        "asleep" => format!("asleep, {why}"),
        "stopped" => format!("stopped by {why}"),
        "overdue" => format!("stopped by {why}, drain overdue"),
        "cut" => format!("cut by a second {why}"),
        _ => why.to_owned(),
    }
}

/// What it is called at the beginning of a sentence: as its unit, or by its folder.
fn title(look: &Value) -> String {
    match look["socket_unit"].as_str() {
        Some(unit) => unit.trim_end_matches(".socket").to_owned(),
        None => format!("dormouse in {}", str_of(look, "runtime")),
    }
}

fn fact(name: &str, text: String) -> [String; 2] {
    [name.to_owned(), text]
}

/// `1 request`, `2 requests`.
pub fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A member that is text; empty when it is not there.
pub fn str_of<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;

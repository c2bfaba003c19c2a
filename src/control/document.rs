//! The answer to `why`: what a dormouse that runs says of itself, as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::VERSION;
use crate::app::Sight;
use crate::carry::document::{life_to_json, seconds};
use crate::lifecycle::{End, Life, Sleep};
use crate::process::Seen;
use crate::schema::duration;
use crate::server::{Account, Holder, KeepsAwake, What};

/// What the document is made of.
pub struct Parts<'a> {
    /// The engine now.
    pub account: &'a Account,
    /// The apps that are not asleep; each has a hold.
    pub apps: &'a [Sight],
    /// The programs that run for requests and jobs; each has a hold.
    pub programs: &'a [Seen],
    /// The queues whose jobs wait or run; each has a hold.
    pub queues: &'a [String],
    /// The lives since boot that are remembered, oldest first, this one last.
    pub lives: &'a [Life],
    /// The config file.
    pub config: String,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// Makes the document. The question that it answers is none of its holds.
pub fn document(parts: &Parts<'_>) -> Value {
    let Parts { account, apps, programs, queues, lives, config, problem } = parts;
    let snapshot = &account.snapshot;
    let ours = apps.len() + programs.len() + queues.len();
    json!({
        "version": VERSION,
        "state": "awake",
        "pid": std::process::id(),
        "phase": snapshot.phase,
        "life": lives.last().map(|life| running(life, account)),
        "wakes": snapshot.wakes,
        "held_by": held_by(parts),
        "held_by_more": account.more,
        "other_holds": account.other_holds.saturating_sub(1 + ours as u64),
        "idle_connections": snapshot.idle,
        "sleep": sleep(&account.sleep),
        "last_counted": account.last_counted.map(seconds),
        "asleep_in": snapshot.asleep_in.map(seconds),
        "config": { "file": config, "problem": problem },
        "history": history(lives.iter().filter(|life| life.end != End::Running)),
    })
}

fn held_by(parts: &Parts<'_>) -> Vec<Value> {
    let holders = parts.account.holders.iter().map(holder);
    let programs = parts.programs.iter().map(program);
    holders
        .chain(parts.apps.iter().map(app))
        .chain(programs)
        .chain(parts.queues.iter().map(|name| queue(name)))
        .collect()
}

/// The newest first.
pub fn history<'a>(lives: impl DoubleEndedIterator<Item = &'a Life>) -> Value {
    lives.rev().map(life_to_json).collect()
}

/// This life, with the figures that the engine has now.
fn running(life: &Life, account: &Account) -> Value {
    let mut life = life.clone();
    life.awake_for = account.snapshot.uptime;
    life.quiet_for = account.last_counted.unwrap_or(life.awake_for);
    life.figures.served = account.snapshot.served;
    life.figures.noise = account.snapshot.noise;
    let mut life = life_to_json(&life);
    if let Value::Object(members) = &mut life {
        // As they were when it was last written.
        for stale in ["accepted", "datagrams", "late_bytes"] {
            members.remove(stale);
        }
    }
    life
}

fn holder(holder: &Holder) -> Value {
    json!({
        "what": match holder.what {
            What::New => "new connection",
            What::Head => "incomplete request",
            What::Request => "request",
            What::Stream => "stream",
            What::Upgrade => "upgraded connection",
            What::Closing => "closing connection",
        },
        "method": holder.method,
        "route": holder.route.as_deref(),
        "peer": holder.peer,
        "socket": holder.socket,
        "age": seconds(holder.age),
        "doing": holder.doing,
        "holds": match holder.keeps_awake {
            KeepsAwake::Yes => "yes",
            KeepsAwake::WhileActive => "while-active",
            KeepsAwake::No => "no",
        },
    })
}

fn app(app: &Sight) -> Value {
    let requests = |count: usize| format!("{count} request{}", if count == 1 { "" } else { "s" });
    let doing = match (app.phase, app.sleeps_in) {
        ("starting", _) if app.waiting > 0 => {
            format!("starting, {} wait{}", requests(app.waiting), if app.waiting == 1 { "s" } else { "" })
        }
        ("up", _) if app.is_busy => "up, busy by its own word".to_owned(),
        ("up", Some(rest)) => format!("up, stopped in {} if nobody asks", length(rest)),
        ("up", None) if app.in_use > 0 => format!("up, in use by {}", requests(app.in_use)),
        ("up", None) => "up, and never stopped (sleep_after)".to_owned(),
        (phase, _) => phase.to_owned(),
    };
    ours("app", &app.name, Some(app.age), &doing)
}

fn program(seen: &Seen) -> Value {
    ours(seen.what, &seen.route, Some(seen.age), "runs")
}

fn queue(name: &str) -> Value {
    ours("queue", name, None, "has jobs that wait or run")
}

/// Something that is nobody's connection.
fn ours(what: &str, route: &str, age: Option<Duration>, doing: &str) -> Value {
    json!({
        "what": what,
        "method": null,
        "route": route,
        "peer": "-",
        "socket": "-",
        "age": age.map(seconds),
        "doing": doing,
        "holds": "yes",
    })
}

/// To the second, where a second matters no more.
fn length(length: Duration) -> String {
    match length.as_secs() {
        ..60 => format!("{:.1} s", length.as_secs_f64()),
        secs => duration::text(Duration::from_secs(secs)),
    }
}

fn sleep(sleep: &Sleep) -> Value {
    json!({
        "after": sleep.after.map(seconds),
        "min_awake": seconds(sleep.min_awake),
        "grace": seconds(sleep.grace),
        "drain": seconds(sleep.drain),
    })
}

//! The answer to `why`: what a dormouse that runs says of itself, as JSON.

use serde_json::{Value, json};

use super::VERSION;
use crate::carry::document::{life_to_json, seconds};
use crate::lifecycle::{End, Life, Sleep};
use crate::server::{Account, Holder, KeepsAwake, What};

/// What the document is made of.
pub struct Parts<'a> {
    /// The engine now.
    pub account: &'a Account,
    /// The lives since boot that are remembered, oldest first, this one last.
    pub lives: &'a [Life],
    /// The config file.
    pub config: String,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// Makes the document. The question that it answers is none of its holds.
pub fn document(parts: &Parts<'_>) -> Value {
    let Parts { account, lives, config, problem } = parts;
    let snapshot = &account.snapshot;
    json!({
        "version": VERSION,
        "state": "awake",
        "pid": std::process::id(),
        "phase": snapshot.phase,
        "life": lives.last().map(|life| running(life, account)),
        "wakes": snapshot.wakes,
        "held_by": account.holders.iter().map(holder).collect::<Vec<_>>(),
        "held_by_more": account.more,
        "other_holds": account.other_holds.saturating_sub(1),
        "idle_connections": snapshot.idle,
        "sleep": sleep(&account.sleep),
        "last_counted": account.last_counted.map(seconds),
        "asleep_in": snapshot.asleep_in.map(seconds),
        "config": { "file": config, "problem": problem },
        "history": history(lives.iter().filter(|life| life.end != End::Running)),
    })
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

fn sleep(sleep: &Sleep) -> Value {
    json!({
        "after": sleep.after.map(seconds),
        "min_awake": seconds(sleep.min_awake),
        "grace": seconds(sleep.grace),
        "drain": seconds(sleep.drain),
    })
}

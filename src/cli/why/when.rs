//! Times and lengths of a look's JSON, for people.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::carry::document::{length, moment};
use crate::cli::plain::span;
use crate::lifecycle::time_of_day::{day, time_of_day};

/// A number of seconds as a length of time.
pub fn lasted(value: &Value) -> Option<Duration> {
    length(value.as_f64()?)
}

/// The same in words; `?` when it is not there.
pub fn words(value: &Value) -> String {
    lasted(value).map_or_else(|| "?".to_owned(), span)
}

/// When the life began.
pub fn began(life: &Value) -> Option<SystemTime> {
    moment(life["began"].as_f64()?)
}

/// When the life ended, as far as it was told.
pub fn ended(life: &Value) -> Option<SystemTime> {
    began(life)?.checked_add(lasted(&life["ready_in"])?)?.checked_add(lasted(&life["awake_for"])?)
}

/// `14:02:57` on the day of `now`, else `2026-11-21 14:02:57`.
pub fn clock(at: SystemTime, now: SystemTime) -> String {
    match (day(at), day(now)) {
        (Some(then), Some(today)) if then != today => format!("{then} {}", time_of_day(at)),
        _ => time_of_day(at).to_string(),
    }
}

/// `14:02:57 (5 min 3 s ago)`.
pub fn clock_and_age(at: SystemTime, now: SystemTime) -> String {
    let age = now.duration_since(at).unwrap_or_default();
    let age = match age.as_secs() {
        0 => "just now".to_owned(),
        secs @ 1..60 => format!("{secs} s ago"),
        _ => format!("{} ago", span(age)),
    };
    format!("{} ({age})", clock(at, now))
}

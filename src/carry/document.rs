//! What the carry-over file says, and its bytes. Pure.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::lifecycle::{End, Figures, Life};

/// The version this program writes, and the only one it reads.
pub const VERSION: u64 = 1;

/// How many lives are remembered.
pub const MOST_LIVES: usize = 20;

/// The most characters of a text in it: who woke it, and why it ended.
const LONGEST_TEXT: usize = 200;

/// What is carried from one life to the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// Wakes since boot, the last life's included.
    pub wakes: u64,
    /// The last lives, oldest first.
    pub lives: VecDeque<Life>,
    /// Members that this program does not know, kept as they are.
    pub(super) others: Map<String, Value>,
}

/// Why bytes are no such document.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No JSON, or cut off.
    #[error("is damaged ({0})")]
    Damaged(String),
    /// Made by another version.
    #[error("is of version {0}, and this dormouse reads version {VERSION}")]
    Version(String),
}

impl Document {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let value: Value =
            serde_json::from_slice(bytes).map_err(|error| Fault::Damaged(error.to_string()))?;
        let Value::Object(mut members) = value else {
            return Err(Fault::Damaged("it is no JSON object".to_owned()));
        };
        match members.remove("version") {
            Some(version) if version == VERSION => {}
            Some(version) => return Err(Fault::Version(version.to_string().chars().take(20).collect())),
            None => return Err(Fault::Damaged("it has no \"version\"".to_owned())),
        }
        let wakes = members.remove("wakes").and_then(|wakes| wakes.as_u64());
        let wakes = wakes.ok_or_else(|| Fault::Damaged("\"wakes\" is no number".to_owned()))?;
        let Some(Value::Array(lives)) = members.remove("lives") else {
            return Err(Fault::Damaged("\"lives\" is no list".to_owned()));
        };
        let beyond = lives.len().saturating_sub(MOST_LIVES);
        let lives = lives.iter().skip(beyond).map(life_from_json).collect::<Option<_>>();
        let lives = lives.ok_or_else(|| Fault::Damaged("one of its \"lives\" is not whole".to_owned()))?;
        Ok(Self { wakes, lives, others: members })
    }

    /// Its bytes.
    pub fn render(&self) -> String {
        let mut members = self.others.clone();
        members.insert("version".to_owned(), VERSION.into());
        members.insert("wakes".to_owned(), self.wakes.into());
        members.insert("lives".to_owned(), self.lives.iter().map(life_to_json).collect());
        format!("{}\n", Value::Object(members))
    }

    /// Counts a wake. A life that still runs cannot: its process is gone, without a word.
    pub fn begin(&mut self) {
        self.wakes = self.wakes.saturating_add(1);
        self.settle();
    }

    /// What runs according to the file has ended without a word.
    pub fn settle(&mut self) {
        for life in &mut self.lives {
            if life.end == End::Running {
                life.end = End::Lost;
                life.why = "ended without a word (killed or crashed)".to_owned();
            }
        }
    }

    /// Notes the life under way, in the place of what was noted of it before.
    pub(super) fn note(&mut self, life: &Life, is_first: bool) {
        if !is_first {
            self.lives.pop_back();
        }
        self.lives.push_back(life.clone());
        while self.lives.len() > MOST_LIVES {
            self.lives.pop_front();
        }
    }

    /// The same without what this program does not know.
    pub(super) fn without_others(&self) -> Self {
        Self { others: Map::new(), ..self.clone() }
    }
}

/// One life, as the file and `dormouse why --json` have it. Times are seconds: its beginning since 1970, to the
/// millisecond, the others to the microsecond.
pub fn life_to_json(life: &Life) -> Value {
    let Figures { served, noise, accepted, datagrams, late_bytes } = life.figures;
    json!({
        "pid": life.pid,
        "began": began(life),
        "woken_by": life.woken_by.as_deref().map(shortened),
        "ready_in": seconds(life.ready_in),
        "awake_for": seconds(life.awake_for),
        "quiet_for": seconds(life.quiet_for),
        "served": served,
        "noise": noise,
        "accepted": accepted,
        "datagrams": datagrams,
        "late_bytes": late_bytes,
        "end": life.end.name(),
        "why": shortened(&life.why),
    })
}

/// What [`life_to_json`] wrote; `None` when it is not whole.
pub fn life_from_json(value: &Value) -> Option<Life> {
    let number = |name: &str| value.get(name)?.as_u64();
    let seconds = |name: &str| length(value.get(name)?.as_f64()?);
    let end = value.get("end")?.as_str()?;
    Some(Life {
        pid: number("pid")?.try_into().ok()?,
        began: moment(value.get("began")?.as_f64()?)?,
        woken_by: value.get("woken_by")?.as_str().map(shortened),
        ready_in: seconds("ready_in")?,
        awake_for: seconds("awake_for")?,
        quiet_for: seconds("quiet_for")?,
        figures: Figures {
            served: number("served")?,
            noise: number("noise")?,
            accepted: number("accepted")?,
            datagrams: number("datagrams")?,
            late_bytes: number("late_bytes")?,
        },
        end: End::ALL.into_iter().find(|known| known.name() == end)?,
        why: shortened(value.get("why")?.as_str()?),
    })
}

/// A length of time as a number of seconds, to the microsecond.
pub fn seconds(length: Duration) -> f64 {
    (length.as_secs_f64() * 1e6).round() / 1e6
}

/// What [`seconds`] wrote; `None` for what is no length of time.
pub fn length(seconds: f64) -> Option<Duration> {
    // Not by way of a fraction of a second, which has no exact form.
    (seconds >= 0.0).then(|| Duration::from_micros((seconds * 1e6).round() as u64))
}

fn began(life: &Life) -> f64 {
    let since_epoch = life.began.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since_epoch.as_secs_f64() * 1e3).round() / 1e3
}

/// A moment from its seconds since 1970.
pub fn moment(seconds: f64) -> Option<SystemTime> {
    let since_epoch = (seconds >= 0.0).then(|| Duration::from_millis((seconds * 1e3).round() as u64))?;
    UNIX_EPOCH.checked_add(since_epoch)
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

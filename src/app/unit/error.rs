//! What can be wrong with a unit's name, and why one does not start or stop.

use std::fmt;
use std::io;
use std::time::Duration;

use super::Facts;
use super::rule::{Rule, USER, rule_for};
use super::systemctl::Said;

/// The longest name systemd takes, in bytes.
const LONGEST: usize = 255;

/// Why a name is none of a service that can be started (systemd.unit(5)).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Another kind of unit, or a name without its ending.
    #[error(
        "{name:?} is not the name of a service; write it in full, for example \"dormouse-app-wiki.service\""
    )]
    NoService {
        /// What was given.
        name: String,
    },
    /// A character that no name has.
    #[error("{character:?} cannot be in the name of a unit, only letters, digits and any of :-_.\\@ can")]
    Character {
        /// The first of them.
        character: char,
    },
    /// A template, which is no unit.
    #[error("{name:?} is a template; name an instance of it, for example {example:?}")]
    Template {
        /// What was given.
        name: String,
        /// An instance.
        example: String,
    },
    /// Nothing before `@` or `.service`.
    #[error("{name:?} is the name of a unit without a beginning")]
    Empty {
        /// What was given.
        name: String,
    },
    /// dormouse's own.
    #[error("{name:?} is dormouse itself, which cannot start and stop itself as an app")]
    Own {
        /// What was given.
        name: String,
    },
    /// Longer than systemd takes.
    #[error("the name of a unit has at most {LONGEST} bytes, this one has {length}")]
    Long {
        /// Its length in bytes.
        length: usize,
    },
}

/// What dormouse asks systemd to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// To start a unit.
    Start,
    /// To stop it.
    Stop,
    /// To tell about it.
    Show,
}

impl Verb {
    /// As `systemctl` has it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Show => "show",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.word())
    }
}

/// Why a unit was not started, stopped or looked at.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// polkit does not let us.
    #[error("systemd does not let dormouse {verb} {unit}: {}", way_out(unit, id))]
    Refused {
        /// Its name.
        unit: Box<str>,
        /// The name systemd knows it by, another one if `unit` is an alias.
        id: String,
        /// What was asked for.
        verb: Verb,
    },
    /// systemd finds no such unit.
    #[error(
        "systemd knows no {unit}; is its file in /etc/systemd/system, and was `systemctl daemon-reload` run since?"
    )]
    NotFound {
        /// Its name.
        unit: Box<str>,
    },
    /// No systemctl, no D-Bus, or no systemd behind it.
    #[error("cannot ask systemd about {unit}: {said}; it wants `systemctl` and the system bus (dbus.socket)")]
    Unreachable {
        /// Its name.
        unit: Box<str>,
        /// What is missing.
        said: String,
    },
    /// systemd tried, and it came to nothing.
    #[error("{unit} did not {verb}: {said}{}; see `journalctl -u {unit}`", in_brackets(result))]
    Job {
        /// Its name.
        unit: Box<str>,
        /// What was asked for.
        verb: Verb,
        /// What systemctl says.
        said: String,
        /// `Result` of org.freedesktop.systemd1(5): `exit-code`, `timeout`, ...; `success` when it was not the unit's fault.
        result: String,
    },
    /// We did not wait longer; systemd may.
    #[error("{unit} did not {verb} within {} s; systemd may still be at it", limit.as_secs_f32())]
    Overdue {
        /// Its name.
        unit: Box<str>,
        /// What was asked for.
        verb: Verb,
        /// How long we waited.
        limit: Duration,
    },
    /// Anything else systemd has to say: masked, a bad unit file, may not be started by hand.
    #[error("systemd could not {verb} {unit}: {said}")]
    Other {
        /// Its name.
        unit: Box<str>,
        /// What was asked for.
        verb: Verb,
        /// What systemctl says.
        said: String,
    },
}

impl UnitError {
    /// systemctl did not come to an end.
    pub(super) fn of_call(error: io::Error, unit: &str, verb: Verb, limit: Duration) -> Self {
        let unit = unit.into();
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Overdue { unit, verb, limit },
            io::ErrorKind::NotFound => Self::Unreachable { unit, said: "there is no `systemctl`".to_owned() },
            _ => Self::Unreachable { unit, said: error.to_string() },
        }
    }

    /// systemctl failed. Its exit status tells a refusal by polkit apart neither from others nor always, so what it says
    /// counts, which has been the same from systemd 252 to 262.
    pub(super) fn of_job(said: &Said, unit: &str, verb: Verb, facts: &Facts) -> Self {
        let is_refused =
            ["Access denied", "nteractive authentication"].iter().any(|it| said.err.contains(it));
        let is_job = said.err.contains(&format!("ob for {unit}")); // "Job for", "A dependency job for"
        let (unit, id, result): (Box<str>, _, _) = (unit.into(), facts.id.clone(), facts.result.clone());
        match without_name(said.why(), &unit, verb) {
            // Asked first, polkit refuses what is not there, too.
            _ if facts.load == "not-found" => Self::NotFound { unit },
            _ if is_refused => Self::Refused { unit, id, verb },
            said if is_job => Self::Job { unit, verb, said, result },
            said => Self::Other { unit, verb, said },
        }
    }
}

/// Our own messages say whom it is about.
fn without_name(said: String, unit: &str, verb: Verb) -> String {
    let heads = [format!("Failed to {verb} {unit}: "), format!("Job for {unit} ")];
    heads.iter().find_map(|head| said.strip_prefix(head.as_str())).map_or_else(|| said.clone(), str::to_owned)
}

fn in_brackets(result: &str) -> String {
    if matches!(result, "" | "success") { String::new() } else { format!(" ({result})") }
}

fn way_out(unit: &str, id: &str) -> String {
    if !id.is_empty() && id != unit {
        return format!("it is an alias of {id}, and polkit is asked about that one; name {id} instead");
    }
    match rule_for(unit, USER) {
        None => "install polkit; the rule for it is in /usr/share/polkit-1/rules.d/50-dormouse.rules, \
                 for dormouse running as the user dormouse"
            .to_owned(),
        Some(Rule { file, .. }) => format!("it wants the polkit rule {file}, which `dormouse check` prints"),
    }
}

/// Whether that is the name of a service that can be started: `unit_name_is_valid` of systemd, less templates and
/// dormouse's own.
pub(super) fn check_name(name: &str) -> Result<(), NameError> {
    let is_valid = |character: char| character.is_ascii_alphanumeric() || ":-_.\\@".contains(character);
    if let Some(character) = name.chars().find(|character| !is_valid(*character)) {
        return Err(NameError::Character { character });
    }
    if name.len() > LONGEST {
        return Err(NameError::Long { length: name.len() });
    }
    let Some(stem) = name.strip_suffix(".service") else {
        return Err(NameError::NoService { name: name.to_owned() });
    };
    match stem.split_once('@') {
        _ if stem.is_empty() => Err(NameError::Empty { name: name.to_owned() }),
        Some(("", _)) => Err(NameError::Empty { name: name.to_owned() }),
        Some((prefix, "")) => {
            let example = format!("{prefix}@one.service");
            Err(NameError::Template { name: name.to_owned(), example })
        }
        Some(("dormouse", _)) => Err(NameError::Own { name: name.to_owned() }),
        None if stem == "dormouse" => Err(NameError::Own { name: name.to_owned() }),
        _ => Ok(()),
    }
}

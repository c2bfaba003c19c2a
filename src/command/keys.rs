//! The keys of a route that runs a command.

use crate::schema::{Key, Kind};

/// `allow`.
pub const ALLOW: Key = Key::new(
    "allow",
    Kind::Map,
    "What placeholders of the command may stand for: their names without braces, and patterns (regular expressions) for \
     the whole value. Any other value is answered 400. Only what has a pattern may begin an argument with a dash.",
)
.example(r#"{ "json.ref" = "refs/heads/[a-z0-9]+" }"#);
/// `when`.
pub const WHEN: Key = Key::new(
    "when",
    Kind::Map,
    "Runs only if these have values, and these patterns fit the whole of them; otherwise nothing runs, and the answer is \
     204. Names and patterns are those of `allow`.",
)
.example(r#"{ "header.X-GitHub-Event" = "push" }"#);
/// `env`.
pub const ENV: Key = Key::new(
    "env",
    Kind::Map,
    "Its environment, beside PATH, HOME, USER, LANG and what CGI/1.1 says of the request. It gets nothing else of \
     dormouse's.",
)
.example(r#"{ GIT_PROJECT_ROOT = "/srv/git" }"#);
/// `dir`.
pub const DIR: Key =
    Key::new("dir", Kind::Path, "Where it runs, and its HOME; by default the state directory.")
        .example("/srv/deploy");
/// `nice`.
pub const NICE: Key = Key::new(
    "nice",
    Kind::Integer { least: -20, most: 19 },
    "How much it lets others go first, as nice(1) counts; less than dormouse itself needs a right (LimitNICE=). The sandbox \
     of the unit allows it with programs.conf only.",
)
.example("10");

/// All of them.
pub const KEYS: [Key; 5] = [ALLOW, WHEN, ENV, DIR, NICE];

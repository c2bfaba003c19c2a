//! polkit rules, which let dormouse start and stop units though it is no root.

use std::fmt;
use std::fmt::Write;

/// The rule that is shipped is for this user.
pub const USER: &str = "dormouse";

/// A file with a polkit rule, for an administrator to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where it goes.
    pub file: String,
    /// What it says.
    pub content: String,
}

/// As it would be typed: where, then what.
impl fmt::Display for Rule {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "# {}\n{}", self.file, self.content)
    }
}

/// The rule by which a dormouse that runs as `user` may start and stop `unit`; `None` if the shipped one does.
///
/// The shipped rule, `systemd/50-dormouse.rules`, says why it compares the message.
pub fn rule_for(unit: &str, user: &str) -> Option<Rule> {
    if user == USER && is_covered(unit) {
        return None;
    }
    let stem = unit.strip_suffix(".service").unwrap_or(unit);
    let owner = if user == USER { String::new() } else { format!("{}-", file_name(user)) };
    let content = format!(
        r#"// Lets {comment} start and stop one unit.
polkit.addRule(function (action, subject) {{
    var verb = action.lookup("verb");
    if (action.id === "org.freedesktop.systemd1.manage-units" &&
        subject.user === {user} &&
        (verb === "start" || verb === "stop") &&
        action.lookup("unit") === {unit} &&
        action.lookup("polkit.message") === "Authentication is required to " + verb + " '$(unit)'.") {{
        return polkit.Result.YES;
    }}
}});
"#,
        comment = user.escape_default(), // it may hold no end of line
        user = literal(user),
        unit = literal(unit),
    );
    let file = format!("/etc/polkit-1/rules.d/50-dormouse-{owner}{}.rules", file_name(stem));
    Some(Rule { file, content })
}

/// Whether the shipped rule is for that unit: `dormouse-app-*.service`, without instances.
fn is_covered(unit: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":_.-".contains(&byte);
    let name = unit.strip_prefix("dormouse-app-").and_then(|rest| rest.strip_suffix(".service"));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(is_plain))
}

/// A JavaScript string literal.
fn literal(text: &str) -> String {
    let mut literal = String::from("\"");
    for unit in text.encode_utf16() {
        match char::from_u32(unit.into()) {
            Some(plain @ ' '..='~') if plain != '"' && plain != '\\' => literal.push(plain),
            // Everything else by its number, as \u has it.
            _ => {
                let _ = write!(literal, "\\u{unit:04x}");
            }
        }
    }
    literal.push('"');
    literal
}

/// As part of a file's name, for people to know it by.
fn file_name(text: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() || "-_.".contains(character) { character } else { '_' }
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHIPPED: &str = include_str!("../../../systemd/50-dormouse.rules");

    #[test]
    fn the_shipped_rule_covers_what_is_named_for_it() {
        for unit in ["dormouse-app-wiki.service", "dormouse-app-a.b:c_d-E9.service"] {
            assert_eq!(rule_for(unit, "dormouse"), None, "{unit}");
        }
        let others = [
            "wiki.service",
            "dormouse-app-.service",
            "dormouse-app-wiki.socket",
            "dormouse-app-wiki@one.service",
            "dormouse-app-wiki\\x2done.service",
            "x-dormouse-app-wiki.service",
            "dormouse-app-wiki.service\n",
        ];
        for unit in others {
            assert!(rule_for(unit, "dormouse").is_some(), "{unit}");
        }
        assert!(rule_for("dormouse-app-wiki.service", "blog").is_some());
        // The pattern there and the one here are the same.
        assert!(SHIPPED.contains(r"/^dormouse-app-[A-Za-z0-9:_.-]+\.service$/.test("));
    }

    #[test]
    fn a_rule_differs_from_the_shipped_one_by_its_unit_and_user_only() {
        let rule = rule_for("wiki.service", "dormouse").expect("not covered");
        assert_eq!(rule.file, "/etc/polkit-1/rules.d/50-dormouse-wiki.rules");
        let shipped = SHIPPED.lines().filter(|line| !line.starts_with("//"));
        let differing: Vec<_> =
            shipped.zip(rule.content.lines().skip(1)).filter(|(shipped, own)| shipped != own).collect();
        let expected = (
            r#"        /^dormouse-app-[A-Za-z0-9:_.-]+\.service$/.test(action.lookup("unit")) &&"#,
            r#"        action.lookup("unit") === "wiki.service" &&"#,
        );
        assert_eq!(differing, [expected]);
    }

    #[test]
    fn names_are_escaped() {
        let rule = rule_for("a\\x2db@c:d.service", "o\"; evil(); \"\n\u{2028}").expect("not covered");
        assert!(rule.content.contains(r#"=== "a\u005cx2db@c:d.service" &&"#), "{rule}");
        assert!(rule.content.contains(r#"=== "o\u0022; evil(); \u0022\u000a\u2028" &&"#), "{rule}");
        assert_eq!(rule.file, "/etc/polkit-1/rules.d/50-dormouse-o___evil_______-a_x2db_c_d.rules");
        assert_eq!(rule.content.lines().count(), 11);
    }

    proptest! {
        /// Every literal is one line of plain characters that JSON, whose strings JavaScript has, reads back.
        #[test]
        fn literals_are_read_back(text in any::<String>()) {
            let literal = literal(&text);
            prop_assert!(literal.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(serde_json::from_str::<String>(&literal).expect("a string"), text);
        }
    }
}

//! The manual page dormouse.toml(5), in the language of man(7).

use std::fmt::Write;

use super::{Document, Key, Kind, Methods, Verb};

/// The manual page of a config.
pub fn render(document: &Document, version: &str) -> String {
    let mut page = Page(String::new());
    page.line(&format!(".TH DORMOUSE.TOML 5 \"\" {:?} {:?}", format!("dormouse {version}"), "dormouse"));
    page.section("NAME");
    page.text("dormouse.toml - what dormouse serves, and when it sleeps");
    page.section("SYNOPSIS");
    page.text("/etc/dormouse/dormouse.toml");
    page.line(".br");
    page.text("/etc/dormouse/NAME.toml, of the instance dormouse@NAME");
    page.section("DESCRIPTION");
    page.paragraphs(DESCRIPTION);
    for section in &document.sections {
        page.section(&format!("[{}]", section.name));
        page.text(section.about);
        page.keys(section.keys.iter());
    }
    for section in &document.named {
        page.section(&format!("[{}.NAME]", section.name));
        page.text(section.about);
        page.keys(section.keys.iter());
    }
    page.section("[[route]]");
    page.paragraphs(ROUTES);
    page.keys(document.common.iter().copied());
    page.section("VERBS");
    page.text("A route has exactly one of these, with the keys that belong to it.");
    document.verbs.iter().for_each(|verb| page.verb(verb));
    page.section("PLACEHOLDERS");
    page.paragraphs(PLACEHOLDERS);
    page.section("DURATIONS AND SIZES");
    page.paragraphs(UNITS);
    page.section("EXAMPLE");
    page.verbatim(EXAMPLE);
    page.section("SEE ALSO");
    page.text("dormouse(1), systemd.socket(5)");
    page.0
}

const DESCRIPTION: &[&str] = &[
    "The file is TOML. It holds routes, and settings whose defaults are right for most. The port is not in it: systemd \
     holds it, so it is in the .socket unit (systemctl edit dormouse.socket).",
    "\"dormouse check\" shows every mistake at once, with its line and a way out, and the table of routes. A bad file \
     never takes the port down: dormouse serves the last good one, or else 503, until the file is mended.",
    "A file without any route shows a welcome page.",
];

const ROUTES: &[&str] = &[
    "The most specific route wins, whatever the order in the file: a named host before *.HOST before none; an exact path, \
     then one with parameters, then the longest that ends in a slash. Two routes that cannot be told apart are an error.",
    "Paths are matched as they are sent, nothing is cleaned or decoded. A request for /docs where there is only a route \
     for /docs/ is sent there.",
];

const PLACEHOLDERS: &[&str] = &[
    "{path.NAME}, short {NAME}, is a parameter of the route's path; {path} the whole path as sent; {host} the host without \
     port; {query.NAME} a parameter of the query; {header.NAME} a header. {{ and }} are braces. They stand in `redirect` and \
     in the addresses of `gather`. ({port} and {socket} in an app's `run` and `env` are something else.)",
];

const UNITS: &[&str] = &[
    "A duration is one or more whole numbers with units: \"700ms\", \"30s\", \"10m\", \"1h 30m\", \"7 days\", \"2 weeks\". \
     \"never\" sets no limit where the key allows it.",
    "A size is a whole number with one of B, KiB, MiB, GiB: \"1 MiB\".",
];

const EXAMPLE: &str = r#"[sleep]
after = "10m"

[[route]]
path = "/"
host = "example.org"
files = "/srv/www"

[[route]]
path = "/old/{page}"
redirect = "https://example.org/new/{page}"

[[route]]
path = "/wiki/"
app = "wiki"

[app.wiki]
run = ["/usr/bin/node", "server.js"]
dir = "/srv/wiki"
sleep_after = "10m"

[[route]]
path = "/metrics/"
proxy = "http://127.0.0.1:9090"

[[route]]
path = "/healthz"
show = "health"
"#;

/// A page as it is being written.
struct Page(String);

impl Page {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn section(&mut self, title: &str) {
        self.line(&format!(".SH \"{}\"", escaped(title)));
    }

    fn text(&mut self, text: &str) {
        self.line(&escaped(text));
    }

    fn paragraphs(&mut self, paragraphs: &[&str]) {
        for paragraph in paragraphs {
            self.line(".PP");
            self.text(paragraph);
        }
    }

    fn verbatim(&mut self, text: &str) {
        self.line(".EX");
        text.lines().for_each(|line| self.text(line));
        self.line(".EE");
    }

    fn keys<'k>(&mut self, keys: impl Iterator<Item = &'k Key>) {
        for key in keys {
            self.line(".TP");
            self.line(&format!("\\fB{}\\fR = {}", escaped(key.name), escaped(&key.kind.describe())));
            self.text(&sentences(key));
            if let Kind::Table(keys) = key.kind {
                self.line(".RS");
                self.keys(keys.iter());
                self.line(".RE");
            }
        }
    }

    fn verb(&mut self, verb: &Verb) {
        self.line(&format!(".SS {}", escaped(verb.name())));
        self.text(verb.operand.help);
        let methods = match verb.methods {
            Methods::Any => "any method".to_owned(),
            Methods::Only(names) => names.join(", "),
        };
        self.line(".PP");
        self.text(&format!(
            "It takes {}, and by default {methods}. {}",
            verb.operand.kind.describe(),
            verb.about
        ));
        self.line(".PP");
        self.verbatim(&verb.operand.line());
        self.keys(verb.keys.iter());
    }
}

/// What a key does, its default, and an example if that says more.
fn sentences(key: &Key) -> String {
    let mut text = key.help.to_owned();
    if let Some(default) = key.default {
        let _ = write!(text, " Default: {}.", key.kind.quoted(default));
    }
    if key.default != Some(key.example) {
        let _ = write!(text, " Example: {}.", key.line());
    }
    text
}

/// Text as troff shows it: backslashes and hyphens as they are, no line taken for a request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn troff_takes_no_text_for_a_request() {
        assert_eq!(escaped(".SH x"), "\\&.SH x");
        assert_eq!(escaped("'a"), "\\&'a");
        assert_eq!(escaped("a\\n -1"), "a\\en \\-1");
    }
}

//! `dormouse check`: everything wrong with a config, or the table of its routes, and what is still to be done for its
//! apps and programs.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::plain::{self, columns};
use super::{Check, code, places};
use crate::config::{Colour, Loaded, Source};
use crate::route::{HostPattern, Spec};
use crate::server::KeepsAwake;
use crate::site::{Route, Site};

mod advice;

/// Runs `dormouse check` and gives the exit code: 0, also if something is to be done, or 78 if the config is bad.
pub fn run(arguments: &Check) -> u8 {
    let named = named(arguments);
    let source = Source::new(named.as_deref());
    let is_there = named.is_some() || source.file().exists();
    match source.read() {
        Ok(loaded) => {
            let mut report = report(source.file(), is_there, &loaded);
            let apps = source.lasting().apps.configured();
            report += &advice::of_idle(&loaded.idle_apps);
            let (routes, apps) = (&loaded.site.routes, apps.iter().map(|app| app.settings()));
            report += &advice::advice(source.file(), routes, apps, Path::new("/"));
            // A reader that leaves early (`| head`) is no fault of the config.
            let _ = io::stdout().lock().write_all(report.as_bytes());
            code::OK
        }
        Err(diagnostics) => {
            let colour = if io::stderr().is_terminal() { Colour::Yes } else { Colour::No };
            let _ = io::stderr().lock().write_all(diagnostics.render(colour).as_bytes());
            code::CONFIG
        }
    }
}

/// The file that was asked for: `blog` is /etc/dormouse/blog.toml.
fn named(arguments: &Check) -> Option<PathBuf> {
    arguments.config.clone().or_else(|| arguments.name.as_deref().map(places::config_of))
}

fn report(file: &Path, is_there: bool, loaded: &Loaded) -> String {
    let file = file.display();
    if !is_there {
        return format!("ok: there is no {file}, so dormouse shows its welcome page\n");
    }
    let routes = table(&loaded.site);
    let count = match loaded.site.routes.len() {
        _ if loaded.site.is_provisional => "no routes, so dormouse shows its welcome page".to_owned(),
        1 => "1 route".to_owned(),
        count => format!("{count} routes"),
    };
    format!("{routes}ok: {file}, {count}\n")
}

const HEADS: [&str; 7] = ["METHODS", "HOST", "PATH", "VERB", "", "AWAKE", "SOCKET"];

/// The routes with their methods, hosts, path, verb and operand; what keeps awake; the socket. Columns as wide as needed.
fn table(site: &Site) -> String {
    if site.is_provisional {
        return String::new();
    }
    let rows = site.router.specs().iter().zip(&site.routes).map(|(spec, route)| row(spec, route));
    let rows: Vec<_> = std::iter::once(HEADS.map(str::to_owned)).chain(rows).collect();
    columns("", &rows)
}

fn row(spec: &Spec, route: &Route) -> [String; HEADS.len()] {
    let hosts: Vec<_> = spec.hosts.iter().map(HostPattern::to_string).collect();
    [
        spec.methods.to_string(),
        if hosts.is_empty() { "any".to_owned() } else { hosts.join(" ") },
        spec.pattern.to_string(),
        route.verb.to_owned(),
        shortened(&route.operand),
        match route.keeps_awake {
            KeepsAwake::Yes => "yes",
            KeepsAwake::WhileActive => "while-active",
            KeepsAwake::No => "no",
        }
        .to_owned(),
        spec.socket.clone().unwrap_or_else(|| "any".to_owned()),
    ]
}

/// The operand in one short line.
fn shortened(operand: &str) -> String {
    const MOST: usize = 48;
    plain::shortened(&operand.escape_debug().to_string(), MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(name: Option<&str>, config: Option<&str>) -> Check {
        Check { name: name.map(str::to_owned), config: config.map(PathBuf::from) }
    }

    #[test]
    fn a_name_is_a_file_in_etc() {
        assert_eq!(named(&arguments(None, None)), None);
        assert_eq!(named(&arguments(Some("blog"), None)), Some("/etc/dormouse/blog.toml".into()));
        assert_eq!(named(&arguments(None, Some("a.toml"))), Some("a.toml".into()));
    }

    #[test]
    fn the_table_shows_every_route() {
        let file = std::env::temp_dir().join(format!("dormouse-check-{}.toml", std::process::id()));
        let config = "[[route]]\npath = \"/\"\nhost = [\"a\", \"*.b\"]\ntext = \"one\\ntwo\"\n\
                      [[route]]\npath = \"/healthz\"\nsocket = \"admin\"\nshow = \"health\"\n";
        std::fs::write(&file, config).expect("a file");
        let loaded = Source::new(Some(&file)).read().expect("a good config");
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(
            report(Path::new("f"), true, &loaded),
            "METHODS   HOST   PATH      VERB            AWAKE  SOCKET\n\
             any       a *.b  /         text  one\\ntwo  yes    any\n\
             GET HEAD  any    /healthz  show  health    no     admin\n\
             ok: f, 2 routes\n"
        );
    }

    #[test]
    fn long_operands_are_shortened() {
        assert_eq!(shortened("a\u{1b}b"), "a\\u{1b}b");
        assert_eq!(shortened(&"x".repeat(100)).len(), 48);
    }

    #[test]
    fn a_missing_file_is_a_bad_config() {
        assert_eq!(run(&arguments(None, Some("/nonexistent/dormouse.toml"))), code::CONFIG);
    }
}

//! What an administrator has to do for the apps and routes of a config, before the first request finds that it was not
//! done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::app::sandbox::{DROP_IN, SHIPPED, is_loosened};
use crate::app::unit::rule::USER;
use crate::app::unit::{Rule, rule_for};
use crate::app::{AppKind, AppSettings};
use crate::config::DEFAULT_FILE;
use crate::site::Route;

mod access;
mod credentials;
mod secrets;

/// Where an administrator's units and drop-ins are.
const UNITS: &str = "/etc/systemd/system";

/// Warnings, each with what to type; nothing if nothing is to be done. `root` is `/`.
pub fn advice<'a>(
    file: &Path,
    routes: &[Route],
    apps: impl Iterator<Item = &'a AppSettings>,
    root: &Path,
) -> String {
    let mut programs = BTreeSet::new();
    let mut units: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for app in apps {
        match &app.kind {
            AppKind::Program(_) => programs.insert(&*app.name),
            AppKind::Unit { unit, .. } => units.entry(unit).or_default().insert(&app.name),
        };
    }
    let unit = unit_of(file);
    let of_units = units.iter().filter_map(|(unit, apps)| for_unit(unit, apps, root));
    let of_routes = routes.iter().filter(|route| route.handler.needs().program.is_some());
    let of_apps = (!programs.is_empty()).then(|| named(&programs));
    let starters: Vec<_> = of_apps.into_iter().chain(of_routes.map(name_of)).collect();
    of_units
        .chain(for_programs(unit.as_deref(), &starters, root))
        .chain(secrets::warnings(routes, unit.as_deref(), root))
        .map(|advice| format!("\n{advice}"))
        .collect()
}

/// Apps that nothing will ever start.
pub fn of_idle(names: &[String]) -> String {
    let warning = |name: &String| {
        format!(
            "\nwarning: no route names app {name}, so nothing starts it; a route does by: app = {name:?}\n"
        )
    };
    names.iter().map(warning).collect()
}

/// The polkit rule for a unit that the shipped one does not cover, unless it is installed.
fn for_unit(unit: &str, apps: &BTreeSet<&str>, root: &Path) -> Option<String> {
    let Rule { file, content } = rule_for(unit, USER)?;
    // On Debian only root may look there; who may not is told all the same.
    if below(root, &file).symlink_metadata().is_ok() {
        return None;
    }
    let apps = named(apps);
    Some(format!(
        "warning: {apps}: dormouse may start and stop {unit} only with this polkit rule. As root:\n\n\
         cat >{file} <<'END'\n{content}END\n"
    ))
}

/// The drop-in for programs, unless the unit has it or nobody starts one.
fn for_programs(unit: Option<&str>, starters: &[String], root: &Path) -> Option<String> {
    let unit = unit.filter(|unit| !starters.is_empty() && !is_loosened(root, unit))?;
    let (who, folder) = (starters.join(", "), format!("{UNITS}/{unit}.d"));
    Some(format!(
        "warning: {who}: in the sandbox of {unit} whatever compiles as it runs (node, Java, PHP) ends at once, and \
         programs write nothing but the state directory; {DROP_IN} has what they may need. As root:\n\n\
         mkdir -p {folder}\n\
         cp {SHIPPED} {folder}/\n\
         systemctl daemon-reload && systemctl try-restart {unit}\n"
    ))
}

/// The unit whose config that is: those in /etc/dormouse have one.
fn unit_of(file: &Path) -> Option<String> {
    let folder = Path::new(DEFAULT_FILE).parent()?;
    let is_one = file.parent() == Some(folder) && file.extension().is_some_and(|ending| ending == "toml");
    let name = file.file_stem().filter(|_| is_one)?.to_str()?;
    Some(if name == "dormouse" { "dormouse.service".to_owned() } else { format!("dormouse@{name}.service") })
}

fn named(apps: &BTreeSet<&str>) -> String {
    let names = apps.iter().copied().collect::<Vec<_>>().join(", ");
    format!("app{} {names}", if apps.len() == 1 { "" } else { "s" })
}

/// A route for people: `run /deploy`.
fn name_of(route: &Route) -> String {
    format!("{} {}", route.verb, route.path)
}

fn below(root: &Path, file: &str) -> PathBuf {
    root.join(file.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Source;

    /// A root with these files in it.
    pub struct Root(PathBuf);

    impl Root {
        pub fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root =
                Self(std::env::temp_dir().join(format!("dormouse-advice-{name}-{}", std::process::id())));
            fs::create_dir_all(&root.0).expect("a folder");
            files.iter().for_each(|(file, text)| root.put(file, text));
            root
        }

        pub fn put(&self, file: &str, text: &str) {
            let file = below(&self.0, file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, text).expect("a file");
        }

        pub fn path(&self) -> &Path {
            &self.0
        }

        /// The advice for this config, were it `file`.
        pub fn advice(&self, file: &str, config: &str) -> String {
            let here = self.0.join("config.toml");
            fs::write(&here, config).expect("a file");
            let source = Source::new(Some(&here));
            let loaded = match source.read() {
                Ok(loaded) => loaded,
                Err(wrong) => panic!("{config}: {}", wrong.render(crate::config::Colour::No)),
            };
            let apps = source.lasting().apps.configured();
            advice(Path::new(file), &loaded.site.routes, apps.iter().map(|app| app.settings()), &self.0)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    pub const MAIN: &str = "/etc/dormouse/dormouse.toml";
    pub const SERVICE: (&str, &str) =
        ("/usr/lib/systemd/system/dormouse.service", include_str!("../../../systemd/dormouse.service"));
    pub const TEMPLATE: (&str, &str) =
        ("/usr/lib/systemd/system/dormouse@.service", include_str!("../../../systemd/dormouse@.service"));

    fn config(apps: &[(&str, &str)]) -> String {
        let one = |(name, says): &(&str, &str)| {
            format!("[[route]]\npath = \"/{name}/\"\napp = {name:?}\n[app.{name}]\n{says}\n")
        };
        apps.iter().map(one).collect()
    }

    fn unit(name: &str) -> String {
        format!("unit = {name:?}\naddress = \"http://127.0.0.1:3000\"")
    }

    const PROGRAM: &str = r#"run = ["/usr/bin/node", "server.js"]"#;

    #[test]
    fn a_unit_of_any_other_name_wants_a_rule() {
        let root = Root::new("rule", &[]);
        let own = unit("dormouse-app-wiki.service");
        assert_eq!(root.advice(MAIN, &config(&[("wiki", &own)])), "");
        let other = unit("wiki.service");
        let advice = root.advice("a.toml", &config(&[("wiki", &other), ("third", &own)]));
        let rule = rule_for("wiki.service", "dormouse").expect("not covered");
        let expected = format!(
            "\nwarning: app wiki: dormouse may start and stop wiki.service only with this polkit rule. As \
             root:\n\ncat >/etc/polkit-1/rules.d/50-dormouse-wiki.rules <<'END'\n{}END\n",
            rule.content
        );
        assert_eq!(advice, expected);
        let root = Root::new("ruled", &[(&rule.file, &rule.content)]);
        assert_eq!(root.advice(MAIN, &config(&[("wiki", &other)])), "");
    }

    #[test]
    fn a_program_wants_the_drop_in_of_its_own_unit() {
        let root = Root::new("drop-in", &[SERVICE, TEMPLATE]);
        let programs = config(&[("wiki", PROGRAM)]);
        let advice = root.advice(MAIN, &programs);
        assert!(advice.starts_with("\nwarning: app wiki: in the sandbox of dormouse.service "), "{advice}");
        let commands = "\n\nmkdir -p /etc/systemd/system/dormouse.service.d\n\
                        cp /usr/share/dormouse/programs.conf /etc/systemd/system/dormouse.service.d/\n\
                        systemctl daemon-reload && systemctl try-restart dormouse.service\n";
        assert!(advice.ends_with(commands), "{advice}");
        let advice = root.advice("/etc/dormouse/blog.toml", &programs);
        assert!(
            advice.contains(
                "cp /usr/share/dormouse/programs.conf /etc/systemd/system/dormouse@blog.service.d/"
            )
        );
        // Elsewhere no unit is concerned, and nobody else wants it.
        assert_eq!(root.advice("/home/ann/dormouse.toml", &programs), "");
        assert_eq!(root.advice(MAIN, &config(&[("wiki", &unit("dormouse-app-wiki.service"))])), "");
        let drop_in = "/etc/systemd/system/dormouse.service.d/programs.conf";
        let root =
            Root::new("dropped-in", &[SERVICE, (drop_in, include_str!("../../../systemd/programs.conf"))]);
        assert_eq!(root.advice(MAIN, &programs), "");
    }

    #[test]
    fn so_do_routes_that_start_programs() {
        let root = Root::new("routes", &[SERVICE, TEMPLATE]);
        let routes = "[[route]]\npath = \"/report\"\nrun = [\"/bin/true\"]\n\
                      [[route]]\npath = \"/convert\"\njob = [\"/bin/true\"]\n\
                      [[route]]\npath = \"/pull\"\npull = true\n[[route]]\npath = \"/\"\ntext = \"\"\n";
        let advice = root.advice(MAIN, routes);
        assert!(
            advice.starts_with("\nwarning: run /report, job /convert: in the sandbox of dormouse.service "),
            "{advice}"
        );
        let advice = root.advice(MAIN, &(config(&[("wiki", PROGRAM)]) + routes));
        assert!(
            advice.starts_with("\nwarning: app wiki, run /report, job /convert: in the sandbox"),
            "{advice}"
        );
        assert_eq!(advice.matches("warning").count(), 1, "{advice}");
        let pull = "[[route]]\npath = \"/pull\"\npull = true\n";
        assert_eq!(root.advice(MAIN, pull), "");
    }
}

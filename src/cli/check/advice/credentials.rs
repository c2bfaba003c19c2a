//! Whether a unit is handed a credential (systemd.exec(5)).

use std::io;
use std::path::Path;

use crate::app::definition::Definition;

/// How it stands with a credential of a unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// The unit is handed it, as far as can be seen.
    Handed,
    /// It is to come from this file, which is not there.
    FileMissing {
        /// Where.
        path: String,
        /// Whether systemd has something to hand over instead; else it does not start the unit.
        has_other: bool,
    },
    /// Nothing hands it over.
    Absent,
}

/// Looks for a credential in what a unit says. `root` is `/`.
pub(super) fn of(unit: &Definition, name: &str, root: &Path) -> Credential {
    let (mut loaded, mut set, mut imported) = (Vec::new(), Vec::new(), Vec::new());
    for (setting, value) in unit.service() {
        let all = match &setting[..] {
            "LoadCredential" | "LoadCredentialEncrypted" => &mut loaded,
            "SetCredential" | "SetCredentialEncrypted" => &mut set,
            "ImportCredential" => &mut imported,
            _ => continue,
        };
        // An empty one takes back what was said before.
        if value.is_empty() { all.clear() } else { all.push(value) }
    }
    let values = || set.iter().map(|value| split(value)).filter(|(own, _)| own == name);
    // An end of a line alone is no secret, but lets the unit start without one.
    let is_set = values().any(|(_, value)| !matches!(value, None | Some("" | "\\n")));
    let is_imported = imported.iter().any(|value| imports(value, name));
    match loaded.iter().find_map(|value| load(value, name, root)) {
        Some(Loaded::Found) => Credential::Handed,
        Some(Loaded::Missing(path)) => Credential::FileMissing { path, has_other: values().next().is_some() },
        None if is_set || is_imported => Credential::Handed,
        None => Credential::Absent,
    }
}

/// What a file of credentials says.
enum Loaded {
    /// It is there, as far as can be seen.
    Found,
    /// It is not.
    Missing(String),
}

/// `NAME:PATH`, `NAME` (from the credential store), or `PREFIX:FOLDER`, each file of which is `PREFIX_FILE`; `None`: it is about
/// another one.
fn load(value: &str, name: &str, root: &Path) -> Option<Loaded> {
    let (own, path) = split(value);
    let here = |path: &str| root.join(path.trim_start_matches('/'));
    // What has specifiers is elsewhere for each instance.
    let path = path.filter(|path| path.starts_with('/') && !path.contains('%'));
    let in_folder = name.strip_prefix(&own).and_then(|rest| rest.strip_prefix('_'));
    match (path, in_folder) {
        (Some(path), _) if own == name => match here(path).metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Loaded::Missing(path.to_owned())),
            _ => Some(Loaded::Found), // only root may look into many such folders
        },
        (Some(path), Some(file)) if here(path).join(file).exists() => Some(Loaded::Found),
        (None, _) if own == name => Some(Loaded::Found),
        _ => None,
    }
}

/// `GLOB`, of which only a star at the end is one, or `GLOB:NEW`, which puts something else before what the star is.
fn imports(value: &str, name: &str) -> bool {
    let (glob, new) = split(value);
    match (glob.strip_suffix('*'), new) {
        (Some(prefix), new) => name.starts_with(new.unwrap_or(prefix)),
        (None, new) => name == new.unwrap_or(&glob),
    }
}

/// What stands before and after the first colon.
fn split(value: &str) -> (String, Option<&str>) {
    let (name, rest) = value.split_once(':').map_or((value, None), |(name, rest)| (name, Some(rest)));
    (name.trim().replace("%%", "%"), rest.map(str::trim))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::super::tests::{Root, SERVICE};
    use super::*;

    fn stands(name: &str, says: &str) -> Credential {
        let drop_in = format!("[Service]\n{says}\n");
        let files = [
            SERVICE,
            ("/etc/systemd/system/dormouse.service.d/a.conf", &*drop_in),
            ("/etc/credstore/deploy", "secret"),
            ("/etc/many/one", "secret"),
        ];
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let root = Root::new(&format!("credential-{}", NEXT.fetch_add(1, Relaxed)), &files);
        of(&Definition::read(root.path(), "dormouse.service"), name, root.path())
    }

    #[test]
    fn every_setting_that_hands_it_over_is_known() {
        for says in [
            "LoadCredential=deploy:/etc/credstore/deploy",
            "LoadCredential = deploy",
            "LoadCredentialEncrypted=deploy:/etc/credstore/deploy",
            "LoadCredential=deploy:/etc/%i/secret",
            "SetCredential=deploy:secret",
            "SetCredentialEncrypted=deploy: \\\n  Whxqht+dQJax1aZeCGLxm \\\n  hWXYsQ",
            "ImportCredential=deploy",
            "ImportCredential=dep*",
            "ImportCredential=web.*:dep",
            "LoadCredential=\nLoadCredential=other:/etc/other\nLoadCredential=deploy:/etc/credstore/deploy",
        ] {
            assert_eq!(stands("deploy", says), Credential::Handed, "{says}");
        }
        assert_eq!(stands("many_one", "LoadCredential=many:/etc/many"), Credential::Handed);
        assert_eq!(stands("50%", "SetCredential=50%%:secret"), Credential::Handed);
    }

    #[test]
    fn what_hands_over_something_else_does_not() {
        for says in [
            "",
            "LoadCredential=deploy2:/etc/credstore/deploy",
            "LoadCredential=deploy:/etc/credstore/deploy\nLoadCredentialEncrypted=",
            "SetCredential=deploy:secret\nSetCredential=",
            "SetCredential=deploy:\\n",
            "SetCredential=deploy",
            "ImportCredential=web.*",
            "# LoadCredential=deploy:/etc/credstore/deploy",
            "[Unit]\nLoadCredential=deploy:/etc/credstore/deploy",
            "Environment=LoadCredential=deploy",
        ] {
            assert_eq!(stands("deploy", says), Credential::Absent, "{says}");
        }
        assert_eq!(stands("many_two", "LoadCredential=many:/etc/many"), Credential::Absent);
        let missing =
            |has_other| Credential::FileMissing { path: "/etc/credstore/deplyo".to_owned(), has_other };
        let says = "LoadCredential=deploy:/etc/credstore/deplyo";
        assert_eq!(stands("deploy", says), missing(false));
        assert_eq!(stands("deploy", &format!("{says}\nSetCredential=deploy:\\n")), missing(true));
    }
}

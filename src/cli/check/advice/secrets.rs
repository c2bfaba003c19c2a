//! What routes with `verify` still want: their secret, and somebody who waits for the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::access::{Access, Account};
use super::credentials::{self, Credential};
use super::{UNITS, below, name_of};
use crate::app::definition::Definition;
use crate::app::unit::rule::USER;
use crate::secret::Secret;
use crate::site::Route;

/// Where an administrator's credentials are.
const STORE: &str = "/etc/credstore";

/// Warnings about routes with `verify`. `unit` is the one whose config they are of, if there is one; `root` is `/`.
pub(super) fn warnings(routes: &[Route], unit: Option<&str>, root: &Path) -> Vec<String> {
    let hasty = routes.iter().filter(|route| route.handler.ends_with_client()).filter_map(hasty);
    let mut secrets: BTreeMap<String, (&Secret, BTreeSet<String>)> = BTreeMap::new();
    for route in routes {
        if let Some(verify) = route.handler.needs().verify {
            let entry = secrets.entry(verify.secret().to_string());
            entry.or_insert((verify.secret(), BTreeSet::new())).1.insert(name_of(route));
        }
    }
    let unit = unit.map(|name| (name, Definition::read(root, name))).filter(|(_, unit)| unit.is_there());
    let unit = unit.as_ref().map(|(name, unit)| (*name, unit));
    let wanting = secrets.into_values().filter_map(|(secret, routes)| {
        let routes = routes.into_iter().collect::<Vec<_>>().join(", ");
        match secret {
            Secret::Credential(name) => of_credential(name, &routes, unit?, root),
            Secret::File(path) => of_file(path, &routes, unit.map(|(_, unit)| unit), root),
        }
    });
    hasty.chain(wanting).collect()
}

/// A program that ends with its client, which does not stay long.
fn hasty(route: &Route) -> Option<String> {
    let preset = route.handler.needs().verify?.preset().name();
    Some(format!(
        "warning: {}: senders of webhooks hang up early (GitHub after 10 s), and the program is ended when {preset} does. \
         Write `job` instead of `run`, or on_disconnect = \"finish\"\n",
        name_of(route)
    ))
}

/// A credential that the unit is not handed.
fn of_credential(
    name: &str,
    routes: &str,
    (unit, definition): (&str, &Definition),
    root: &Path,
) -> Option<String> {
    // A name may be much, and a file's is better plain.
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let file: String = name.chars().map(plain).collect();
    match credentials::of(definition, name, root) {
        Credential::Handed => None,
        Credential::FileMissing { path, has_other } => Some(format!(
            "warning: {routes}: there is no {path}, from which credential {name:?} is to come. {}. Write the secret into \
             it, and restart {unit}\n",
            if has_other {
                "As it is these requests are answered 500"
            } else {
                "As it is the unit does not start"
            },
        )),
        Credential::Absent => Some(format!(
            "warning: {routes}: {unit} is not handed the credential {name:?}. As it is these requests are answered 500. \
             Write the secret into {STORE}/{file}, which nobody but root has to read. As root:\n\n\
             mkdir -p {UNITS}/{unit}.d\n\
             cat >{UNITS}/{unit}.d/credential-{file}.conf <<'END'\n\
             [Service]\n\
             LoadCredential={setting}:{STORE}/{file}\n\
             # An empty one: without the file the unit would not start, and now only these requests are refused.\n\
             SetCredential={setting}:\\n\n\
             END\n\
             systemctl daemon-reload && systemctl try-restart {unit}\n",
            setting = name.replace('%', "%%"),
        )),
    }
}

/// A file that the service cannot read.
fn of_file(path: &Path, routes: &str, unit: Option<&Definition>, root: &Path) -> Option<String> {
    let user = unit.map(user_of);
    let account = user.as_deref().and_then(|user| Account::find(root, user));
    let file = path.display();
    let access = match &account {
        Some(account) => account.reads(root, path),
        None if below(root, &file.to_string()).try_exists().is_ok_and(|exists| !exists) => Access::Missing,
        None => Access::Readable,
    };
    let what = match access {
        Access::Readable => return None,
        Access::Missing => format!("there is no {file}, which should have the secret"),
        Access::Empty => format!("{file} should have the secret, and is empty"),
        Access::Closed(closed) => format!(
            "the user {} may not {} {}, and so not read the secret; with secret = \"credential:NAME\" systemd reads it",
            user.unwrap_or_default(),
            if closed == path { "read" } else { "enter" },
            closed.display()
        ),
    };
    Some(format!("warning: {routes}: {what}. As it is these requests are answered 500\n"))
}

/// Whom a unit runs as.
fn user_of(unit: &Definition) -> String {
    let mut said = unit.service().into_iter().filter(|(name, _)| name == "User").map(|(_, user)| user);
    said.next_back().filter(|user| !user.is_empty()).unwrap_or_else(|| USER.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::tests::{MAIN, Root, SERVICE, TEMPLATE};

    fn config(verb: &str, secret: &str, more: &str) -> String {
        format!(
            "[[route]]\npath = \"/hook\"\n{verb} = [\"/bin/true\"]\n\
             verify = {{ preset = \"github\", secret = {secret:?} }}\n{more}\n"
        )
    }

    /// One that has the drop-in for programs.
    const LOOSE: (&str, &str) =
        ("/etc/systemd/system/dormouse.service.d/programs.conf", "[Service]\nMemoryDenyWriteExecute=no\n");

    #[test]
    fn who_hangs_up_early_is_warned_of_with_the_way_out() {
        let root = Root::new("hasty", &[("/secret", "secret")]);
        let advice = |verb, more| root.advice("a.toml", &config(verb, "file:/secret", more));
        let said = advice("run", "");
        assert!(
            said.starts_with("\nwarning: run /hook: senders of webhooks hang up early (GitHub after 10 s)"),
            "{said}"
        );
        assert!(said.ends_with("Write `job` instead of `run`, or on_disconnect = \"finish\"\n"), "{said}");
        assert_eq!(advice("run", "on_disconnect = \"finish\""), "");
        assert_eq!(advice("job", ""), "");
        assert_eq!(root.advice("a.toml", "[[route]]\npath = \"/\"\nrun = [\"/bin/true\"]\n"), "");
    }

    #[test]
    fn a_credential_wants_the_drop_in_that_hands_it_over() {
        let root = Root::new("credential", &[SERVICE, TEMPLATE, LOOSE]);
        let both = config("job", "credential:deploy", "") + &config("pull", "credential:deploy", "");
        let both = both.replacen("pull = [\"/bin/true\"]", "pull = true\napi = true", 1).replacen(
            "\"/hook\"",
            "\"/other\"",
            1,
        );
        let said = root.advice(MAIN, &both);
        let commands = "which nobody but root has to read. As root:\n\n\
            mkdir -p /etc/systemd/system/dormouse.service.d\n\
            cat >/etc/systemd/system/dormouse.service.d/credential-deploy.conf <<'END'\n\
            [Service]\n\
            LoadCredential=deploy:/etc/credstore/deploy\n\
            # An empty one: without the file the unit would not start, and now only these requests are refused.\n\
            SetCredential=deploy:\\n\n\
            END\n\
            systemctl daemon-reload && systemctl try-restart dormouse.service\n";
        assert!(
            said.starts_with("\nwarning: job /other, pull /hook: dormouse.service is not handed"),
            "{said}"
        );
        assert!(said.ends_with(commands), "{said}");
        // As it says, but the secret is not there yet.
        let drop_in = "[Service]\nLoadCredential=deploy:/etc/credstore/deploy\nSetCredential=deploy:\\n\n";
        let path = "/etc/systemd/system/dormouse.service.d/credential-deploy.conf";
        root.put(path, drop_in);
        let said = root.advice(MAIN, &both);
        assert!(
            said.contains("there is no /etc/credstore/deploy, from which credential \"deploy\""),
            "{said}"
        );
        root.put("/etc/credstore/deploy", "secret");
        assert_eq!(root.advice(MAIN, &both), "");
        // Another instance has drop-ins of its own.
        let said = root.advice("/etc/dormouse/blog.toml", &config("job", "credential:50% off", ""));
        assert!(said.contains("dormouse@blog.service.d/credential-50__off.conf"), "{said}");
        assert!(said.contains("\nLoadCredential=50%% off:/etc/credstore/50__off\n"), "{said}");
        // Elsewhere no unit is concerned.
        assert_eq!(root.advice("/home/ann/dormouse.toml", &both), "");
    }

    #[test]
    fn a_file_is_there_and_readable_for_the_service() {
        let root = Root::new("file", &[SERVICE, LOOSE, ("/etc/passwd", "dormouse:x:64001:64001::/:\n")]);
        let config = config("job", "file:/etc/keys/hook", "");
        let mode = |path: &str, mode| {
            let path = root.path().join(path);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        };
        for folder in ["", "etc"] {
            mode(folder, 0o755);
        }
        let said = root.advice(MAIN, &config);
        assert!(
            said.contains("job /hook: there is no /etc/keys/hook, which should have the secret."),
            "{said}"
        );
        assert_eq!(root.advice("a.toml", &config), said, "wherever the config is");
        root.put("/etc/keys/hook", "");
        mode("etc/keys", 0o755);
        mode("etc/keys/hook", 0o644);
        assert!(root.advice(MAIN, &config).contains("and is empty"));
        root.put("/etc/keys/hook", "secret");
        assert_eq!(root.advice(MAIN, &config), "");
        mode("etc/keys/hook", 0o600);
        assert!(root.advice(MAIN, &config).contains("the user dormouse may not read /etc/keys/hook, and so"));
        mode("etc/keys", 0o700);
        assert!(root.advice(MAIN, &config).contains("the user dormouse may not enter /etc/keys, and so"));
        // Another user of the administrator's, whom nothing here knows.
        root.put("/etc/systemd/system/dormouse.service.d/user.conf", "[Service]\nUser=web\n");
        assert_eq!(root.advice(MAIN, &config), "");
    }
}

//! Whether dormouse's own unit lets it start programs.
//!
//! The units as shipped are for a server that starts none. `programs.conf` is the drop-in for all others; without it an
//! interpreter that compiles as it runs dies at its start, so `dormouse check` looks for it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use super::definition::Definition;
use crate::process::Ended;

/// The drop-in's name. Whoever has one of his own knows what his programs need.
pub const DROP_IN: &str = "programs.conf";

/// Where it is shipped.
pub const SHIPPED: &str = "/usr/share/dormouse/programs.conf";

/// The setting that stops interpreters.
const SETTING: &str = "MemoryDenyWriteExecute";

/// Whether `unit` (`dormouse.service`, `dormouse@blog.service`) may start programs: it has a drop-in [`DROP_IN`], or
/// does not deny memory that is written and run, be it by a drop-in of another name, a unit file of the administrator's
/// own, or because there is no such unit. `root` is `/`.
pub fn is_loosened(root: &Path, unit: &str) -> bool {
    let unit = Definition::read(root, unit);
    unit.has_drop_in(DROP_IN) || !denies(&unit)
}

/// What the unit says last about [`SETTING`] that systemd would take.
fn denies(unit: &Definition) -> bool {
    let said = unit.service().into_iter().filter(|(name, _)| name == SETTING);
    said.filter_map(|(_, value)| boolean(&value)).next_back().unwrap_or(false)
}

/// What to try when a program has ended as it might for want of the drop-in: it crashed, or was not let, where memory
/// may not be written and then run. Nothing if it ended otherwise.
pub(crate) fn hint(ended: &Ended) -> &'static str {
    if may_be_denied(ended) && denies_compilers() {
        "; it may be for the sandbox of dormouse's own unit: `dormouse check` says how to loosen it by programs.conf"
    } else {
        ""
    }
}

fn may_be_denied(ended: &Ended) -> bool {
    let is_crash = ended.status.signal().is_some_and(|signal| CRASHES.contains(&signal));
    is_crash || ended.stderr.iter().any(|line| NOT_LET.iter().any(|words| line.contains(words)))
}

/// The signals of a program that gives up.
const CRASHES: [i32; 5] = [libc::SIGTRAP, libc::SIGILL, libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS];

/// The ends of libc's words for EPERM, EACCES and EROFS.
const NOT_LET: [&str; 3] = ["not permitted", "ermission denied", "ead-only file system"];

/// Whether our processes may not run what they have written to memory: the unit's seccomp filter, or the kernel's own
/// (PR_SET_MDWE), refuses such memory.
fn denies_compilers() -> bool {
    const LENGTH: usize = 4096;
    let (access, kind) = (libc::PROT_WRITE | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory that nobody knows; it is given back at once.
    #[allow(unsafe_code)]
    unsafe {
        let memory = libc::mmap(std::ptr::null_mut(), LENGTH, access, kind, -1, 0);
        if memory != libc::MAP_FAILED {
            libc::munmap(memory, LENGTH);
            return false;
        }
    }
    matches!(io::Error::last_os_error().kind(), io::ErrorKind::PermissionDenied)
}

/// As systemd.syntax(7) has them.
fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    const STRICT: &str = "[Service]\nMemoryDenyWriteExecute=yes\n";
    const LOOSE: &str = "[Service]\nMemoryDenyWriteExecute=no\n";

    /// A root with these files, gone at the end.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("dormouse-sandbox-{name}-{}", std::process::id()));
            for (file, text) in files {
                let file = root.join(file);
                fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                fs::write(file, text).expect("a file");
            }
            Self(root)
        }

        fn is_loosened(&self, unit: &str) -> bool {
            is_loosened(&self.0, unit)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const PLAIN: (&str, &str) = ("usr/lib/systemd/system/dormouse.service", STRICT);
    const TEMPLATE: (&str, &str) = ("usr/lib/systemd/system/dormouse@.service", STRICT);

    #[test]
    fn the_units_as_shipped_are_strict_and_the_drop_in_loosens_them() {
        let plain = include_str!("../../systemd/dormouse.service");
        let template = include_str!("../../systemd/dormouse@.service");
        let drop_in = include_str!("../../systemd/programs.conf");
        let shipped = Root::new("shipped", &[(PLAIN.0, plain), (TEMPLATE.0, template)]);
        assert!(!shipped.is_loosened("dormouse.service"));
        assert!(!shipped.is_loosened("dormouse@blog.service"));
        // Not for its name alone.
        let renamed = ("etc/systemd/system/dormouse.service.d/mine.conf", drop_in);
        assert!(Root::new("renamed", &[(PLAIN.0, plain), renamed]).is_loosened("dormouse.service"));
    }

    #[test]
    fn the_drop_in_is_found_wherever_it_counts() {
        for folder in ["etc", "run", "usr/lib", "usr/local/lib"] {
            let file = format!("{folder}/systemd/system/dormouse.service.d/programs.conf");
            let root = Root::new("found", &[PLAIN, TEMPLATE, (&file, "[Service]\nReadWritePaths=/srv\n")]);
            assert!(root.is_loosened("dormouse.service"), "{file}");
            assert!(!root.is_loosened("dormouse@blog.service"), "{file}");
        }
        let file = "etc/systemd/system/dormouse@.service.d/programs.conf";
        assert!(Root::new("every", &[TEMPLATE, (file, LOOSE)]).is_loosened("dormouse@blog.service"));
        let file = "etc/systemd/system/dormouse@blog.service.d/programs.conf";
        let one = Root::new("one", &[TEMPLATE, (file, LOOSE)]);
        assert!(one.is_loosened("dormouse@blog.service"));
        assert!(!one.is_loosened("dormouse@other.service"));
    }

    #[test]
    fn another_drop_in_counts_by_what_it_says() {
        let folder = "etc/systemd/system/dormouse.service.d";
        let texts = [
            (LOOSE, true),
            ("[Service]\n# MemoryDenyWriteExecute=no\n", false),
            ("[Service]\n MemoryDenyWriteExecute = off \n", true),
            ("[Service]\nMemoryDenyWriteExecute=no\nMemoryDenyWriteExecute=1\n", false),
            ("[Service]\nMemoryDenyWriteExecute=perhaps\n", false),
            ("[Unit]\nMemoryDenyWriteExecute=no\n", false),
            ("MemoryDenyWriteExecute=no\n", false),
        ];
        for (text, expected) in texts {
            let root = Root::new("text", &[PLAIN, (&format!("{folder}/override.conf"), text)]);
            assert_eq!(root.is_loosened("dormouse.service"), expected, "{text}");
        }
        // The later name has the last word.
        let (early, late) = (format!("{folder}/10.conf"), format!("{folder}/20.conf"));
        assert!(
            !Root::new("late", &[PLAIN, (&early, LOOSE), (&late, STRICT)]).is_loosened("dormouse.service")
        );
        let not_one = format!("{folder}/programs.conf.bak");
        assert!(!Root::new("bak", &[PLAIN, (&not_one, LOOSE)]).is_loosened("dormouse.service"));
    }

    #[test]
    fn a_file_hides_those_of_its_name_that_come_later() {
        let below = "usr/lib/systemd/system/dormouse.service.d/programs.conf";
        let root = Root::new("masked", &[PLAIN, (below, LOOSE)]);
        assert!(root.is_loosened("dormouse.service"));
        let folder = root.0.join("etc/systemd/system/dormouse.service.d");
        fs::create_dir_all(&folder).expect("a folder");
        std::os::unix::fs::symlink("/dev/null", folder.join(DROP_IN)).expect("a link");
        assert!(!root.is_loosened("dormouse.service"));
    }

    #[test]
    fn only_some_ends_may_be_for_the_sandbox() {
        let ends = [
            (libc::SIGTRAP, "", true),
            (libc::SIGKILL, "", false),
            (1 << 8, "mmap: Operation not permitted", true),
            (1 << 8, "open 'db.sqlite': Read-only file system", true),
            (1 << 8, "no such module", false),
        ];
        for (status, line, expected) in ends {
            let stderr = vec![line.to_owned()];
            let ended = Ended { status: std::process::ExitStatus::from_raw(status), stderr };
            assert_eq!(may_be_denied(&ended), expected, "{ended} {line}");
        }
    }

    #[test]
    fn a_unit_of_the_administrators_own_counts() {
        let own = ("etc/systemd/system/dormouse.service", "[Service]\nExecStart=/usr/bin/dormouse serve\n");
        assert!(Root::new("own", &[PLAIN, own]).is_loosened("dormouse.service"));
        assert!(is_loosened(Path::new("/nonexistent"), "dormouse.service"), "no unit, no sandbox");
        assert!(is_loosened(Path::new("/nonexistent"), "dormouse@"));
    }
}

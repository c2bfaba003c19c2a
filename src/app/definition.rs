//! What the files of a unit say: read as systemd would (systemd.unit(5)), without asking it, since `dormouse check` works
//! where it does not run.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// Where units and their drop-ins are looked for, the first of a name counts.
const FOLDERS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// More than any unit file has, in bytes.
const LARGEST: u64 = 256 * 1024;

/// What the files of a unit say.
#[derive(Debug)]
pub struct Definition {
    /// The unit's own file; `None`: there is none.
    fragment: Option<String>,
    /// Its drop-ins in the order in which they count, by name. Those that are switched off are not among them.
    drop_ins: Vec<(OsString, String)>,
}

impl Definition {
    /// Reads the files of `unit` (`dormouse.service`, `dormouse@blog.service`). `root` is `/`.
    pub fn read(root: &Path, unit: &str) -> Self {
        let names = names(unit);
        let drop_ins = drop_ins(root, &names).into_iter().filter_map(|(name, file)| {
            // Linked to /dev/null, a drop-in is switched off.
            let text = read(&file).filter(|text| !text.trim().is_empty())?;
            Some((name, text))
        });
        Self { fragment: fragment(root, &names), drop_ins: drop_ins.collect() }
    }

    /// Whether there is such a unit.
    pub fn is_there(&self) -> bool {
        self.fragment.is_some()
    }

    /// Whether it has a drop-in of this name.
    pub fn has_drop_in(&self, name: &str) -> bool {
        self.drop_ins.iter().any(|(own, _)| own == name)
    }

    /// Everything below `[Service]`, in the order in which it counts: names and values, which may be empty.
    pub fn service(&self) -> Vec<(String, String)> {
        let drop_ins = self.drop_ins.iter().map(|(_, text)| text);
        self.fragment.iter().chain(drop_ins).flat_map(|text| service(text)).collect()
    }
}

/// The unit's name, and its template's.
fn names(unit: &str) -> Vec<String> {
    let template = unit.split_once('@').and_then(|(prefix, instance)| {
        let (_, ending) = instance.rsplit_once('.')?;
        Some(format!("{prefix}@.{ending}"))
    });
    std::iter::once(unit.to_owned()).chain(template).collect()
}

/// The unit file itself.
fn fragment(root: &Path, names: &[String]) -> Option<String> {
    names.iter().find_map(|name| FOLDERS.iter().find_map(|folder| read(&root.join(folder).join(name))))
}

/// The drop-ins that count, in the order in which they do: by name, wherever they are.
fn drop_ins(root: &Path, names: &[String]) -> BTreeMap<OsString, PathBuf> {
    let mut found = BTreeMap::new();
    for folder in FOLDERS {
        for name in names {
            let Ok(entries) = fs::read_dir(root.join(folder).join(format!("{name}.d"))) else { continue };
            for file in entries.flatten().map(|entry| entry.path()) {
                if let (Some("conf"), Some(name)) =
                    (file.extension().and_then(OsStr::to_str), file.file_name())
                {
                    found.entry(name.to_owned()).or_insert(file);
                }
            }
        }
    }
    found
}

fn read(file: &Path) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(file).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What stands below `[Service]` in one file.
fn service(text: &str) -> Vec<(String, String)> {
    let mut is_service = false;
    let mut all = Vec::new();
    for line in lines(text) {
        let line = line.trim();
        if line.starts_with('[') {
            is_service = line == "[Service]";
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_service) {
            all.push((name.trim_end().to_owned(), value.trim().to_owned()));
        }
    }
    all
}

/// The lines of a file without comments; those that end with a backslash go on in the next (systemd.syntax(7)).
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun = String::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        match line.strip_suffix('\\') {
            Some(part) => begun.extend([part, " "]),
            None => lines.push(std::mem::take(&mut begun) + line),
        }
    }
    lines.push(begun);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_what_systemd_would_read() {
        let text = "A=0\n[Service]\nA=1 # no comment\n;A=2\n# A=3 \\\n A = 4\nB=x\\\n# between\ny\\\n  z\nC=\nD\n\
                    [Unit]\nA=5\n[Service]\nA=6\\";
        let said: Vec<_> = service(text).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(said, ["A=1 # no comment", "A=4", "B=x y   z", "C=", "A=6"]);
    }
}

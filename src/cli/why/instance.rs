//! Which dormice there may be: by their runtime directories and their config files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::places;

/// Below it, systemd makes a runtime directory for each instance (`RuntimeDirectory=` of the units).
const RUN: &str = "/run/dormouse";

/// One that runs, has run, or would if somebody came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What people call it: NAME of dormouse@NAME.service, `dormouse`, or its folder.
    pub name: String,
    /// Its runtime directory.
    pub runtime: PathBuf,
    /// The socket unit that wakes it; `None` for one that systemd does not start.
    pub socket_unit: Option<String>,
}

/// Where to look for them.
#[derive(Clone, Debug)]
pub struct Places {
    /// Folders in it are runtime directories.
    pub run: PathBuf,
    /// Files NAME.toml in it are configs.
    pub etc: PathBuf,
    /// The runtime directory of one started by hand, which is not always there.
    pub own: Option<PathBuf>,
}

impl Instance {
    /// The one with this runtime directory.
    pub fn at(runtime: &Path) -> Self {
        let name = runtime.display().to_string();
        Self { name, runtime: runtime.to_owned(), socket_unit: None }
    }
}

impl Places {
    /// Those of this machine.
    pub fn of_system() -> Self {
        let etc = places::config_of("dormouse").parent().map(Path::to_owned).unwrap_or_default();
        Self { run: RUN.into(), etc, own: places::own_runtime_directory() }
    }

    /// All there are, by name.
    pub fn all(&self) -> Vec<Instance> {
        let own = self.own.iter().filter(|own| own.is_dir()).map(|own| Instance::at(own));
        self.names().iter().map(|name| self.instance(name)).chain(own).collect()
    }

    /// The one of this name, if there is anything of it.
    pub fn named(&self, name: &str) -> Option<Instance> {
        self.names().contains(name).then(|| self.instance(name))
    }

    /// What there is a runtime directory or a config of.
    pub fn names(&self) -> BTreeSet<String> {
        let running = entries(&self.run).filter(|path| path.is_dir());
        let running = running.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let configs = entries(&self.etc).filter(|path| path.extension().is_some_and(|end| end == "toml"));
        let configs = configs.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
        running.chain(configs).collect()
    }

    fn instance(&self, name: &str) -> Instance {
        let unit = if name == "dormouse" { name.to_owned() } else { format!("dormouse@{name}") };
        Instance {
            name: name.to_owned(),
            runtime: self.run.join(name),
            socket_unit: Some(format!("{unit}.socket")),
        }
    }
}

/// What is in a folder; nothing if it cannot be read.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_configs_are_instances() {
        let root = std::env::temp_dir().join(format!("dormouse-why-{}", std::process::id()));
        let places = Places { run: root.join("run"), etc: root.join("etc"), own: Some(root.join("own")) };
        assert_eq!(places.all(), []);
        for folder in ["run/blog", "run/dormouse", "etc/conf.d", "own"] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        for file in ["etc/blog.toml", "etc/wiki.toml", "etc/notes.txt", "run/file"] {
            fs::write(root.join(file), "").expect("a file");
        }
        let names: Vec<_> = places.all().into_iter().map(|instance| instance.name).collect();
        let own = root.join("own").display().to_string();
        assert_eq!(names, ["blog", "dormouse", "wiki", &own]);
        let unit = |name| places.named(name).and_then(|instance| instance.socket_unit);
        assert_eq!(unit("wiki").as_deref(), Some("dormouse@wiki.socket"));
        assert_eq!(unit("dormouse").as_deref(), Some("dormouse.socket"));
        assert_eq!(places.named("../own"), None);
        fs::remove_dir_all(&root).expect("removed");
    }
}

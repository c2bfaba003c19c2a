//! Where state is kept: where systemd says, else where the XDG Base Directory Specification says.

use std::env;
use std::path::{Path, PathBuf};

use crate::config::DEFAULT_FILE;

/// The state directory: `STATE_DIRECTORY` (systemd.exec(5)), `$XDG_STATE_HOME/dormouse`, `~/.local/state/dormouse`.
/// `None` when nothing says: then nothing is kept.
pub fn state_directory() -> Option<PathBuf> {
    given("STATE_DIRECTORY").or_else(|| Some(given("XDG_STATE_HOME").or_else(home_state)?.join("dormouse")))
}

/// The runtime directory: `RUNTIME_DIRECTORY` (systemd.exec(5)), `$XDG_RUNTIME_DIR/dormouse`.
pub fn runtime_directory() -> Option<PathBuf> {
    given("RUNTIME_DIRECTORY").or_else(own_runtime_directory)
}

/// `$XDG_RUNTIME_DIR/dormouse`: the runtime directory of a dormouse that this user runs by hand.
pub fn own_runtime_directory() -> Option<PathBuf> {
    Some(given("XDG_RUNTIME_DIR")?.join("dormouse"))
}

/// The config file of an instance: `blog` is /etc/dormouse/blog.toml.
pub fn config_of(name: &str) -> PathBuf {
    Path::new(DEFAULT_FILE).with_file_name(format!("{name}.toml"))
}

fn home_state() -> Option<PathBuf> {
    Some(given("HOME")?.join(".local/state"))
}

/// An absolute path from the environment; systemd may give several, the first is ours.
fn given(name: &str) -> Option<PathBuf> {
    let value = env::var(name).ok()?;
    let first = PathBuf::from(value.split(':').next()?);
    first.is_absolute().then_some(first)
}

//! What the unit's sandbox may keep from us, in words for the journal.

use std::path::Path;

/// The directive of systemd.exec(5) that most likely hides a path.
pub fn directive(path: &str) -> &'static str {
    let is_below = |tops: &[&str]| tops.iter().any(|top| Path::new(path).starts_with(top));
    if is_below(&["/home", "/root", "/run/user"]) {
        "ProtectHome="
    } else if is_below(&["/tmp", "/var/tmp"]) {
        "PrivateTmp="
    } else {
        "InaccessiblePaths= or TemporaryFileSystem="
    }
}

/// Who we are. systemd sets `USER` with `User=`.
pub fn user() -> String {
    let uid = rustix::process::geteuid().as_raw();
    std::env::var("USER").map_or_else(|_| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likely_directive_is_named() {
        assert_eq!(directive("/home/me/www"), "ProtectHome=");
        assert_eq!(directive("/var/tmp/x"), "PrivateTmp=");
        assert_eq!(directive("/homes"), "InaccessiblePaths= or TemporaryFileSystem=");
    }
}

//! What cannot be served, and what the administrator is told of it.

use std::path::Path;

use hyper::StatusCode;
use rustix::io::Errno;
use tracing::{error, warn};

use crate::process::sandbox;

/// Why there is no answer, for now or at all.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Only the disk can tell: ask again on the blocking pool.
    WouldBlock,
    /// The answer is this status.
    Status(StatusCode),
}

impl Refusal {
    /// There is nothing to serve by that name.
    pub const NOT_FOUND: Self = Self::Status(StatusCode::NOT_FOUND);

    /// What an error with a name below the root comes to. Clients learn nothing; what an administrator can mend goes
    /// to the journal.
    pub fn below(root: &Path, name: &[u8], error: Errno) -> Self {
        // Clients choose these bytes: no line breaks for the journal.
        let path = || format!("{}/{}", root.display(), String::from_utf8_lossy(name).escape_debug());
        match error {
            Errno::AGAIN => Self::WouldBlock,
            // A file that is asked for as a directory, a name too long, a circle of symlinks, a socket, no such device.
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP | Errno::NXIO | Errno::NODEV => {
                Self::NOT_FOUND
            }
            Errno::XDEV => {
                let path = path();
                warn!(path, "files: {path} meets a symlink that leads out of the root, or is absolute");
                Self::NOT_FOUND
            }
            Errno::ACCESS => Self::denied(&path()),
            error => Self::broken(&path(), error),
        }
    }

    /// What an error with the root itself comes to.
    pub fn of_root(root: &Path, error: Errno) -> Self {
        match error {
            Errno::AGAIN => Self::WouldBlock,
            Errno::ACCESS => Self::denied(&root.display().to_string()),
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP => {
                let path = root.display().to_string();
                let (user, directive) = (sandbox::user(), sandbox::directive(&path));
                error!(
                    path,
                    "files: {path} is not there for {user}: {error}; does {directive} of the unit hide it?"
                );
                Self::Status(StatusCode::INTERNAL_SERVER_ERROR)
            }
            error => Self::broken(&root.display().to_string(), error),
        }
    }

    fn denied(path: &str) -> Self {
        let (user, directive) = (sandbox::user(), sandbox::directive(path));
        warn!(
            path,
            "files: {user} may not read {path}; check its mode and owner, and {directive} of the unit"
        );
        Self::Status(StatusCode::FORBIDDEN)
    }

    fn broken(path: &str, error: Errno) -> Self {
        let status = match error {
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // Filters from before openat2 answer EPERM, which reading a file never gives. There is no way round: checking
        // names ourselves would be a second, weaker resolver.
        let hint = match error {
            Errno::NOSYS | Errno::PERM => {
                "; dormouse needs openat2: Linux 5.6 or newer, and no seccomp filter against it (RestrictSUIDSGID= is one)"
            }
            _ => "",
        };
        error!(path, "files: cannot open {path}: {error}{hint}");
        Self::Status(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_statuses() {
        let below = |error| Refusal::below(Path::new("/srv"), b"a", error);
        assert_eq!(below(Errno::AGAIN), Refusal::WouldBlock);
        for (error, status) in [
            (Errno::NOENT, 404),
            (Errno::NAMETOOLONG, 404),
            (Errno::XDEV, 404),
            (Errno::ACCESS, 403),
            (Errno::NOSYS, 500),
            (Errno::PERM, 500),
            (Errno::IO, 500),
            (Errno::MFILE, 503),
        ] {
            assert_eq!(below(error), Refusal::Status(StatusCode::from_u16(status).unwrap()), "{error}");
        }
        let root = |error| Refusal::of_root(Path::new("/srv"), error);
        assert_eq!(root(Errno::NOENT), Refusal::Status(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(root(Errno::ACCESS), Refusal::Status(StatusCode::FORBIDDEN));
    }
}

//! How many descriptors this process may have open, and the programs it starts.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit as whoever started us has set it; empty if it was not raised.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises it as far as the administrator allows (LimitNOFILE=, the hard limit): there is a descriptor a connection.
pub(crate) fn raise() {
    let before = getrlimit(Resource::Nofile);
    if before.current == before.maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before }) {
        Ok(()) => _ = BEFORE.set(before), // the first engine's, if there are several
        Err(error) => tracing::debug!(%error, "cannot raise the open-files limit"),
    }
}

/// What it was before it was raised: what programs get. Those that use select(2) break with larger numbers, and others
/// close all there may be, one by one (systemd.exec(5) on LimitNOFILE=).
#[cfg(feature = "daemon")]
pub(crate) fn before() -> Option<Rlimit> {
    BEFORE.get().copied()
}

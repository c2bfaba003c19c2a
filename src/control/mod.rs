//! The control socket, by which `dormouse why` asks a dormouse that runs.
//!
//! `control.sock` in the runtime directory is made when the process is ready and removed when it leaves. systemd knows
//! nothing of it, so asking never wakes anybody: where nothing listens, nothing runs. A question holds the process while
//! it is answered, and restarts no clock.
//!
//! One line in (`why`), one JSON document out, and the end. The document has a `version`; members are added without a
//! new one.

pub mod client;
pub mod document;
mod server;

use std::time::Duration;

pub use self::server::{Desk, bind, serve};

/// Its name in the runtime directory.
pub const SOCKET: &str = "control.sock";

/// The version of the protocol and its document.
pub const VERSION: u64 = 1;

/// The only question there is.
pub const WHY: &str = "why";

/// How long one exchange may take, from its connection to its end.
const LIMIT: Duration = Duration::from_secs(2);

/// How many are answered at once; the next ones wait in the kernel.
const MOST_AT_ONCE: usize = 8;

/// The longest question, in bytes.
const LONGEST_LINE: usize = 64;

//! When to be there and when to leave. Knows nothing of HTTP.
//!
//! ```text
//! Starting -> Serving <-> Closing -> Committed -> gone
//! Starting | Serving | Closing -> Draining -> gone          (in Committed signals change nothing)
//! ```
//!
//! - [`phase`]: the machine above, pure: facts and `now` in, one step out;
//! - [`activity`]: what must not be left (holds) and what restarts the clock (extends), counted on edges;
//! - [`keeper`]: the one task that owns the listeners, accepts, and alone decides to leave;
//! - [`doors`], [`shortage`], [`partners`]: what it listens on, what is said when nothing more fits, whom it works with;
//! - `calls`: the way to those of them that may block;
//! - [`signals`], [`notify`], [`status`], [`story`], [`time_of_day`]: what it hears, and what it tells systemd and people;
//! - [`life`]: one life of the process as a value, for the story and for whoever keeps it;
//! - [`footprint`]: what it keeps of the machine's memory.

pub mod activity;
mod calls;
pub mod doors;
pub mod footprint;
pub mod keeper;
pub mod life;
pub mod notify;
pub mod partners;
pub mod phase;
pub mod shortage;
pub mod signals;
pub mod status;
pub mod story;
pub mod time_of_day;
pub mod word;

use std::time::Duration;

pub use activity::{Activity, Hold};
pub use keeper::Keeper;
pub use life::{End, Figures, Life};
pub use partners::{Connections, Hooks};
pub use phase::{Exit, Phase};

/// When to sleep, and how to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sleep {
    /// Quiet after the last request that counts; `None`: never sleep. Default 30 s.
    pub after: Option<Duration>,
    /// Awake at least this long, and until the first request that counts. Default 2 s.
    pub min_awake: Duration,
    /// How long idle connections may linger when they are closed. Default 200 ms.
    pub grace: Duration,
    /// How long a drain may take (SIGTERM). Default 20 s.
    pub drain: Duration,
}

impl Default for Sleep {
    fn default() -> Self {
        Self {
            after: Some(Duration::from_secs(30)),
            min_awake: Duration::from_secs(2),
            grace: Duration::from_millis(200),
            drain: Duration::from_secs(20),
        }
    }
}

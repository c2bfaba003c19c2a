//! Connections: from an accepted stream to the last byte of the last answer.

pub mod exchange;

pub use exchange::{Exchange, Peer, Serve};

/// Anything that may have gone wrong in somebody else's service or body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

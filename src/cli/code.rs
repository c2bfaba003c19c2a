//! Exit codes: those of sysexits.h where it has one.

/// All is well: served and asleep, stopped, or nothing wrong with the config.
pub const OK: u8 = 0;
/// The command was used wrongly.
pub const USAGE: u8 = 64;
/// What was asked runs, and does not answer.
pub const UNAVAILABLE: u8 = 69;
/// Something failed that should not.
pub const SOFTWARE: u8 = 70;
/// Cut by a second signal.
pub const CUT: u8 = 75;
/// This user may not ask.
pub const NO_PERMISSION: u8 = 77;
/// The config is bad.
pub const CONFIG: u8 = 78;

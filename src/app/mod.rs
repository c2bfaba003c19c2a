//! Apps: backends that dormouse starts on the first request and stops when they are quiet.
//!
//! [`mod@unit`] is an app that is a systemd unit of its own; [`sandbox`] tells whether dormouse's own unit lets it start
//! programs that need more than a web server does.

pub mod sandbox;
pub mod unit;

//! Apps: backends that dormouse starts on the first request and stops when they are quiet.
//!
//! [`unit`] is an app that is a systemd unit of its own.

pub mod unit;

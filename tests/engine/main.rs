//! The engine from outside: a real program with inherited sockets, real connections, real signals.
//!
//! One file a subject; [`harness`] plays systemd.
#![cfg(feature = "daemon")] // activate-exec, which hands the sockets over, is the daemon's

mod drain;
mod embedding;
mod framing;
mod harness;
mod http1;
mod http2;
mod identity;
mod instant;
mod limits;
mod masses;
mod pressure;
mod quiet;
mod sleep;
mod sockets;
mod streams;
mod wire;

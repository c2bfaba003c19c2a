//! Sites on the engine, asked over a Unix socket: the way of a request from route to answer.

mod answers;
mod chain;
mod harness;
mod limits;
mod mended;

//! Proxy, apps and their guards from outside: the built binary, and upstreams that the tests play themselves.
//!
//! One file a subject; `upstream` plays the other side.

mod apps;
mod bodies;
mod errors;
mod gather;
mod gone;
mod guards;
#[allow(dead_code)] // the engine's tests use the rest
#[path = "../engine/harness.rs"]
mod harness;
mod head;
mod http2;
mod masses;
mod pool;
#[allow(dead_code)] // those of `why` use the rest
#[path = "../why/site.rs"]
mod site;
mod times;
mod upgrades;
mod upstream;

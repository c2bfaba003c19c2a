//! An untouched axum app that sleeps when nobody asks.
//!
//! ```sh
//! cargo run --example axum                                         # binds 127.0.0.1:3000, never sleeps
//! systemd-socket-activate -l 3000 target/debug/examples/axum       # starts with the first connection, leaves when quiet
//! ```

use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use dormouse::{Engine, Exit, Sockets};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Router::new()
        .route("/", get(|| async { "hello from axum\n" }))
        .route("/hello/{name}", get(|Path(name): Path<String>| async move { format!("hello, {name}\n") }));

    let sockets = Sockets::inherited()?.or_bind("127.0.0.1:3000")?;
    match Engine::new(sockets).sleep_after(Duration::from_secs(10)).serve_tower(app)? {
        Exit::Cut => std::process::exit(75),
        Exit::Asleep | Exit::Drained | Exit::Overdue => Ok(()),
    }
}

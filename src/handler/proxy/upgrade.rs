//! Connections that speak another protocol from here on.

use bytes::Bytes;
use hyper::Response;
use hyper::header::UPGRADE;
use hyper::upgrade::OnUpgrade;

use super::hop;
use super::passing::leaving;
use crate::app::Lease;
use crate::handler::Body;
use crate::server::Exchange;
use crate::upstream::Wire;
use crate::upstream::tunnel::{Language, Tunnel};

/// The client's 101, made of the upstream's. From then on bytes pass both ways until both have ended.
pub fn answer(
    head: Response<()>,
    client: OnUpgrade,
    (wire, read): (Wire, Bytes),
    exchange: Exchange,
    mut lease: Option<Lease>,
) -> Response<Body> {
    let (mut head, ()) = head.into_parts();
    let protocol = head.headers.get(UPGRADE).cloned();
    hop::strip(&mut head.headers);
    let is_websocket =
        protocol.as_ref().is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let language = if is_websocket { Language::WebSocket } else { Language::Other };
    hop::say(&mut head.headers, &hop::Passed { upgrade: protocol, wants_trailers: false });
    head.extensions.clear();
    // The engine knows an upgraded connection, and holds for it until its bytes have ended; so nobody waits for the task.
    tokio::spawn(async move {
        let Ok(client) = client.await else { return }; // gone before it began
        let app = lease.as_mut().map(|lease| lease.become_stream(&exchange));
        let tunnel = Tunnel { client, upstream: wire, read, language };
        let moved = || {
            if let Some(lease) = &lease {
                lease.moved();
            }
        };
        if let Err(error) = tunnel.pass(leaving(exchange.clone(), app), moved).await {
            tracing::debug!(peer = %exchange.peer(), %error, "an upgraded connection broke");
        }
    });
    Response::from_parts(head, Body::Empty)
}

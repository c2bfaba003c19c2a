//! What lies behind the routes that hand requests on: connections to other servers.

pub mod websocket;

//! Who the client is and what it asked for, when somebody in front of dormouse says so: `[trust] proxies`.

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{FORWARDED, HeaderName, HeaderValue};

use crate::activation::Peer;
use crate::server::Exchange;

/// The names of the headers by which proxies tell of the client; only those in `[trust]` are believed.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The scheme the client used.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The host the client asked for.
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What other proxies say of the client beside those three: not believed from strangers either.
const OTHERS: [HeaderName; 5] = [
    FORWARDED,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-server"),
];

/// Who asks, as far as it can be told.
#[derive(Clone, Copy, Debug)]
pub struct Client<'e> {
    /// Whoever is at the other end: the kernel's word, or that of a trusted proxy by the PROXY protocol.
    pub near: &'e Peer,
    /// Whether what the request's headers say of somebody behind it is believed.
    pub is_trusted: bool,
}

impl<'e> Client<'e> {
    /// The client of an exchange.
    pub fn of(exchange: &'e Exchange) -> Self {
        Self { near: exchange.client(), is_trusted: exchange.trusts_client() }
    }

    /// The address of whoever is near; a Unix peer has none.
    pub fn address(&self) -> Option<IpAddr> {
        match self.near {
            Peer::Tcp(address) => Some(address.ip().to_canonical()),
            Peer::Unix(_) => None,
        }
    }

    /// Takes away what a stranger's request says of somebody behind it.
    pub fn clean(&self, headers: &mut HeaderMap) {
        // In one pass: most requests say nothing, and to look for each takes longer.
        let may_tell = |name: &HeaderName| *name == FORWARDED || name.as_str().starts_with("x-");
        if self.is_trusted || !headers.keys().any(may_tell) {
            return;
        }
        for name in [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST].iter().chain(&OTHERS) {
            headers.remove(name);
        }
    }

    /// The scheme the client used.
    pub fn scheme(&self, headers: &HeaderMap) -> HeaderValue {
        let said = headers.get(X_FORWARDED_PROTO).filter(|_| self.is_trusted);
        said.cloned().unwrap_or(HeaderValue::from_static("http"))
    }
}

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

/// How names begin by which proxies tell of a client (`X-Forwarded-Port`, `-Prefix`, `-Ssl`), and another that does.
const PREFIX: &[u8] = b"x-forwarded-";
const X_REAL_IP: &[u8] = b"x-real-ip";

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
        if self.is_trusted || !headers.keys().any(tells) {
            return;
        }
        let telling: Vec<_> = headers.keys().filter(|name| tells(name)).cloned().collect();
        for name in telling {
            headers.remove(name);
        }
    }

    /// The scheme the client used.
    pub fn scheme(&self, headers: &HeaderMap) -> HeaderValue {
        let said = headers.get(X_FORWARDED_PROTO).filter(|_| self.is_trusted);
        said.cloned().unwrap_or(HeaderValue::from_static("http"))
    }
}

/// Whether a header of this name tells of a client. An underscore counts as the dash that it is to whoever makes variables
/// of headers: `X_Forwarded_For` is HTTP_X_FORWARDED_FOR too (RFC 3875 section 4.1.18).
fn tells(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let is = |name: &[u8], known: &[u8]| {
        name.len() == known.len()
            && name.iter().zip(known).all(|(byte, known)| byte == known || (*byte == b'_' && *known == b'-'))
    };
    match name.first() {
        Some(b'f') => name == FORWARDED.as_str().as_bytes(),
        Some(b'x') => name.get(..PREFIX.len()).is_some_and(|start| is(start, PREFIX)) || is(name, X_REAL_IP),
        _ => false,
    }
}

//! Who the client is and what it asked for, when somebody in front of dormouse says so: `[trust] proxies`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

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

/// Whoever asks in the end: the client itself, or somebody for whom those in `[trust]` ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its address; a Unix peer for whom nobody has named one has none.
    pub address: Option<IpAddr>,
    /// Its port, which headers do not tell.
    pub port: Option<u16>,
}

impl Remote {
    /// Whoever asks in this exchange, by the request's headers if they are believed.
    pub fn of(exchange: &Exchange, headers: &HeaderMap) -> Self {
        Client::of(exchange).remote(headers, |address| exchange.trusts_address(address))
    }
}

/// The address, or `unix`.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => address.fmt(f),
            None => f.write_str("unix"),
        }
    }
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

    /// Whoever asks in the end. Each proxy adds to `X-Forwarded-For` by whom it was asked, so of a list that is believed
    /// the right-most counts that is not itself one of those trusted; what stands further left anybody may have written.
    /// What is no address (`unknown`) is the end of what is known.
    pub fn remote(&self, headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Remote {
        let port = match self.near {
            Peer::Tcp(address) => Some(address.port()),
            Peer::Unix(_) => None,
        };
        let mut remote = Remote { address: self.address(), port };
        if !self.is_trusted {
            return remote;
        }
        let lists = headers.get_all(X_FORWARDED_FOR).iter().rev();
        let named = lists.flat_map(|list| list.as_bytes().rsplit(|byte| *byte == b','));
        for address in named.map_while(address_in) {
            remote = Remote { address: Some(address), port: None };
            if !is_trusted(address) {
                break;
            }
        }
        remote
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

/// An element of `X-Forwarded-For`; some write the port too, and brackets.
fn address_in(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn remote(near: &str, is_trusted: bool, lists: &[&[u8]]) -> String {
        let peer = near.parse().map_or(Peer::Unix(None), Peer::Tcp);
        let line = |list: &&[u8]| (X_FORWARDED_FOR, HeaderValue::from_bytes(list).expect("a value"));
        let mut headers = HeaderMap::new();
        headers.extend(lists.iter().map(line));
        let trusts = |address: IpAddr| address.to_string().starts_with("10.");
        Client { near: &peer, is_trusted }.remote(&headers, trusts).to_string()
    }

    #[test]
    fn the_right_most_who_is_not_trusted_asks() {
        for (near, is_trusted, lists, expected) in [
            ("192.0.2.7:1", false, &[&b"6.6.6.6"[..]][..], "192.0.2.7"),
            ("[::ffff:192.0.2.7]:1", false, &[], "192.0.2.7"),
            ("10.0.0.1:1", true, &[], "10.0.0.1"),
            ("10.0.0.1:1", true, &[b"6.6.6.6, 192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1:1", true, &[b"6.6.6.6, 192.0.2.7, 10.0.0.2 ,10.0.0.3"], "192.0.2.7"),
            ("10.0.0.1:1", true, &[b"6.6.6.6", b"192.0.2.7", b"10.0.0.2"], "192.0.2.7"),
            ("10.0.0.1:1", true, &[b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1:1", true, &[b"192.0.2.7:4711"], "192.0.2.7"),
            ("10.0.0.1:1", true, &[b"[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1:1", true, &[b"[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1:1", true, &[b"6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1:1", true, &[b"6.6.6.6, \xff"], "10.0.0.1"),
            ("10.0.0.1:1", true, &[b""], "10.0.0.1"),
            ("unix", false, &[b"6.6.6.6"], "unix"),
            ("unix", true, &[], "unix"),
            ("unix", true, &[b"unix:"], "unix"),
            ("unix", true, &[b"192.0.2.7"], "192.0.2.7"),
        ] {
            assert_eq!(remote(near, is_trusted, lists), expected, "{near} {lists:?}");
        }
    }

    #[test]
    fn a_port_is_the_kernels_word_alone() {
        let (peer, headers) = (Peer::Tcp("192.0.2.7:4711".parse().expect("an address")), HeaderMap::new());
        let port = |headers| Client { near: &peer, is_trusted: true }.remote(headers, |_| false).port;
        assert_eq!(port(&headers), Some(4711));
        assert_eq!(
            port(&[(X_FORWARDED_FOR, HeaderValue::from_static("6.6.6.6:1"))].into_iter().collect()),
            None
        );
    }

    proptest! {
        /// What a client writes stands left of what the proxy adds.
        #[test]
        fn nobody_passes_for_another(written in "[0-9a-f.:, \\[\\]]{0,30}|\\PC{0,20}") {
            if HeaderValue::from_str(&written).is_ok() {
                let list = format!("{written},192.0.2.7");
                prop_assert_eq!(remote("10.0.0.1:1", true, &[list.as_bytes()]), "192.0.2.7");
                prop_assert_eq!(remote("192.0.2.7:1", false, &[written.as_bytes()]), "192.0.2.7");
            }
        }
    }
}

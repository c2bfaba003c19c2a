//! Which peers are believed when they say on whose behalf they ask, pure.
//!
//! A proxy, a load balancer or a TLS terminator says it in a PROXY header or in headers of the request. Believed from
//! anybody, a client could pass for any other: so by default nobody is.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

use crate::activation::Peer;

/// Bits before an IPv4 address that is written as an IPv6 one (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// The peers that may say on whose behalf they ask. Default: nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    nets: Vec<Net>,
    trusts_unix: bool,
}

/// One entry of a [`Trust`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// Any peer of a Unix socket: the socket's mode says who that can be.
    Unix,
    /// The peers in a net.
    Net(Net),
}

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// Its first address; never an IPv4 address in an IPv6 one.
    first: IpAddr,
    prefix: u8,
}

/// Why something is no entry of a [`Trust`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrustError {
    /// `localhost`
    #[error(
        "{0:?} is no address; write one like \"10.0.0.1\" or \"::1\", a net like \"10.0.0.0/8\", or \"unix\""
    )]
    NoAddress(String),
    /// `10.0.0.0/33`
    #[error("{entry:?} has no length of a prefix after the slash; write a number from 0 to {most}")]
    NoPrefix {
        /// As written.
        entry: String,
        /// The bits of such an address.
        most: u8,
    },
    /// `10.1.0.0/8`
    #[error(
        "{entry:?} is not the first address of its net; write {net:?} for all of it, or {address:?} for one"
    )]
    HostBits {
        /// As written.
        entry: String,
        /// The net it lies in.
        net: String,
        /// The address alone.
        address: String,
    },
}

impl Trust {
    /// One entry: a net in CIDR notation (`10.0.0.0/8`, `fd00::/8`), an address, which is a net of one, or `unix`.
    ///
    /// # Errors
    /// When it is none of these, or a net is not written with its first address.
    pub fn parse_one(entry: &str) -> Result<Trusted, TrustError> {
        if entry == "unix" {
            return Ok(Trusted::Unix);
        }
        let (address, prefix) = entry.split_once('/').map_or((entry, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| TrustError::NoAddress(entry.to_owned()))?;
        let most = bits(address);
        let prefix = match prefix {
            None => most,
            Some(prefix) => number(prefix)
                .filter(|prefix| *prefix <= most)
                .ok_or_else(|| TrustError::NoPrefix { entry: entry.to_owned(), most })?,
        };
        let net = Net::around(address, prefix);
        if prefix < most && !net.begins_at(address) {
            let (net, address) = (net.to_string(), address.to_string());
            return Err(TrustError::HostBits { entry: entry.to_owned(), net, address });
        }
        Ok(Trusted::Net(net))
    }

    /// Whether this peer is believed.
    pub fn trusts(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Tcp(address) => self.trusts_ip(address.ip()),
            Peer::Unix(_) => self.trusts_unix,
        }
    }

    /// Whether a peer with this address is believed. An IPv4 address in an IPv6 one (`::ffff:10.0.0.1`) counts as what it
    /// is.
    pub fn trusts_ip(&self, ip: IpAddr) -> bool {
        self.nets.iter().any(|net| net.has(ip))
    }
}

impl FromIterator<Trusted> for Trust {
    fn from_iter<I: IntoIterator<Item = Trusted>>(entries: I) -> Self {
        let mut trust = Self::default();
        for entry in entries {
            match entry {
                Trusted::Unix => trust.trusts_unix = true,
                Trusted::Net(net) => trust.nets.push(net),
            }
        }
        trust
    }
}

impl Net {
    /// The net of this length that an address lies in.
    fn around(address: IpAddr, prefix: u8) -> Self {
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(mapped)) if prefix >= MAPPED_BITS => {
                let prefix = prefix - MAPPED_BITS;
                Self { first: masked(mapped.into(), prefix), prefix }
            }
            _ => Self { first: masked(address, prefix), prefix },
        }
    }

    fn begins_at(self, address: IpAddr) -> bool {
        self.first == address || self.first == address.to_canonical()
    }

    fn has(self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.first.is_ipv4() && masked(ip, self.prefix) == self.first
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl fmt::Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix => f.write_str("unix"),
            Self::Net(net) => net.fmt(f),
        }
    }
}

/// Bits of an address of this family.
fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all bits after the first so many cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let cleared = u32::from(bits(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(cleared).unwrap_or(0)).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(cleared).unwrap_or(0)).into()),
    }
}

/// Digits alone: `+8` is no length of a prefix.
fn number(digits: &str) -> Option<u8> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trust(entries: &[&str]) -> Trust {
        entries.iter().map(|entry| Trust::parse_one(entry).expect("an entry")).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn nobody_by_default() {
        for peer in [Peer::Tcp("127.0.0.1:1".parse().expect("an address")), Peer::Unix(Some(1))] {
            assert!(!Trust::default().trusts(&peer));
        }
    }

    #[test]
    fn nets_addresses_and_unix() {
        let trust = trust(&["10.0.0.0/8", "192.0.2.7", "fd00::/8", "::1/128"]);
        for inside in ["10.0.0.0", "10.255.255.255", "192.0.2.7", "fd12::1", "::1", "::ffff:10.1.2.3"] {
            assert!(trust.trusts_ip(ip(inside)), "{inside}");
        }
        for outside in
            ["11.0.0.0", "9.255.255.255", "192.0.2.6", "fe00::", "::2", "::ffff:11.0.0.0", "::a00:1"]
        {
            assert!(!trust.trusts_ip(ip(outside)), "{outside}");
        }
        assert!(!trust.trusts(&Peer::Unix(None)));
        assert!(super::Trust::from_iter([Trusted::Unix]).trusts(&Peer::Unix(Some(7))));
    }

    #[test]
    fn everybody_of_one_family_is_nobody_of_the_other() {
        assert!(trust(&["0.0.0.0/0"]).trusts_ip(ip("::ffff:1.2.3.4")));
        assert!(!trust(&["0.0.0.0/0"]).trusts_ip(ip("::1")));
        assert!(trust(&["::/0"]).trusts_ip(ip("::1")));
        assert!(!trust(&["::/0"]).trusts_ip(ip("1.2.3.4")));
        assert!(trust(&["::ffff:10.0.0.0/104"]).trusts_ip(ip("10.1.2.3")), "written as IPv6, meant as IPv4");
    }

    #[test]
    fn says_what_is_wrong_and_the_way_out() {
        let error = |entry| Trust::parse_one(entry).expect_err("no entry").to_string();
        for entry in ["localhost", "", "10.0.0", "010.0.0.1", "Unix", "unix:/run/x", " ::1", "fe80::1%eth0"] {
            assert!(
                error(entry).starts_with(&format!("{entry:?} is no address; write one like ")),
                "{entry}"
            );
        }
        for entry in
            ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/-1", "10.0.0.0/300"]
        {
            assert!(error(entry).ends_with("write a number from 0 to 32"), "{}", error(entry));
        }
        assert!(error("::/129").ends_with("from 0 to 128"));
        assert_eq!(
            error("10.1.2.3/8"),
            "\"10.1.2.3/8\" is not the first address of its net; write \"10.0.0.0/8\" for all of it, or \
             \"10.1.2.3\" for one"
        );
        assert!(error("fd00::1/8").contains("write \"fd00::/8\" for all of it"));
    }

    prop_compose! {
        fn address()(v4 in any::<u32>(), v6 in any::<u128>(), kind in 0..3) -> IpAddr {
            match kind {
                0 => IpAddr::V4(v4.into()),
                1 => IpAddr::V6(std::net::Ipv4Addr::from(v4).to_ipv6_mapped()),
                _ => IpAddr::V6(v6.into()),
            }
        }
    }

    proptest! {
        #[test]
        fn a_net_has_exactly_what_begins_as_it_does(inside in any::<u32>(), other in any::<u32>(), prefix in 0u8..=32) {
            let net = masked(IpAddr::V4(inside.into()), prefix);
            let trust = trust(&[&format!("{net}/{prefix}")]);
            let same = prefix == 0 || (inside ^ other) >> (32 - prefix) == 0;
            prop_assert_eq!(trust.trusts_ip(IpAddr::V4(other.into())), same);
            prop_assert_eq!(trust.trusts_ip(IpAddr::V6(std::net::Ipv4Addr::from(other).to_ipv6_mapped())), same);
        }

        #[test]
        fn an_address_is_a_net_of_one(one in address(), other in address()) {
            let trust = trust(&[&one.to_string()]);
            prop_assert!(trust.trusts_ip(one));
            prop_assert_eq!(trust.trusts_ip(other), one.to_canonical() == other.to_canonical());
        }

        #[test]
        fn the_net_an_error_names_is_one(address in address(), prefix in 0u8..=128) {
            let entry = format!("{address}/{prefix}");
            match Trust::parse_one(&entry) {
                Ok(net) => prop_assert!(Trust::from_iter([net]).trusts_ip(address)),
                Err(TrustError::HostBits { net, .. }) => {
                    let net = Trust::parse_one(&net).expect("a net");
                    let mapped = address.is_ipv6() && address.to_canonical().is_ipv4();
                    prop_assert!(Trust::from_iter([net]).trusts_ip(address) || (mapped && prefix < 96));
                }
                Err(error) => prop_assert!(prefix > bits(address), "{error}"),
            }
        }

        #[test]
        fn no_text_panics(text in "[0-9a-fu:./x ]{0,24}") {
            if let Ok(entry) = Trust::parse_one(&text) {
                prop_assert_eq!(Trust::parse_one(&entry.to_string()), Ok(entry));
            }
        }
    }
}

//! The PROXY protocol's header: on whose behalf a proxy has opened a connection, said before the first byte of what it
//! passes on. Versions 1 (a line of text) and 2 (binary), as haproxy's `doc/proxy-protocol.txt` has them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What version 1 begins with.
const START_1: &[u8] = b"PROXY ";
/// What version 2 begins with: no other protocol does.
const START_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header of version 1, its CRLF included (section 2.1).
const MAX_1: usize = 107;
/// Of version 2, what comes before the addresses: signature, command, family, length.
const FIXED_2: usize = 16;
/// The most that follows it here, in bytes. It may say 65,535; addresses take 216 at most, the rest is for TLVs, which
/// nobody reads.
const MAX_REST_2: usize = 2048;

/// What a connection's first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No PROXY header: all of it is the client's.
    Nothing,
    /// Nothing else by now, but more has to come.
    Begun,
    /// A header of this many bytes; what follows it is the client's.
    Header(usize, Said),
    /// A header that is none.
    Malformed,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The proxy asks for itself: a health check.
    Local,
    /// On whose behalf it asks, and where that client has connected to.
    Addresses {
        /// The client.
        source: SocketAddr,
        /// What the client has connected to.
        destination: SocketAddr,
    },
    /// On behalf of a client that came to a Unix socket of its own.
    Unix,
    /// On somebody's behalf; it does not know whose.
    Unknown,
}

/// Looks for a header at the beginning of `bytes`, all that has come of a connection so far.
pub fn find(bytes: &[u8]) -> Found {
    if begins_as(bytes, START_2) {
        return find_2(bytes);
    }
    if !begins_as(bytes, START_1) {
        return Found::Nothing;
    }
    let line = &bytes[..bytes.len().min(MAX_1)];
    match line.windows(2).position(|end| end == b"\r\n") {
        Some(end) => {
            let said = line.get(START_1.len()..end).and_then(line_1);
            said.map_or(Found::Malformed, |said| Found::Header(end + 2, said))
        }
        None if line.len() < MAX_1 => Found::Begun,
        None => Found::Malformed,
    }
}

/// Whether one begins with the other, as far as both go.
fn begins_as(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(byte, expected)| byte == expected)
}

/// What a line of version 1 says between its first word and its end.
fn line_1(line: &[u8]) -> Option<Said> {
    let mut words = line.split(|byte| *byte == b' ');
    let is_ipv4 = match words.next()? {
        b"UNKNOWN" => return Some(Said::Unknown), // with whatever follows (section 2.1)
        b"TCP4" => true,
        b"TCP6" => false,
        _ => return None,
    };
    let mut word = || std::str::from_utf8(words.next()?).ok();
    let source = address_1(word()?, is_ipv4)?;
    let destination = address_1(word()?, is_ipv4)?;
    let source = SocketAddr::new(source, port_1(word()?)?);
    let destination = SocketAddr::new(destination, port_1(word()?)?);
    words.next().is_none().then_some(Said::Addresses { source, destination })
}

fn address_1(text: &str, is_ipv4: bool) -> Option<IpAddr> {
    if is_ipv4 { text.parse().ok().map(IpAddr::V4) } else { text.parse().ok().map(IpAddr::V6) }
}

/// Digits without zeros before them.
fn port_1(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_number.then(|| text.parse().ok()).flatten()
}

fn find_2(bytes: &[u8]) -> Found {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_2>() else { return Found::Begun };
    let [.., command, family, len_high, len_low] = *fixed;
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    if len > MAX_REST_2 || command >> 4 != 2 {
        return Found::Malformed;
    }
    let Some(rest) = rest.get(..len) else { return Found::Begun };
    let said = match command & 0xf {
        0 => Some(Said::Local), // whatever family it gives
        1 => addresses_2(family, rest),
        _ => None,
    };
    said.map_or(Found::Malformed, |said| Found::Header(FIXED_2 + len, said))
}

/// What version 2 says of a client. A datagram's is one too: HTTP/3 reaches the proxy so.
fn addresses_2(family: u8, rest: &[u8]) -> Option<Said> {
    match (family >> 4, family & 0xf) {
        (0..=3, 0) | (0, 1 | 2) => Some(Said::Unknown),
        (1, 1 | 2) => pair_2::<4>(rest),
        (2, 1 | 2) => pair_2::<16>(rest),
        (3, 1 | 2) => (rest.len() >= 216).then_some(Said::Unix), // two paths of 108 bytes
        _ => None,
    }
}

/// Two addresses of so many bytes, then their ports.
fn pair_2<const N: usize>(bytes: &[u8]) -> Option<Said>
where
    IpAddr: From<[u8; N]>,
{
    let (source, bytes) = bytes.split_first_chunk::<N>()?;
    let (destination, bytes) = bytes.split_first_chunk::<N>()?;
    let [a, b, c, d] = *bytes.first_chunk::<4>()?;
    let source = SocketAddr::new((*source).into(), u16::from_be_bytes([a, b]));
    let destination = SocketAddr::new((*destination).into(), u16::from_be_bytes([c, d]));
    Some(Said::Addresses { source, destination })
}

/// A header of version 2: `source` is asked for, and has connected to `destination`. Of two families both are written as
/// IPv6, the IPv4 address in one (`::ffff:192.0.2.1`).
pub fn encode_v2(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut rest = Vec::with_capacity(36);
    let family = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            rest.extend(source.octets());
            rest.extend(destination.octets());
            0x11
        }
        (source, destination) => {
            rest.extend(in_ipv6(source).octets());
            rest.extend(in_ipv6(destination).octets());
            0x21
        }
    };
    rest.extend(source.port().to_be_bytes());
    rest.extend(destination.port().to_be_bytes());
    header_2(0x21, family, &rest)
}

/// A header of version 2 for a connection that the proxy opens on nobody's behalf.
pub fn encode_v2_local() -> Vec<u8> {
    header_2(0x20, 0, &[])
}

fn in_ipv6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// `rest` is what is said of addresses: 36 bytes at most.
fn header_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = START_2.to_vec();
    header.extend([command, family, 0, u8::try_from(rest.len()).unwrap_or(u8::MAX)]);
    header.extend(rest);
    header
}

#[cfg(test)]
mod tests;

use super::*;
use proptest::prelude::*;
use std::net::Ipv4Addr;

fn tcp(source: &str, destination: &str) -> Said {
    let parse = |text: &str| text.parse().expect("an address");
    Said::Addresses { source: parse(source), destination: parse(destination) }
}

fn header_2_of(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = START_2.to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(rest.len()).expect("short").to_be_bytes());
    header.extend(rest);
    header
}

#[test]
fn lines_of_version_1() {
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_1 - 16));
    for (line, expected) in [
        ("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", tcp("192.0.2.7:56324", "198.51.100.1:443")),
        ("PROXY TCP6 2001:db8::7 ::1 0 65535\r\n", tcp("[2001:db8::7]:0", "[::1]:65535")),
        ("PROXY UNKNOWN\r\n", Said::Unknown),
        ("PROXY UNKNOWN ffff:f...f:ffff whatever \n 1 2\r\n", Said::Unknown),
        (&longest, Said::Unknown),
    ] {
        assert_eq!(find(line.as_bytes()), Found::Header(line.len(), expected), "{line:?}");
    }
    let longer = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_1 - 15));
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n",
        "PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1  2\r\n",
        "PROXY TCP4 192.0.2.7 ::1 1 2\r\n",
        "PROXY TCP6 ::1 192.0.2.7 1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\nGET / HTTP/1.1\r\n",
        "PROXY tcp4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        &longer,
    ] {
        assert_eq!(find(line.as_bytes()), Found::Malformed, "{line:?}");
    }
}

#[test]
fn headers_of_version_2() {
    let unix = [b'/'; 216];
    let with_tlvs = [&[192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb][..], &[4, 0, 3, 1, 2, 3]].concat();
    let client = tcp("192.0.2.7:56324", "198.51.100.1:443");
    for (command, family, rest, expected) in [
        (0x20, 0x00, &b""[..], Said::Local),
        (0x20, 0xff, b"whatever", Said::Local),
        (0x21, 0x00, b"\x04\0\x01a", Said::Unknown),
        (0x21, 0x11, &with_tlvs[..12], client),
        (0x21, 0x11, &with_tlvs, client),
        (0x21, 0x12, &with_tlvs, client),
        (0x21, 0x31, &unix, Said::Unix),
        (0x20, 0x00, &[0; MAX_REST_2], Said::Local),
    ] {
        let header = header_2_of(command, family, rest);
        assert_eq!(find(&header), Found::Header(header.len(), expected), "{command:x} {family:x}");
    }
    for (command, family, rest) in [
        (0x11, 0x11, &with_tlvs[..]), // no such version
        (0x22, 0x11, &with_tlvs),     // no such command
        (0x21, 0x41, &with_tlvs),     // no such family
        (0x21, 0x13, &with_tlvs),     // no such transport
        (0x21, 0x11, &with_tlvs[..11]),
        (0x21, 0x21, &[0; 35]),
        (0x21, 0x31, &unix[..215]),
        (0x20, 0x00, &[0; MAX_REST_2 + 1]),
    ] {
        let header = header_2_of(command, family, rest);
        assert_eq!(find(&header), Found::Malformed, "{command:x} {family:x} {}", rest.len());
        assert_eq!(find(&header[..FIXED_2 - 1]), Found::Begun);
    }
}

#[test]
fn what_is_none_is_the_clients() {
    for bytes in
        [&b"GET / HTTP/1.1\r\n"[..], b"POST", b"PRI * HTTP/2.0", b"PROXY\r\n", b"\r\nGET", b"\r\n\r\n\r\n"]
    {
        assert_eq!(find(bytes), Found::Nothing, "{bytes:?}");
    }
    for bytes in [&b""[..], b"P", b"PR", b"PROXY ", b"\r\n", b"\r\n\r\n"] {
        assert_eq!(find(bytes), Found::Begun, "{bytes:?}");
    }
}

prop_compose! {
    fn address()(v4 in any::<u32>(), v6 in any::<u128>(), is_ipv4 in any::<bool>(), port in any::<u16>()) -> SocketAddr {
        if is_ipv4 { (Ipv4Addr::from(v4), port).into() } else { (Ipv6Addr::from(v6), port).into() }
    }
}

/// Headers, or what is nearly one, with something behind.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let noise = || prop::collection::vec(any::<u8>(), 0..250);
    prop_oneof![
        noise(),
        (any::<u8>(), any::<u8>(), noise(), noise()).prop_map(|(command, family, rest, next)| [
            header_2_of(command, family, &rest),
            next
        ]
        .concat()),
        (0x20u8..0x23, prop::sample::select(vec![0u8, 0x11, 0x12, 0x21, 0x22, 0x31, 0x41]), noise(), noise())
            .prop_map(|(command, family, rest, next)| [header_2_of(command, family, &rest), next].concat()),
        "PROXY (TCP4|TCP6|UNKNOWN)( [0-9a-f.:]{0,9}){0,5}\r\n[a-z]{0,9}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_found(source in address(), destination in address(), next in "[a-z]{0,9}") {
        let header = encode_v2(source, destination);
        let with_next = [&header, next.as_bytes()].concat();
        let Found::Header(len, Said::Addresses { source: found, destination: other }) = find(&with_next) else {
            return Err(TestCaseError::fail("no addresses"));
        };
        prop_assert_eq!(len, header.len());
        let canonical = |address: SocketAddr| (address.ip().to_canonical(), address.port());
        prop_assert_eq!((canonical(found), canonical(other)), (canonical(source), canonical(destination)));
        if source.is_ipv4() == destination.is_ipv4() {
            prop_assert_eq!((found, other), (source, destination));
        }
        let local = encode_v2_local();
        prop_assert_eq!(find(&local), Found::Header(local.len(), Said::Local));
    }

    #[test]
    fn a_line_says_what_it_says(source in any::<u32>(), destination in any::<u32>(), a in any::<u16>(), b in any::<u16>()) {
        let (source, destination) = (Ipv4Addr::from(source), Ipv4Addr::from(destination));
        let line = format!("PROXY TCP4 {source} {destination} {a} {b}\r\n");
        let expected = Said::Addresses { source: (source, a).into(), destination: (destination, b).into() };
        prop_assert_eq!(find(line.as_bytes()), Found::Header(line.len(), expected));
    }

    /// However the bytes come: a header is not waited for beyond its end or its bound, and what was found stays found.
    #[test]
    fn pieces_make_no_difference(bytes in nearly()) {
        let whole = find(&bytes);
        for cut in 0..bytes.len() {
            match find(&bytes[..cut]) {
                Found::Begun => prop_assert!(cut < FIXED_2 + MAX_REST_2),
                Found::Header(len, said) => {
                    prop_assert!(len <= cut);
                    prop_assert_eq!(whole, Found::Header(len, said));
                }
                early => prop_assert_eq!(whole, early),
            }
        }
    }
}

//! No bytes panic the framing, and cutting them anywhere changes nothing.
//!
//! `cargo +nightly fuzz run framing`
#![no_main]

use dormouse::server::framing::body::Follower;
use dormouse::server::framing::frames::Streams;
use dormouse::server::framing::head::{BodyKind, Scanner};
use dormouse::server::framing::proxy_header::{self, Found};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (bytes, cut) = input;
    let cut = cut.min(bytes.len());

    match proxy_header::find(&bytes[..cut]) {
        Found::Begun => {}
        early => assert_eq!(early, proxy_header::find(&bytes)),
    }

    let whole = Scanner::default().scan(&bytes);
    let mut scanner = Scanner::default();
    let pieces = match scanner.scan(&bytes[..cut]) {
        Ok(None) => scanner.scan(&bytes),
        early => early,
    };
    assert_eq!(whole, pieces);

    let mut whole = Follower::new(BodyKind::Chunked);
    let mut pieces = whole.clone();
    let once = whole.advance(&bytes);
    let twice = pieces.advance(&bytes[..cut]).and_then(|first| {
        if first < cut { Ok(first) } else { pieces.advance(&bytes[cut..]).map(|second| first + second) }
    });
    assert_eq!(once, twice);

    let (mut whole, mut pieces) = (Streams::default(), Streams::default());
    whole.received(&bytes);
    pieces.received(&bytes[..cut]);
    pieces.received(&bytes[cut..]);
    assert_eq!(whole.open(), pieces.open());
});

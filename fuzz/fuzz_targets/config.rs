//! No text panics the reading of a config; every complaint has a place in the file.
//!
//! `cargo +nightly fuzz run config`
#![no_main]

use std::path::Path;

use dormouse::config::{Colour, Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(diagnostics) = Source::new(Some(Path::new("/fuzz.toml"))).parse(text) {
        assert!(diagnostics.count() > 0);
        assert!(diagnostics.lines().iter().all(|line| line.starts_with("/fuzz.toml")));
        let _ = diagnostics.render(Colour::No);
    }
});

//! Reads arbitrary bytes as TMX.

#![no_main]

use dhakira::formats::Format;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/probes.rs"]
#[allow(dead_code)]
mod probes;

fuzz_target!(|bytes: &[u8]| {
    probes::exchange_file(Some(Format::Tmx), bytes);
});

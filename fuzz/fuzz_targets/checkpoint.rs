//! Reads arbitrary bytes as a checkpoint of an index.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/probes.rs"]
#[allow(dead_code)]
mod probes;

fuzz_target!(|bytes: &[u8]| {
    probes::checkpoint(bytes);
});

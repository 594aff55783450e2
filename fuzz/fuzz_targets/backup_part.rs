//! Reads arbitrary bytes as a part of a backup.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/probes.rs"]
#[allow(dead_code)]
mod probes;

fuzz_target!(|bytes: &[u8]| {
    probes::backup_part(bytes);
});

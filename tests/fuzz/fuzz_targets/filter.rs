#![no_main]

#[path = "../bodies/mod.rs"]
#[allow(dead_code, reason = "each target uses its own body alone")]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::filter::filter(data));

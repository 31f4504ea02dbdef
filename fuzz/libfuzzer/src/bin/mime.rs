//! Drives `columba_fuzz::mime`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| columba_fuzz::mime(octets));

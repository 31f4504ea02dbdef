//! Drives `columba_fuzz::framer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| columba_fuzz::framer(octets));

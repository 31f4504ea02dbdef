//! Drives `columba_fuzz::page`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| columba_fuzz::page(octets));

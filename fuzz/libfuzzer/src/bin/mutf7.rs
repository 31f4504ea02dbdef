//! Drives `columba_fuzz::mutf7`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| columba_fuzz::mutf7(octets));

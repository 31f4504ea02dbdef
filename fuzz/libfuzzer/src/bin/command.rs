//! Drives `columba_fuzz::command`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| columba_fuzz::command(octets));

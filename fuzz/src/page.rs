//! Arbitrary octets as a page of message records: they are refused, or mean records that are written and read the same.

use columba_store::reencode_page;

/// The octets of a page.
pub fn page(octets: &[u8]) {
    if let Some(once) = reencode_page(octets, 1) {
        assert_eq!(reencode_page(&once, 1).as_ref(), Some(&once));
    }
}

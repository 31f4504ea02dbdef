//! Arbitrary octets as a mailbox name: each name has one spelling, and every text can be a name.

use columba_wire::{NameForm, RawMailbox, encode_mailbox};

/// The octets of a name, or its text.
pub fn mutf7(octets: &[u8]) {
    for form in [NameForm::ModifiedUtf7, NameForm::Utf8] {
        if let Ok(name) = RawMailbox(octets.to_vec()).decode(form) {
            assert_eq!(encode_mailbox(&name, form), octets);
        }
        if let Ok(name) = std::str::from_utf8(octets) {
            assert_eq!(RawMailbox(encode_mailbox(name, form)).decode(form).as_deref(), Ok(name));
        }
    }
}

//! Newtypes for every number of the protocol and the store. They know their range and how they print, nothing else.

use std::fmt;
use std::num::NonZeroU32;

macro_rules! nz_number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The lowest value, 1.
            pub const MIN: $name = $name(NonZeroU32::MIN);
            /// The highest value, 2^32-1.
            pub const MAX: $name = $name(NonZeroU32::MAX);

            /// `None` for zero, which the protocol never uses.
            pub const fn new(n: u32) -> Option<Self> {
                match NonZeroU32::new(n) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// The plain number, never zero.
            pub const fn value(self) -> u32 {
                self.0.get()
            }

            /// The number after this one; `None` at 2^32-1.
            pub const fn next(self) -> Option<Self> {
                match self.0.checked_add(1) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

nz_number!(
    /// A message's unique identifier in its mailbox (RFC 9051 §2.3.1.1). Never reused, always rising.
    Uid
);
nz_number!(
    /// A message's position in one client's list, counted from 1 (RFC 9051 §2.3.1.2).
    SeqNum
);
nz_number!(
    /// Says which life of a mailbox name the UIDs belong to (RFC 9051 §2.3.1.1).
    UidValidity
);

macro_rules! plain_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        /// Prints the OBJECTID form (RFC 8474 §4): a letter and 16 hexadecimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:016x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:016x}"), self.0)
            }
        }

        impl $name {
            /// Reads what `Display` prints; `None` for anything else.
            pub fn parse(text: &str) -> Option<Self> {
                let digits = text.strip_prefix($prefix)?;
                // RFC 8474 §7: case counts, so a number has one form only.
                let plain = digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten().map(Self)
            }
        }
    };
}

plain_id!(
    /// An account, for good: it survives a change of the account's name.
    AccountId, "A"
);
plain_id!(
    /// A mailbox, for good: it survives RENAME (MAILBOXID of RFC 8474).
    MailboxId, "F"
);
plain_id!(
    /// A message's content within its account, whatever mailboxes refer to it (EMAILID of RFC 8474).
    MessageId, "M"
);
plain_id!(
    /// A conversation within an account (THREADID of RFC 8474).
    ThreadId, "T"
);

/// A mailbox's modification sequence (RFC 7162 §3.1): 63 bits, rises with every commit, 0 before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ModSeq(pub u64);

impl ModSeq {
    /// Before any change.
    pub const ZERO: ModSeq = ModSeq(0);

    /// The modification sequence of the next commit.
    #[must_use]
    pub const fn next(self) -> ModSeq {
        ModSeq(self.0 + 1)
    }
}

impl fmt::Display for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModSeq({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_uid() {
        assert_eq!(Uid::new(0), None);
        assert_eq!(Uid::MAX.next(), None);
        assert_eq!(Uid::MIN.next(), Uid::new(2));
    }

    #[test]
    fn object_ids_parse_what_they_print() {
        let id = MailboxId(0x1234_5678_9abc_def0);
        assert_eq!(id.to_string(), "F123456789abcdef0");
        assert_eq!(MailboxId::parse(&id.to_string()), Some(id));
        assert_eq!(MailboxId::parse("M123456789abcdef0"), None);
        for other in ["F+23456789abcdef0", "F123456789ABCDEF0", "f123456789abcdef0", "F", "F123456789abcdef00"] {
            assert_eq!(MailboxId::parse(other), None, "{other}");
        }
    }
}

//! Flags: the five system flags, keywords, and their packed form. What a keyword's bit means is the mailbox's matter.

use std::fmt;

use crate::limits::KEYWORD_BYTES;

/// The system flags that are stored (RFC 9051 §2.3.2), as bits. \Recent is the session's matter and has no bit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct SystemFlags(pub u8);

impl SystemFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// \Seen
    pub const SEEN: Self = Self(1);
    /// \Answered
    pub const ANSWERED: Self = Self(2);
    /// \Flagged
    pub const FLAGGED: Self = Self(4);
    /// \Deleted
    pub const DELETED: Self = Self(8);
    /// \Draft
    pub const DRAFT: Self = Self(16);

    /// Every system flag with its name, in the order they are printed.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::ANSWERED, "\\Answered"),
        (Self::FLAGGED, "\\Flagged"),
        (Self::DELETED, "\\Deleted"),
        (Self::SEEN, "\\Seen"),
        (Self::DRAFT, "\\Draft"),
    ];

    /// Whether every flag of `other` is set here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The flags of this one that are not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flag of that name (`\Seen`), in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(flag, _)| *flag)
    }

    /// The names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }
}

impl fmt::Debug for SystemFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Keywords of one message as bits; bit `n` is the `n`th keyword of the mailbox's table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct KeywordBits(pub u128);

impl KeywordBits {
    /// No keyword.
    pub const NONE: Self = Self(0);

    /// The set of just bit `n`, for `n` below 128.
    pub const fn bit(n: usize) -> Self {
        Self(1 << n)
    }

    /// Whether every keyword of `other` is set here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The keywords of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The keywords of this one that are not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether no keyword is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The indices of the bits that are set, rising.
    pub fn indices(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let next = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(next)
        })
    }
}

impl fmt::Debug for KeywordBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeywordBits({:#x})", self.0)
    }
}

/// The flags of one message in packed form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Flags {
    /// System flags.
    pub system: SystemFlags,
    /// Keywords, by the table of the mailbox the message is in.
    pub keywords: KeywordBits,
}

impl Flags {
    /// No flag at all.
    pub const NONE: Self = Self { system: SystemFlags::NONE, keywords: KeywordBits::NONE };

    /// The flags of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self { system: self.system.union(other.system), keywords: self.keywords.union(other.keywords) }
    }

    /// The flags of this one that are not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self { system: self.system.difference(other.system), keywords: self.keywords.difference(other.keywords) }
    }
}

/// A keyword: an atom that does not begin with a backslash (RFC 9051 §9, `flag-keyword`). Kept as written first;
/// two keywords that differ only in case are the same one (RFC 9051 §2.3.2).
#[derive(Clone)]
pub struct Keyword(Box<str>);

/// The keywords of IANA's registry that begin with `$`, as they are registered: RFC 3503, RFC 5550, RFC 5788, RFC 8457,
/// RFC 8621, RFC 9051 and RFC 9979.
const REGISTERED: [&str; 25] = [
    "$autosent",
    "$canunsubscribe",
    "$followed",
    "$Forwarded",
    "$hasattachment",
    "$hasmemo",
    "$hasnoattachment",
    "$Important",
    "$imported",
    "$istrusted",
    "$Junk",
    "$MailFlagBit0",
    "$MailFlagBit1",
    "$MailFlagBit2",
    "$maskedemail",
    "$MDNSent",
    "$memo",
    "$muted",
    "$new",
    "$NotJunk",
    "$notify",
    "$Phishing",
    "$Submitted",
    "$SubmitPending",
    "$unsubscribed",
];

/// What was given as a keyword is not an atom, or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidKeyword;

impl fmt::Display for InvalidKeyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a keyword is an atom of at most {KEYWORD_BYTES} octets that does not begin with a backslash")
    }
}

impl std::error::Error for InvalidKeyword {}

impl Keyword {
    /// Checks the grammar: printable ASCII without the specials of `atom`. A registered keyword gets its registered spelling.
    pub fn new(text: &str) -> Result<Self, InvalidKeyword> {
        let atom_char = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
        let valid = !text.is_empty() && text.len() <= KEYWORD_BYTES && text.bytes().all(atom_char);
        if !valid {
            return Err(InvalidKeyword);
        }
        let registered = text.starts_with('$').then(|| REGISTERED.iter().find(|k| k.eq_ignore_ascii_case(text)));
        Ok(Self(registered.flatten().map_or(text, |spelling| spelling).into()))
    }

    /// As it was first written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl std::hash::Hash for Keyword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One flag as a client names it.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Flag {
    /// Exactly one system flag.
    System(SystemFlags),
    /// A keyword.
    Keyword(Keyword),
}

impl Flag {
    /// Reads `\Seen` or `$Forwarded`. \Recent and unknown backslash flags are no flags that can be stored.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyword> {
        match SystemFlags::parse(text) {
            Some(flag) => Ok(Self::System(flag)),
            None => Keyword::new(text).map(Self::Keyword),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_ignore_case_and_refuse_specials() {
        assert_eq!(Keyword::new("$Forwarded"), Keyword::new("$FORWARDED"));
        // RFC 9979 §9.1, RFC 8457 §6.1: what is registered has one spelling.
        assert_eq!(Keyword::new("$MAILflagbit2").unwrap().as_str(), "$MailFlagBit2");
        assert_eq!(Keyword::new("$important").unwrap().as_str(), "$Important");
        assert_eq!(Keyword::new("Work").unwrap().as_str(), "Work");
        for bad in ["", "\\Seen", "a b", "a(", "a\r\n", "ä", "a]"] {
            assert_eq!(Keyword::new(bad), Err(InvalidKeyword), "{bad:?}");
        }
        assert!(Keyword::new(&"k".repeat(KEYWORD_BYTES)).is_ok());
        assert!(Keyword::new(&"k".repeat(KEYWORD_BYTES + 1)).is_err());
    }

    #[test]
    fn system_flags_parse_in_any_case() {
        assert_eq!(SystemFlags::parse("\\sEEN"), Some(SystemFlags::SEEN));
        assert_eq!(SystemFlags::parse("\\Recent"), None);
    }

    #[test]
    fn bits_list_their_indices() {
        let bits = KeywordBits::bit(0).union(KeywordBits::bit(127));
        assert_eq!(bits.indices().collect::<Vec<_>>(), [0, 127]);
    }
}

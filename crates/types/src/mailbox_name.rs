//! Mailbox names as the store keeps them: UTF-8, components separated by `/`, INBOX in one spelling.
//! How a name looks on the wire (modified UTF-7 or UTF-8) is the wire's matter.

use std::fmt;

use crate::limits::{MAILBOX_NAME_BYTES, MAILBOX_NAME_DEPTH};

/// What separates the components of a name.
pub const SEPARATOR: char = '/';

/// A valid mailbox name: 1 to 1000 octets, no empty component, no control character, INBOX in capitals wherever
/// it is the first component (RFC 9051 §5.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Box<str>);

/// Why a text is no mailbox name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidMailboxName {
    /// Nothing there, or nothing between two separators.
    EmptyComponent,
    /// A control character, a line or paragraph separator (RFC 5198 §2), or U+FFFD.
    Character(char),
    /// More than 1000 octets or 64 components.
    TooLong,
}

impl fmt::Display for InvalidMailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyComponent => write!(f, "a mailbox name has no empty parts"),
            Self::Character(c) => write!(f, "a mailbox name cannot contain {c:?}"),
            Self::TooLong => {
                write!(f, "a mailbox name has at most {MAILBOX_NAME_BYTES} octets and {MAILBOX_NAME_DEPTH} levels")
            }
        }
    }
}

impl std::error::Error for InvalidMailboxName {}

impl MailboxName {
    /// The name of the mailbox every account has.
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// Checks and normalises the spelling of INBOX. Unicode normalisation is the caller's matter.
    pub fn new(text: &str) -> Result<Self, InvalidMailboxName> {
        if text.len() > MAILBOX_NAME_BYTES || text.split(SEPARATOR).count() > MAILBOX_NAME_DEPTH {
            return Err(InvalidMailboxName::TooLong);
        }
        if text.split(SEPARATOR).any(str::is_empty) {
            return Err(InvalidMailboxName::EmptyComponent);
        }
        let forbidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffd}');
        if let Some(c) = text.chars().find(|c| forbidden(*c)) {
            return Err(InvalidMailboxName::Character(c));
        }
        let first = text.split(SEPARATOR).next().unwrap_or_default();
        if first.eq_ignore_ascii_case("INBOX") {
            return Ok(Self(format!("INBOX{}", &text[first.len()..]).into()));
        }
        Ok(Self(text.into()))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is INBOX itself.
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// The last component.
    pub fn leaf(&self) -> &str {
        self.0.rsplit(SEPARATOR).next().unwrap_or_default()
    }

    /// The name one level up; `None` at the top.
    pub fn parent(&self) -> Option<MailboxName> {
        self.0.rfind(SEPARATOR).map(|at| Self(self.0[..at].into()))
    }

    /// All names above this one, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = MailboxName> {
        std::iter::successors(self.parent(), MailboxName::parent)
    }

    /// Whether this name lies below `other`, at any depth; no name lies below itself.
    pub fn is_below(&self, other: &MailboxName) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.starts_with(SEPARATOR))
    }

    /// This name with its beginning `from` exchanged for `to`; `None` if it neither is `from` nor lies below it.
    pub fn moved(&self, from: &MailboxName, to: &MailboxName) -> Option<Result<MailboxName, InvalidMailboxName>> {
        let rest = self.0.strip_prefix(&*from.0)?;
        (rest.is_empty() || rest.starts_with(SEPARATOR)).then(|| Self::new(&format!("{}{rest}", to.0)))
    }

    /// The name of `leaf` one level below this one.
    pub fn child(&self, leaf: &str) -> Result<MailboxName, InvalidMailboxName> {
        Self::new(&format!("{}{SEPARATOR}{leaf}", self.0))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::new(text).unwrap()
    }

    #[test]
    fn inbox_has_one_spelling_in_the_first_position() {
        assert_eq!(name("inBox").as_str(), "INBOX");
        assert_eq!(name("inbox/x").as_str(), "INBOX/x");
        assert_eq!(name("inboxes").as_str(), "inboxes");
        assert_eq!(name("a/inbox").as_str(), "a/inbox");
    }

    #[test]
    fn bad_names_are_refused() {
        use InvalidMailboxName::*;
        assert_eq!(MailboxName::new(""), Err(EmptyComponent));
        assert_eq!(MailboxName::new("a//b"), Err(EmptyComponent));
        assert_eq!(MailboxName::new("/a"), Err(EmptyComponent));
        assert_eq!(MailboxName::new("a\r\nb"), Err(Character('\r')));
        assert_eq!(MailboxName::new(&"x".repeat(1001)), Err(TooLong));
    }

    #[test]
    fn hierarchy_is_by_components_not_by_prefix() {
        assert!(name("Sent/2026").is_below(&name("Sent")));
        assert!(!name("Sent Mails").is_below(&name("Sent")));
        assert_eq!(name("a/b/c").moved(&name("a/b"), &name("z")), Some(Ok(name("z/c"))));
        assert_eq!(name("ab").moved(&name("a"), &name("z")), None);
        assert_eq!(name("a/b/c").ancestors().map(|n| n.to_string()).collect::<Vec<_>>(), ["a/b", "a"]);
    }
}

//! Names of annotations (RFC 5464 §3.2): paths below `/private` or `/shared`.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::limits::METADATA_ENTRY_BYTES;

/// The name of an annotation, or of a level above some: `/private/comment`, `/shared/vendor`, `/private`. Kept as written first;
/// two names that differ only in case are the same one (RFC 5464 §3.2).
#[derive(Clone)]
pub struct EntryName(Box<str>);

/// What was given is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidEntryName;

impl fmt::Display for InvalidEntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an annotation begins with /private or /shared, and has no empty level, no * and no %")
    }
}

impl std::error::Error for InvalidEntryName {}

impl EntryName {
    /// Checks what RFC 5464 §3.2 asks of names: ASCII without controls, `*` and `%`, no empty level, a known first level.
    pub fn new(text: &str) -> Result<Self, InvalidEntryName> {
        let printable = text.bytes().all(|b| (b' '..=b'~').contains(&b) && !matches!(b, b'*' | b'%'));
        let mut levels = text.split('/');
        let rooted = levels.next() == Some("");
        let scope = levels.next().unwrap_or_default();
        let scoped = ["private", "shared"].iter().any(|known| known.eq_ignore_ascii_case(scope));
        let whole = levels.all(|level| !level.is_empty());
        let valid = printable && rooted && scoped && whole && text.len() <= METADATA_ENTRY_BYTES;
        if valid { Ok(Self(text.into())) } else { Err(InvalidEntryName) }
    }

    /// As it was first written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is for everybody who may see the mailbox, and not for one user alone.
    pub fn is_shared(&self) -> bool {
        self.0.get(1..2).is_some_and(|first| first.eq_ignore_ascii_case("s"))
    }

    /// Whether an annotation can have that name: two levels at least, below `vendor` four (RFC 5464 §3.2).
    pub fn can_hold_a_value(&self) -> bool {
        let mut levels = self.0.split('/').skip(2);
        match levels.next() {
            Some(level) if level.eq_ignore_ascii_case("vendor") => levels.count() >= 2,
            level => level.is_some(),
        }
    }

    /// How many levels this name lies below `other`; `None` if it is neither that name nor below it.
    pub fn depth_below(&self, other: &EntryName) -> Option<usize> {
        let start = self.0.get(..other.0.len())?;
        let rest = self.0.get(other.0.len()..)?;
        let below = start.eq_ignore_ascii_case(&other.0) && (rest.is_empty() || rest.starts_with('/'));
        below.then(|| rest.matches('/').count())
    }

    fn folded(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for EntryName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for EntryName {}

impl PartialOrd for EntryName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EntryName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(other.folded())
    }
}

impl Hash for EntryName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().for_each(|b| state.write_u8(b));
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EntryName {
        EntryName::new(text).unwrap()
    }

    // RFC 5464 §3.2
    #[test]
    fn names_are_checked() {
        for good in ["/private", "/SHARED/comment", "/private/vendor/x/y z", "/shared/a]b"] {
            assert!(EntryName::new(good).is_ok(), "{good}");
        }
        let long = format!("/private/{}", "x".repeat(METADATA_ENTRY_BYTES));
        for bad in [
            "",
            "/",
            "private/x",
            "/public/x",
            "/private/",
            "/private//x",
            "/shared/*",
            "/shared/%",
            "/shared/ä",
            &long,
        ] {
            assert_eq!(EntryName::new(bad), Err(InvalidEntryName), "{bad}");
        }
        assert_eq!(EntryName::new("/shared/a\r\n"), Err(InvalidEntryName));
    }

    #[test]
    fn case_does_not_count_and_levels_do() {
        assert_eq!(name("/private/Comment"), name("/PRIVATE/comment"));
        assert!(name("/SHARED/x").is_shared() && !name("/private/x").is_shared());
        assert_eq!(name("/private/a/b").depth_below(&name("/PRIVATE/A")), Some(1));
        assert_eq!(name("/private/a").depth_below(&name("/private/A")), Some(0));
        assert_eq!(name("/private/ab").depth_below(&name("/private/a")), None);
        assert_eq!(name("/private").depth_below(&name("/private/a")), None);
    }

    #[test]
    fn only_some_names_hold_values() {
        assert!(name("/private/comment").can_hold_a_value() && name("/shared/vendor/x/y").can_hold_a_value());
        for level in ["/private", "/shared/vendor", "/shared/Vendor/x"] {
            assert!(!name(level).can_hold_a_value(), "{level}");
        }
    }
}

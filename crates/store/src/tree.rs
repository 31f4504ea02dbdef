//! The names of an account: which mailbox has which name, what is subscribed, what is for which use.
//! Which attributes LIST prints is the session's matter.

use std::collections::{BTreeMap, HashMap};

use columba_types::{InvalidMailboxName, MailboxId, MailboxName};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// What a mailbox is for (RFC 6154 §2, RFC 8457 §3, RFC 9979 §8). No two mailboxes of an account have the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SpecialUse {
    /// \All
    All,
    /// \Archive
    Archive,
    /// \Drafts
    Drafts,
    /// \Flagged
    Flagged,
    /// \Junk
    Junk,
    /// \Sent
    Sent,
    /// \Trash
    Trash,
    /// \Important
    Important,
    /// \Snoozed
    Snoozed,
    /// \Scheduled
    Scheduled,
    /// \Memos
    Memos,
}

impl SpecialUse {
    /// Every one, in the order of their numbers in storage.
    pub const ALL: [Self; 11] = [
        Self::All,
        Self::Archive,
        Self::Drafts,
        Self::Flagged,
        Self::Junk,
        Self::Sent,
        Self::Trash,
        Self::Important,
        Self::Snoozed,
        Self::Scheduled,
        Self::Memos,
    ];

    /// As LIST prints it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "\\All",
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
            Self::Important => "\\Important",
            // RFC 9979 §9.2 registers these without a backslash, for which the grammar of LIST has no room.
            Self::Snoozed => "\\Snoozed",
            Self::Scheduled => "\\Scheduled",
            Self::Memos => "\\Memos",
        }
    }

    /// Whether the mailbox would show messages that lie in others (RFC 6154 §2). None does here, so no mailbox gets such a
    /// use any more.
    pub const fn is_virtual(self) -> bool {
        matches!(self, Self::All | Self::Flagged)
    }

    /// Reads `\Sent`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|use_| use_.as_str().eq_ignore_ascii_case(text))
    }
}

/// What is known of one name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TreeEntry {
    /// The mailbox of that name; `None`: there is none, only a subscription.
    pub mailbox: Option<MailboxId>,
    /// Whether the name is subscribed.
    pub subscribed: bool,
    /// What the mailbox is for.
    pub uses: Vec<SpecialUse>,
}

/// All names of an account at one moment. A name that only has mailboxes below it is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub(crate) entries: BTreeMap<MailboxName, TreeEntry>,
    pub(crate) names: HashMap<MailboxId, MailboxName>,
    pub(crate) version: u64,
}

impl Tree {
    pub(crate) fn new(entries: BTreeMap<MailboxName, TreeEntry>, version: u64) -> Self {
        let named = |(name, entry): (&MailboxName, &TreeEntry)| Some((entry.mailbox?, name.clone()));
        let names = entries.iter().filter_map(named).collect();
        Self { entries, names, version }
    }

    /// What is known of a name.
    pub fn get(&self, name: &MailboxName) -> Option<&TreeEntry> {
        self.entries.get(name)
    }

    /// The mailbox of a name.
    pub fn mailbox(&self, name: &MailboxName) -> Option<MailboxId> {
        self.get(name)?.mailbox
    }

    /// All names, in the order of their octets.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&MailboxName, &TreeEntry)> {
        self.entries.iter()
    }

    /// The names below `name`, at any depth, in the order of their octets.
    pub fn below<'a>(&'a self, name: &'a MailboxName) -> impl Iterator<Item = (&'a MailboxName, &'a TreeEntry)> {
        // A space is the lowest character a component may begin with. A name too long to have a child has none.
        let from = name.child(" ").ok();
        let rest = from.map(|from| self.entries.range(from..));
        rest.into_iter().flatten().take_while(move |(other, _)| other.is_below(name))
    }

    /// The name of a mailbox.
    pub fn name_of(&self, mailbox: MailboxId) -> Option<&MailboxName> {
        self.names.get(&mailbox)
    }

    /// Whether there is a mailbox below that name. Subscriptions alone don't count.
    pub fn has_children(&self, name: &MailboxName) -> bool {
        self.below(name).any(|(_, entry)| entry.mailbox.is_some())
    }

    /// The mailbox that is for that use.
    pub fn of_use(&self, special_use: SpecialUse) -> Option<MailboxId> {
        self.entries.values().find(|entry| entry.uses.contains(&special_use))?.mailbox
    }

    /// A number that every change of the tree changes. It does not rise.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Exchanges what is known of one name; `None` forgets it.
    pub(crate) fn set(&mut self, name: MailboxName, entry: Option<TreeEntry>) {
        if let Some(old) = self.entries.get(&name).and_then(|old| old.mailbox)
            && self.names.get(&old) == Some(&name)
        {
            self.names.remove(&old);
        }
        match entry {
            Some(entry) => {
                if let Some(id) = entry.mailbox {
                    self.names.insert(id, name.clone());
                }
                self.entries.insert(name, entry);
            }
            None => _ = self.entries.remove(&name),
        }
    }
}

/// A mailbox name in normal form C (RFC 9051 §5.1, RFC 5198 §3), so that a name typed anywhere is the same name.
pub fn normalise_name(text: &str) -> Result<MailboxName, InvalidMailboxName> {
    if is_nfc(text) { MailboxName::new(text) } else { MailboxName::new(&text.nfc().collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::new(text).unwrap()
    }

    fn tree(names: &[(&str, Option<u64>)]) -> Tree {
        let entry = |id: Option<u64>| TreeEntry { mailbox: id.map(MailboxId), subscribed: true, uses: Vec::new() };
        Tree::new(names.iter().map(|(n, id)| (name(n), entry(*id))).collect(), 1)
    }

    // "Sent Mails" sorts between "Sent" and "Sent/2026", and is no child.
    #[test]
    fn children_are_found_by_hierarchy() {
        let tree = tree(&[("Sent", Some(1)), ("Sent Mails", Some(2)), ("Sent/2026", Some(3)), ("A/b", None)]);
        assert!(tree.has_children(&name("Sent")));
        assert!(!tree.has_children(&name("Sent Mails")));
        assert!(!tree.has_children(&name("A")), "a subscription is no mailbox");
        assert_eq!(tree.below(&name("Sent")).map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["Sent/2026"]);
    }

    #[test]
    fn a_mailbox_that_moves_keeps_one_name() {
        let mut tree = tree(&[("a", Some(1))]);
        let entry = tree.get(&name("a")).cloned();
        tree.set(name("b"), entry);
        tree.set(name("a"), None);
        assert_eq!(tree.name_of(MailboxId(1)), Some(&name("b")));
        assert_eq!(tree, Tree::new(tree.entries.clone(), 1));
    }

    #[test]
    fn names_are_composed() {
        assert_eq!(normalise_name("Entwu\u{308}rfe").unwrap().as_str(), "Entw\u{fc}rfe");
        assert_eq!(SpecialUse::parse("\\sent"), Some(SpecialUse::Sent));
    }
}

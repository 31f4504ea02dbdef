//! What SEARCH is asked, and what it finds in an account whose messages are known.

use super::command::Target;
use super::truth::Row;

/// What is searched for.
#[derive(Clone, Debug)]
pub(super) enum Key {
    All,
    Flag(&'static str, bool),
    Among(Target),
    ModSeq(u64),
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
}

/// What SEARCH RETURN asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Returns {
    pub(super) min: bool,
    pub(super) max: bool,
    pub(super) all: bool,
    pub(super) count: bool,
    pub(super) save: bool,
    /// PARTIAL: the first and last position, negative ones from the end (RFC 9394).
    pub(super) partial: Option<(i64, i64)>,
}

impl Key {
    pub(super) fn written(&self) -> String {
        match self {
            Self::All => "ALL".into(),
            Self::Flag(flag, set) => match (flag.strip_prefix('\\'), set) {
                (Some(system), true) => system.to_ascii_uppercase(),
                (Some(system), false) => format!("UN{}", system.to_ascii_uppercase()),
                (None, true) => format!("KEYWORD {flag}"),
                (None, false) => format!("UNKEYWORD {flag}"),
            },
            Self::Among(target) if target.uid => format!("UID {}", target.written),
            Self::Among(target) => target.written.clone(),
            Self::ModSeq(modseq) => format!("MODSEQ {modseq}"),
            Self::Not(key) => format!("NOT {}", key.written()),
            Self::Or(a, b) => format!("OR {} {}", a.written(), b.written()),
        }
    }

    pub(super) fn holds(&self, uid: u32, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Flag(flag, set) => row.flags.contains(&flag.to_ascii_lowercase()) == *set,
            Self::Among(target) => target.uids.contains(&uid),
            Self::ModSeq(modseq) => row.modseq >= *modseq,
            Self::Not(key) => !key.holds(uid, row),
            Self::Or(a, b) => a.holds(uid, row) || b.holds(uid, row),
        }
    }

    /// Whether it may hold, by the UIDs that stand in it outright.
    pub(super) fn may_hold(&self, uid: u32) -> bool {
        match self {
            Self::Among(target) => target.uids.contains(&uid),
            _ => true,
        }
    }

    pub(super) fn certain(&self) -> bool {
        match self {
            Self::Among(target) => target.certain,
            Self::Not(key) => key.certain(),
            Self::Or(a, b) => a.certain() && b.certain(),
            _ => true,
        }
    }

    /// Whether it has sequence numbers in it.
    pub(super) fn numbered(&self) -> bool {
        match self {
            Self::Among(target) => !target.uid && target.written != "$",
            Self::Not(key) => key.numbered(),
            Self::Or(a, b) => a.numbered() || b.numbered(),
            _ => false,
        }
    }

    /// Whether the mod-sequence is asked for (RFC 7162 §3.1.5).
    pub(super) fn asks_modseq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::Not(key) => key.asks_modseq(),
            Self::Or(a, b) => a.asks_modseq() || b.asks_modseq(),
            _ => false,
        }
    }
}

/// The part of a result that PARTIAL asks for.
pub(super) fn page(found: &[u32], (first, last): (i64, i64)) -> Vec<u32> {
    let count = found.len() as i64;
    let position = |at: i64| if at < 0 { count + at } else { at - 1 };
    let (a, b) = (position(first), position(last));
    let (low, high) = (a.min(b).max(0), a.max(b));
    let there = |(at, _): &(usize, &u32)| (low..=high).contains(&(*at as i64));
    found.iter().enumerate().filter(there).map(|(_, uid)| *uid).collect()
}

impl Returns {
    pub(super) fn written(self) -> String {
        let names =
            [(self.min, "MIN"), (self.max, "MAX"), (self.all, "ALL"), (self.count, "COUNT"), (self.save, "SAVE")];
        let names = names.into_iter().filter(|(asked, _)| *asked).map(|(_, name)| name.to_owned());
        let partial = self.partial.map(|(first, last)| format!("PARTIAL {first}:{last}"));
        format!("RETURN ({}) ", names.chain(partial).collect::<Vec<_>>().join(" "))
    }

    /// What `$` becomes (RFC 9051 §6.4.4.1).
    pub(super) fn saved(self, found: &[u32]) -> Vec<u32> {
        if let Some(range) = self.partial.filter(|_| !(self.all || self.count)) {
            // RFC 9394 §3.2: the page, with MIN and MAX if they were asked for.
            let page = page(found, range);
            let wanted = |uid: &&u32| {
                page.contains(uid)
                    || (self.min && found.first() == Some(*uid))
                    || (self.max && found.last() == Some(*uid))
            };
            return found.iter().filter(wanted).copied().collect();
        }
        if self.all || self.count || !(self.min || self.max) {
            return found.to_vec();
        }
        let ends = [found.first().filter(|_| self.min), found.last().filter(|_| self.max)];
        let mut ends: Vec<u32> = ends.into_iter().flatten().copied().collect();
        ends.dedup();
        ends
    }
}

//! What is searched for, made ready: flags as bits, sets as UIDs, strings in the form they are compared in. A criterion
//! is decided by what is known of a message so far; when that is not enough, more is read.

use columba_mime::search_form;
use columba_store::{Record, Snapshot};
use columba_types::{Date, Flags, KeywordBits, MessageId, ModSeq, SystemFlags, ThreadId, UidSet};
use columba_types::{DateTime, Flag};
use columba_wire::{Code, MessageSet, Numbering, SearchKey};

use super::text::{Known, Where};
use crate::reply::Failure;
use crate::state::{Enabled, Selected};

/// The criteria of one search.
#[derive(Debug)]
pub(super) struct Criteria {
    root: Node,
    /// Every string that is looked for in messages, with where.
    pub(super) needles: Vec<Needle>,
}

/// One string to look for.
#[derive(Debug)]
pub(super) struct Needle {
    pub(super) place: Where,
    /// In search form; empty matches wherever the place exists.
    pub(super) text: String,
    /// Looks for it.
    pub(super) finder: memchr::memmem::Finder<'static>,
}

#[derive(Debug)]
enum Node {
    Constant(bool),
    All(Vec<Node>),
    Any(Box<Node>, Box<Node>),
    Not(Box<Node>),
    /// All of these flags are set.
    Flags(Flags),
    Uids(UidSet),
    UidAbove(u32),
    UidBelow(u32),
    /// The mod-sequence is that or a later one.
    ModSeq(ModSeq),
    /// INTERNALDATE lies within these days, first included and last not.
    Days(Option<Date>, Option<Date>),
    /// The Date field does.
    SentDays(Option<Date>, Option<Date>),
    Larger(u64),
    Smaller(u64),
    /// INTERNALDATE is at or before this second.
    NotAfter(i64),
    /// INTERNALDATE is at or after this second.
    NotBefore(i64),
    /// The save date lies within these days (RFC 8514 §4.3), which are days of UTC, as FETCH SAVEDATE tells them.
    SavedDays(Option<Date>, Option<Date>),
    Email(MessageId),
    Thread(ThreadId),
    /// The needle of that number.
    Text(usize),
}

impl Criteria {
    /// Resolves numbers and flags against what the client knows, so that none of it can shift while searching.
    pub(super) fn new(
        key: &SearchKey,
        selected: &Selected,
        snapshot: &Snapshot,
        enabled: Enabled,
        now_secs: i64,
    ) -> Result<Self, Failure> {
        if enabled.uid_only && key.has_sequence_numbers() {
            // RFC 9586 §3.5
            let text = "SEARCH: UIDONLY is enabled, use UID and a set of UIDs";
            return Err(Failure::Bad(Some(Code::UidRequired), text.into()));
        }
        let mut builder = Builder { selected, snapshot, now_secs, needles: Vec::new() };
        let root = builder.node(key)?;
        Ok(Self { root, needles: builder.needles })
    }

    /// How many criteria there are, about as many steps as it takes to decide.
    pub(super) fn count(&self) -> usize {
        self.root.count()
    }

    /// Those of `uids` that can be found at all, by what the criteria say of UIDs outright.
    pub(super) fn scope(&self, uids: UidSet) -> UidSet {
        self.root.scope(uids)
    }

    /// Whether the message is one that is looked for; `None` if what is known does not tell.
    pub(super) fn decide(&self, record: &Record, known: Option<&Known>) -> Option<bool> {
        self.root.decide(record, known)
    }
}

/// Makes nodes of keys. Recursion is bounded by the parser (limits::NESTING_DEPTH).
struct Builder<'a> {
    selected: &'a Selected,
    snapshot: &'a Snapshot,
    now_secs: i64,
    needles: Vec<Needle>,
}

impl Builder<'_> {
    fn node(&mut self, key: &SearchKey) -> Result<Node, Failure> {
        Ok(match key {
            SearchKey::All => Node::Constant(true),
            SearchKey::And(keys) => Node::All(keys.iter().map(|key| self.node(key)).collect::<Result<_, _>>()?),
            SearchKey::Or(a, b) => Node::Any(Box::new(self.node(a)?), Box::new(self.node(b)?)),
            SearchKey::Not(key) => Node::Not(Box::new(self.node(key)?)),
            SearchKey::Flag(flag) => self.flag(flag),
            SearchKey::Recent => Node::Uids(self.selected.recent.clone()),
            SearchKey::Old => Node::Not(Box::new(Node::Uids(self.selected.recent.clone()))),
            SearchKey::New => Node::All(vec![
                Node::Uids(self.selected.recent.clone()),
                Node::Not(Box::new(Node::Flags(system(SystemFlags::SEEN)))),
            ]),
            SearchKey::Seq(set) => Node::Uids(self.selected.resolve(Numbering::Seq, set)?),
            SearchKey::Uid(set) => Node::Uids(self.selected.resolve(Numbering::Uid, set)?),
            SearchKey::ModSeq(modseq) => Node::ModSeq(*modseq),
            // RFC 9738 §3.2: strictly above and below; what `$` with several means is not said, so that it is all of them.
            SearchKey::UidAfter(set) => self.ends(set).map_or(Node::Constant(false), |(_, high)| Node::UidAbove(high)),
            SearchKey::UidBefore(set) => self.ends(set).map_or(Node::Constant(false), |(low, _)| Node::UidBelow(low)),
            SearchKey::Before(date) => Node::Days(None, Some(*date)),
            SearchKey::On(date) => Node::Days(Some(*date), Some(day_after(*date))),
            SearchKey::Since(date) => Node::Days(Some(*date), None),
            SearchKey::SentBefore(date) => Node::SentDays(None, Some(*date)),
            SearchKey::SentOn(date) => Node::SentDays(Some(*date), Some(day_after(*date))),
            SearchKey::SentSince(date) => Node::SentDays(Some(*date), None),
            SearchKey::Larger(size) => Node::Larger(*size),
            SearchKey::Smaller(size) => Node::Smaller(*size),
            // RFC 5032 §3: at least that many seconds ago; at most that many.
            SearchKey::Older(secs) => Node::NotAfter(self.now_secs - i64::from(*secs)),
            SearchKey::Younger(secs) => Node::NotBefore(self.now_secs - i64::from(*secs)),
            SearchKey::SavedBefore(date) => Node::SavedDays(None, Some(*date)),
            SearchKey::SavedOn(date) => Node::SavedDays(Some(*date), Some(day_after(*date))),
            SearchKey::SavedSince(date) => Node::SavedDays(Some(*date), None),
            // RFC 8514 §4.3: all messages, since every mailbox has save dates.
            SearchKey::SaveDateSupported => Node::Constant(true),
            // RFC 8474 §6: what was never given as an id is no message's.
            SearchKey::EmailId(id) => MessageId::parse(id).map_or(Node::Constant(false), Node::Email),
            SearchKey::ThreadId(id) => ThreadId::parse(id).map_or(Node::Constant(false), Node::Thread),
            SearchKey::Bcc(text) => self.text(Where::Bcc, text)?,
            SearchKey::Cc(text) => self.text(Where::Cc, text)?,
            SearchKey::From(text) => self.text(Where::From, text)?,
            SearchKey::To(text) => self.text(Where::To, text)?,
            SearchKey::Subject(text) => self.text(Where::Subject, text)?,
            SearchKey::Header(name, text) => self.text(Where::Header(name.to_ascii_lowercase()), text)?,
            SearchKey::Body(text) => self.text(Where::Body, text)?,
            SearchKey::Text(text) => self.text(Where::Text, text)?,
            // Spelled out by `gmail::plain_criteria` before; where that was not done they find nothing.
            SearchKey::GmMsgId(_) | SearchKey::GmThrId(_) | SearchKey::GmLabels(_) | SearchKey::GmRaw(_) => {
                Node::Constant(false)
            }
        })
    }

    /// The lowest and the highest UID of a set as written.
    fn ends(&self, set: &MessageSet) -> Option<(u32, u32)> {
        let uids = match set {
            MessageSet::Saved => self.selected.saved.clone(),
            MessageSet::Set(set) => set.resolve(0),
        };
        uids.first().zip(uids.last())
    }

    fn flag(&self, flag: &Flag) -> Node {
        match flag {
            Flag::System(flag) => Node::Flags(system(*flag)),
            // A keyword that the mailbox does not know is set nowhere.
            Flag::Keyword(keyword) => match self.snapshot.head.keywords.iter().position(|known| known == keyword) {
                Some(bit) => Node::Flags(Flags { system: SystemFlags::NONE, keywords: KeywordBits::bit(bit) }),
                None => Node::Constant(false),
            },
        }
    }

    fn text(&mut self, place: Where, text: &[u8]) -> Result<Node, Failure> {
        let text =
            std::str::from_utf8(text).map_err(|_| Failure::bad("The search string is not in the charset it claims"))?;
        let text = search_form(text);
        let known = |known: &Needle| known.place == place && known.text == text;
        let at = self.needles.iter().position(known).unwrap_or_else(|| {
            let finder = memchr::memmem::Finder::new(&text).into_owned();
            self.needles.push(Needle { place, text, finder });
            self.needles.len() - 1
        });
        Ok(Node::Text(at))
    }
}

fn system(flag: SystemFlags) -> Flags {
    Flags { system: flag, keywords: KeywordBits::NONE }
}

fn day_after(date: Date) -> Date {
    Date::from_days_since_epoch(date.days_since_epoch() + 1)
}

impl Node {
    fn count(&self) -> usize {
        match self {
            Self::All(nodes) => nodes.iter().map(Self::count).sum::<usize>() + 1,
            Self::Any(a, b) => a.count() + b.count() + 1,
            Self::Not(node) => node.count() + 1,
            _ => 1,
        }
    }

    fn scope(&self, uids: UidSet) -> UidSet {
        match self {
            Self::All(nodes) => nodes.iter().fold(uids, |uids, node| node.scope(uids)),
            Self::Uids(set) => uids.intersection(set),
            Self::UidAbove(uid) => uids.difference(&UidSet::range(1, *uid)),
            Self::UidBelow(uid) => uids.intersection(&UidSet::range(1, uid.saturating_sub(1))),
            _ => uids,
        }
    }

    fn decide(&self, record: &Record, known: Option<&Known>) -> Option<bool> {
        Some(match self {
            Self::Constant(answer) => *answer,
            Self::All(nodes) => return all(nodes, record, known),
            Self::Any(a, b) => {
                return match (a.decide(record, known), b.decide(record, known)) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                };
            }
            Self::Not(node) => return node.decide(record, known).map(|answer| !answer),
            Self::Flags(flags) => {
                record.flags.system.contains(flags.system) && record.flags.keywords.contains(flags.keywords)
            }
            Self::Uids(uids) => uids.contains(record.uid.value()),
            Self::UidAbove(uid) => record.uid.value() > *uid,
            Self::UidBelow(uid) => record.uid.value() < *uid,
            Self::ModSeq(modseq) => record.modseq >= *modseq,
            Self::Days(from, to) => within(Some(record.internal_date), *from, *to),
            Self::SentDays(from, to) => within(known?.sent(), *from, *to),
            Self::Larger(size) => record.size > *size,
            Self::Smaller(size) => record.size < *size,
            Self::NotAfter(second) => record.internal_date.unix_secs <= *second,
            Self::NotBefore(second) => record.internal_date.unix_secs >= *second,
            Self::SavedDays(from, to) => within(Some(DateTime::utc(record.saved_secs)), *from, *to),
            Self::Email(id) => record.message == *id,
            Self::Thread(id) => known?.thread() == *id,
            Self::Text(needle) => return known?.found(*needle),
        })
    }
}

/// Whether all hold: one that does not settles it, however little is known of the others.
fn all(nodes: &[Node], record: &Record, known: Option<&Known>) -> Option<bool> {
    let mut answer = Some(true);
    for node in nodes {
        match node.decide(record, known) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => answer = None,
        }
    }
    answer
}

/// Days are compared as they stand in the date's own zone (RFC 9051 §6.4.4: "disregarding time and timezone").
fn within(date: Option<DateTime>, from: Option<Date>, to: Option<Date>) -> bool {
    let Some(day) = date.map(DateTime::local_date) else { return false };
    from.is_none_or(|from| day >= from) && to.is_none_or(|to| day < to)
}

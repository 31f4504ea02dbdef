//! What changes in an account, for those who follow many of its mailboxes at once (RFC 5465): which mailbox and in what way,
//! never content. It is kept in memory, only while somebody follows, and bounded: who falls too far behind is told so.
//! Whom a change matters to, and what is said of it, is not known here.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use columba_types::limits::FEED_NEWS;
use columba_types::{MailboxId, MailboxName, UidSet};

use crate::account_store::AccountStore;
use crate::memory::lock;
use crate::snapshot::{Head, Record};
use crate::tree::{Tree, TreeEntry};
use crate::watch::{Bell, Watch};

/// One change of an account, after it was published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// Of one mailbox's messages.
    Mailbox(MailboxNews),
    /// Of the names.
    Tree(Arc<TreeNews>),
}

/// How many UIDs, and between which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UidSpan {
    /// The lowest.
    pub low: u32,
    /// The highest.
    pub high: u32,
    /// How many.
    pub count: u32,
}

impl UidSpan {
    /// Whether all of it are of that set.
    pub fn is_of(self, uids: &UidSet) -> bool {
        uids.intersection(&UidSet::range(self.low, self.high)).len() == u64::from(self.count)
    }

    fn join(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(Self {
                low: one.low.min(other.low),
                high: one.high.max(other.high),
                count: one.count.saturating_add(other.count),
            }),
            (one, other) => one.or(other),
        }
    }
}

/// What happened to the messages of a mailbox in one commit, or in several neighbouring ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MailboxNews {
    /// Which.
    pub mailbox: MailboxId,
    /// Messages that came.
    pub arrived: Option<UidSpan>,
    /// Messages that went.
    pub expunged: Option<UidSpan>,
    /// Whether flags of messages changed.
    pub flags: bool,
    /// Whether there are more or fewer messages without \Seen.
    pub unseen: bool,
}

impl MailboxNews {
    /// What a commit does that leads from one head to the other.
    pub(crate) fn of(before: &Head, after: &Head, expunged: &[Record], flags: bool) -> Self {
        let uids = || expunged.iter().map(|record| record.uid.value());
        let span = |low, high, count| UidSpan { low, high, count };
        let (from, to) = (before.uid_next.value(), after.uid_next.value());
        let gone = uids().min().zip(uids().max());
        Self {
            mailbox: after.mailbox,
            arrived: (to > from).then(|| span(from, to - 1, to - from)),
            expunged: gone.map(|(low, high)| span(low, high, u32::try_from(expunged.len()).unwrap_or(u32::MAX))),
            flags,
            unseen: before.unseen != after.unseen,
        }
    }

    /// What may have happened between two heads, where nobody knows better.
    pub(crate) fn between(before: &Head, after: &Head) -> Self {
        let known = Self::of(before, after, &[], true);
        let arrived = known.arrived.map_or(0, |span| span.count);
        // Nobody's own: the count fits no set.
        let went = after.exists != before.exists.saturating_add(arrived);
        Self { expunged: went.then_some(UidSpan { low: 1, high: 1, count: u32::MAX }), ..known }
    }

    fn join(&mut self, earlier: &Self) {
        self.arrived = UidSpan::join(self.arrived, earlier.arrived);
        self.expunged = UidSpan::join(self.expunged, earlier.expunged);
        self.flags |= earlier.flags;
        self.unseen |= earlier.unseen;
    }
}

/// What happened to the names of an account in one commit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TreeNews {
    /// Names that have a mailbox now and had none.
    pub created: Vec<MailboxName>,
    /// Names whose mailbox was deleted.
    pub deleted: Vec<MailboxName>,
    /// Old and new names; what lies below goes along and is not named.
    pub renamed: Vec<(MailboxName, MailboxName)>,
    /// Names that are subscribed now and were not, or the other way.
    pub subscriptions: Vec<MailboxName>,
}

impl TreeNews {
    /// What a change does to a tree.
    pub(crate) fn of(before: &Tree, names: &BTreeMap<MailboxName, Option<TreeEntry>>) -> Self {
        let mut news = Self::default();
        let mut moved: BTreeMap<&MailboxName, &MailboxName> = BTreeMap::new();
        for (name, after) in names {
            let old = before.get(name);
            let mailbox = after.as_ref().and_then(|entry| entry.mailbox);
            match (old.and_then(|entry| entry.mailbox), mailbox) {
                (was, Some(is)) if was != Some(is) => match before.name_of(is) {
                    Some(from) => _ = moved.insert(from, name),
                    None => news.created.push(name.clone()),
                },
                _ => {}
            }
            let subscribed = |entry: Option<&TreeEntry>| entry.is_some_and(|entry| entry.subscribed);
            if subscribed(old) != subscribed(after.as_ref()) {
                news.subscriptions.push(name.clone());
            }
        }
        let is_gone = |name: &MailboxName, after: &Option<TreeEntry>| {
            before.mailbox(name).is_some()
                && !moved.contains_key(name)
                && after.as_ref().is_none_or(|entry| entry.mailbox.is_none())
        };
        news.deleted =
            names.iter().filter(|(name, after)| is_gone(name, after)).map(|(name, _)| name.clone()).collect();
        for (from, to) in &moved {
            // RFC 5465 §5.4: what lies below a mailbox that is renamed is not told.
            let goes_along = from.ancestors().any(|above| {
                moved
                    .get(&above)
                    .is_some_and(|target| from.moved(&above, target).is_some_and(|name| name.as_ref() == Ok(to)))
            });
            if !goes_along {
                news.renamed.push(((*from).clone(), (*to).clone()));
            }
        }
        news
    }

    fn is_empty(&self) -> bool {
        self.weight() == 1
    }

    fn weight(&self) -> usize {
        1 + self.created.len() + self.deleted.len() + 2 * self.renamed.len() + self.subscriptions.len()
    }
}

impl News {
    fn weight(&self) -> usize {
        match self {
            Self::Mailbox(_) => 1,
            Self::Tree(news) => news.weight(),
        }
    }
}

/// The changes of one account.
#[derive(Debug)]
pub(crate) struct Feed {
    bell: Arc<Bell>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By rising number.
    news: VecDeque<(u64, News)>,
    weight: usize,
    /// The number of the last one.
    last: u64,
    /// Those up to here may be missing.
    forgotten: u64,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self { bell: Bell::new(), kept: Mutex::default() }
    }

    /// Takes note of a change, and wakes those who follow.
    pub(crate) fn tell(&self, news: News) {
        {
            let mut kept = lock(&self.kept);
            kept.last += 1;
            if !self.bell.is_watched() {
                // Nobody is there who could miss it.
                *kept = Kept { last: kept.last, forgotten: kept.last, ..Kept::default() };
                return;
            }
            kept.push(news);
        }
        self.bell.ring();
    }

    /// The same for a change of names; one that changes nothing a follower could see is none.
    pub(crate) fn tell_of_tree(&self, news: TreeNews) {
        if !news.is_empty() {
            self.tell(News::Tree(Arc::new(news)));
        }
    }

    /// Wakes those who follow: something that is no news of this feed may matter to them.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    fn follow(&self) -> (Watch, u64) {
        let kept = lock(&self.kept);
        (self.bell.watch(), kept.last)
    }
}

impl Kept {
    fn push(&mut self, news: News) {
        self.weight += news.weight();
        self.news.push_back((self.last, news));
        if self.weight <= FEED_NEWS {
            return;
        }
        self.join_mailboxes();
        // Not only below the limit but well below, or each further one would begin anew.
        while self.weight > FEED_NEWS / 4 * 3
            && let Some((number, oldest)) = self.news.pop_front()
        {
            self.weight -= oldest.weight();
            self.forgotten = number;
        }
    }

    /// Keeps of each mailbox one entry, at the place of its last. A follower that has seen some of it hears it twice.
    fn join_mailboxes(&mut self) {
        let mut places: HashMap<MailboxId, usize> = HashMap::new();
        let mut joined: Vec<(u64, News)> = Vec::with_capacity(self.news.len());
        for (number, news) in self.news.drain(..).rev() {
            let place = match &news {
                News::Mailbox(news) => places.insert(news.mailbox, joined.len()),
                News::Tree(_) => None,
            };
            match (place.and_then(|place| joined.get_mut(place).map(|there| (place, there))), news) {
                (Some((place, (_, News::Mailbox(later)))), News::Mailbox(earlier)) => {
                    later.join(&earlier);
                    places.insert(earlier.mailbox, place);
                }
                (_, news) => joined.push((number, news)),
            }
        }
        self.news = joined.into_iter().rev().collect();
        self.weight = self.news.iter().map(|(_, news)| news.weight()).sum();
    }
}

/// One who follows an account. Keeps none of it in memory but a number.
#[derive(Debug)]
pub struct Follower {
    account: Arc<AccountStore>,
    watch: Watch,
    seen: u64,
}

/// What a follower has not seen yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Followed {
    /// In the order it happened; never more than [`FEED_NEWS`].
    pub news: Vec<News>,
    /// Whether there was more than could be kept.
    pub lost: bool,
}

impl AccountStore {
    /// Follows every change of this account from now on.
    pub fn follow(self: &Arc<Self>) -> Follower {
        let (watch, seen) = self.feed.follow();
        Follower { account: Arc::clone(self), watch, seen }
    }
}

impl Follower {
    /// Wakes when there may be news.
    pub fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    /// What happened since the last call.
    pub fn take(&mut self) -> Followed {
        let kept = lock(&self.account.feed.kept);
        if self.seen == kept.last {
            return Followed::default();
        }
        let lost = self.seen < kept.forgotten;
        let from = kept.news.partition_point(|(number, _)| *number <= self.seen);
        let news = kept.news.range(from..).map(|(_, news)| news.clone()).collect();
        self.seen = kept.last;
        Followed { news, lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::new(text).unwrap()
    }

    fn tree(names: &[(&str, u64)]) -> Tree {
        let entry = |id| TreeEntry { mailbox: Some(MailboxId(id)), subscribed: false, uses: Vec::new() };
        Tree::new(names.iter().map(|(text, id)| (name(text), entry(*id))).collect(), 1)
    }

    fn arrived(mailbox: u64, uid: u32) -> News {
        let span = UidSpan { low: uid, high: uid, count: 1 };
        let (expunged, flags, unseen) = (None, false, true);
        News::Mailbox(MailboxNews { mailbox: MailboxId(mailbox), arrived: Some(span), expunged, flags, unseen })
    }

    fn names(changes: &[(&str, Option<u64>)]) -> BTreeMap<MailboxName, Option<TreeEntry>> {
        let entry = |id| TreeEntry { mailbox: Some(MailboxId(id)), subscribed: false, uses: Vec::new() };
        changes.iter().map(|(text, id)| (name(text), id.map(entry))).collect()
    }

    // RFC 5465 §5.4: of what lies below a mailbox that is renamed nothing is told.
    #[test]
    fn names_that_come_go_and_move() {
        let before = tree(&[("a", 1), ("a/b", 2), ("a/b/c", 3), ("d", 4), ("e/f", 5)]);
        let changes =
            [("a", None), ("a/b", None), ("a/b/c", None), ("z", Some(9)), ("z/a", Some(1)), ("z/a/b", Some(2))];
        let mut changes = names(&changes);
        changes.extend(names(&[("z/a/b/c", Some(3)), ("d", None), ("e/f", None), ("g", Some(5))]));
        let news = TreeNews::of(&before, &changes);
        assert_eq!(news.created, [name("z")]);
        assert_eq!(news.deleted, [name("d")]);
        assert_eq!(news.renamed, [(name("a"), name("z/a")), (name("e/f"), name("g"))]);
        assert!(news.subscriptions.is_empty());
        assert!(TreeNews::of(&before, &names(&[("a", Some(1))])).is_empty());
    }

    #[test]
    fn a_span_knows_whose_it_is() {
        let span = UidSpan { low: 3, high: 9, count: 2 };
        assert!(span.is_of(&UidSet::from_ranges(vec![(3, 3), (9, 12)])));
        assert!(!span.is_of(&UidSet::range(3, 9)), "there are more");
        assert!(!span.is_of(&UidSet::range(3, 3)));
    }

    // limits::FEED_NEWS
    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = Kept::default();
        let push = |kept: &mut Kept, news| {
            kept.last += 1;
            kept.push(news);
            assert!(kept.weight <= FEED_NEWS);
            assert_eq!(kept.weight, kept.news.iter().map(|(_, news)| news.weight()).sum::<usize>());
        };
        // Many changes of few mailboxes are joined, and nobody loses anything.
        (0..5000).for_each(|n| push(&mut kept, arrived(n % 7, n as u32)));
        assert_eq!(kept.forgotten, 0);
        let last = kept.news.iter().rev().find_map(|(_, news)| match news {
            News::Mailbox(news) if news.mailbox == MailboxId(3) => Some(news.arrived?.high),
            _ => None,
        });
        assert_eq!(last, Some(4994));
        // Those of too many are not.
        (0..5000).for_each(|n| push(&mut kept, arrived(n, 1)));
        assert!(kept.forgotten > 5000);
        let first = kept.news.front().map(|(number, _)| *number);
        assert_eq!(first, Some(kept.forgotten + 1));
        // One change with too many names is not kept at all.
        let many = (0..FEED_NEWS).map(|n| name(&format!("m{n}"))).collect();
        push(&mut kept, News::Tree(Arc::new(TreeNews { created: many, ..TreeNews::default() })));
        assert_eq!((kept.news.len(), kept.forgotten), (0, kept.last));
    }
}

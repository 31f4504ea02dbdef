//! Random changes of a store beside a naive model of an account: after each, both say the same; in the end nothing is
//! broken. The model knows lists and maps only: no pages, no log, no commits. Every engine is put to it.
#![allow(clippy::unwrap_used, unreachable_pub, missing_debug_implementations)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use columba_store::{AccountStore, FlagAction, FlagChange, Mailbox, Store, StoreError};
use columba_types::{Flag, MailboxId, ModSeq, SystemFlags, Uid, UidSet};
use proptest::prelude::*;

use crate::support::*;

/// Mailboxes the changes pick from; not all of them are there all the time.
const NAMES: [&str; 6] = ["INBOX", "a", "a/b", "a/b/c", "d", "a b"];
const FLAGS: [&str; 6] = ["\\Seen", "\\Deleted", "\\Flagged", "$One", "$two", "$THREE"];

#[derive(Clone, Debug)]
pub enum Op {
    Append { to: usize, flags: Vec<u8> },
    Store { at: usize, uids: UidSet, action: FlagAction, flags: u8, unchanged_since_back: Option<u64> },
    Expunge { at: usize, uids: Option<UidSet> },
    Copy { from: usize, uids: UidSet, to: usize },
    Move { from: usize, uids: UidSet, to: usize },
    Replace { from: usize, nth: usize, to: usize, flags: u8 },
    Create { name: usize },
    Delete { name: usize },
    Rename { from: usize, to: usize },
    Subscribe { name: usize, on: bool },
    Claim { at: usize },
    Restore { to: usize },
    Pass { millis: i64 },
    Reclaim,
    Reopen,
}

fn uids() -> impl Strategy<Value = UidSet> {
    let range = (1u32..300, prop_oneof![Just(0u32), 0u32..200]).prop_map(|(low, more)| (low, low + more));
    proptest::collection::vec(range, 0..4).prop_map(UidSet::from_ranges)
}

pub fn ops() -> impl Strategy<Value = Vec<Op>> {
    let name = || 0..NAMES.len();
    let action = prop_oneof![Just(FlagAction::Replace), Just(FlagAction::Add), Just(FlagAction::Remove)];
    let flags = proptest::collection::vec(0u8..64, 1..60);
    let back = proptest::option::of(0u64..6);
    let op = prop_oneof![
        6 => (name(), flags).prop_map(|(to, flags)| Op::Append { to, flags }),
        6 => (name(), uids(), action, 0u8..64, back).prop_map(|(at, uids, action, flags, unchanged_since_back)| {
            Op::Store { at, uids, action, flags, unchanged_since_back }
        }),
        4 => (name(), proptest::option::of(uids())).prop_map(|(at, uids)| Op::Expunge { at, uids }),
        3 => (name(), uids(), name()).prop_map(|(from, uids, to)| Op::Copy { from, uids, to }),
        4 => (name(), uids(), name()).prop_map(|(from, uids, to)| Op::Move { from, uids, to }),
        3 => (name(), 0usize..20, name(), 0u8..64).prop_map(|(from, nth, to, flags)| Op::Replace { from, nth, to, flags }),
        4 => name().prop_map(|name| Op::Create { name }),
        1 => name().prop_map(|name| Op::Delete { name }),
        1 => (name(), name()).prop_map(|(from, to)| Op::Rename { from, to }),
        1 => (name(), any::<bool>()).prop_map(|(name, on)| Op::Subscribe { name, on }),
        1 => name().prop_map(|at| Op::Claim { at }),
        1 => name().prop_map(|to| Op::Restore { to }),
        2 => (1i64..90_000).prop_map(|millis| Op::Pass { millis }),
        1 => Just(Op::Reclaim),
        1 => Just(Op::Reopen),
    ];
    proptest::collection::vec(op, 1..80)
}

#[derive(Clone, Debug, PartialEq)]
struct Item {
    uid: u32,
    flags: BTreeSet<String>,
    text: String,
    /// Which change it was last changed by.
    changed: u64,
}

#[derive(Clone, Debug, Default)]
struct Box_ {
    items: Vec<Item>,
    uid_next: u32,
    /// Changes so far.
    changes: u64,
    expunged: BTreeMap<u32, u64>,
    /// What the first claim is to give.
    unclaimed_from: u32,
}

/// The model.
#[derive(Debug, Default)]
struct Model {
    names: BTreeMap<String, usize>,
    subscribed: BTreeSet<String>,
    boxes: Vec<Box_>,
    appended: u64,
}

fn flag_set(bits: u8) -> BTreeSet<String> {
    let names = FLAGS.iter().enumerate().filter(|(n, _)| bits >> n & 1 != 0);
    names.map(|(_, name)| name.to_ascii_lowercase()).collect()
}

fn flag_list(bits: u8) -> Vec<Flag> {
    FLAGS.iter().enumerate().filter(|(n, _)| bits >> n & 1 != 0).map(|(_, name)| Flag::parse(name).unwrap()).collect()
}

impl Box_ {
    fn new() -> Self {
        Self { uid_next: 1, unclaimed_from: 1, ..Self::default() }
    }

    fn add(&mut self, flags: BTreeSet<String>, text: String) {
        self.items.push(Item { uid: self.uid_next, flags, text, changed: self.changes });
        self.uid_next += 1;
    }

    fn take(&mut self, gone: impl Fn(&Item) -> bool) -> Vec<Item> {
        let (out, kept): (Vec<_>, Vec<_>) = self.items.drain(..).partition(|item| gone(item));
        self.items = kept;
        self.expunged.extend(out.iter().map(|item| (item.uid, self.changes)));
        out
    }
}

struct Run {
    world: World,
    /// `None` only while it is opened anew.
    open: Option<(Store, Arc<AccountStore>)>,
    model: Model,
}

impl Run {
    async fn new(world: World) -> Self {
        let mut model = Model::default();
        for name in ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"] {
            model.names.insert(name.into(), model.boxes.len());
            model.subscribed.insert(name.into());
            model.boxes.push(Box_::new());
        }
        let open = Some((world.store.clone(), world.mail().await));
        Self { world, open, model }
    }

    fn store(&self) -> &Store {
        &self.open.as_ref().unwrap().0
    }

    fn mail(&self) -> &Arc<AccountStore> {
        &self.open.as_ref().unwrap().1
    }

    async fn mailbox(&self, at: usize) -> Option<(Arc<Mailbox>, usize)> {
        let real = self.mail().tree().mailbox(&name(NAMES[at]));
        let model = self.model.names.get(NAMES[at]).copied();
        assert_eq!(real.is_some(), model.is_some(), "{}", NAMES[at]);
        Some((self.mail().mailbox(real?).await.unwrap(), model?))
    }

    async fn run(&mut self, op: Op) {
        match op {
            Op::Append { to, flags } => self.append(to, &flags).await,
            Op::Store { at, uids, action, flags, unchanged_since_back } => {
                self.store_flags(at, &uids, action, flags, unchanged_since_back).await;
            }
            Op::Expunge { at, uids } => self.expunge(at, uids).await,
            Op::Copy { from, uids, to } => self.transfer(from, &uids, to, false).await,
            Op::Move { from, uids, to } => self.transfer(from, &uids, to, true).await,
            Op::Replace { from, nth, to, flags } => self.replace(from, nth, to, flags).await,
            Op::Create { name } => self.create(NAMES[name]).await,
            Op::Delete { name } => self.delete(NAMES[name]).await,
            Op::Rename { from, to } => self.rename(NAMES[from], NAMES[to]).await,
            Op::Subscribe { name: at, on } => {
                self.mail().subscribe(&name(NAMES[at]), on).await.unwrap();
                match on {
                    true => self.model.subscribed.insert(NAMES[at].into()),
                    false => self.model.subscribed.remove(NAMES[at]),
                };
            }
            Op::Claim { at } => self.claim(at).await,
            Op::Restore { to } => self.restore(to).await,
            Op::Pass { millis } => self.world.clock.pass(millis),
            Op::Reclaim => _ = self.store().reclaim().await.unwrap(),
            Op::Reopen => {
                // What was claimed and not written is lost with the memory; that is allowed, so it is written first.
                self.claims_are_written().await;
                self.open = None;
                let store = self.world.restarted().await;
                let mail = store.open_account(self.world.account).await.unwrap();
                self.open = Some((store, mail));
            }
        }
    }

    async fn claims_are_written(&mut self) {
        for at in 0..NAMES.len() {
            self.append(at, &[0]).await;
        }
    }

    async fn append(&mut self, to: usize, flags: &[u8]) {
        let Some((mailbox, at)) = self.mailbox(to).await else { return };
        let (mut batch, mut texts) = (Vec::new(), Vec::new());
        for bits in flags {
            self.model.appended += 1;
            texts.push(format!("message {}", self.model.appended));
            let mut new = message(self.mail(), texts.last().unwrap(), "").await;
            new.flags = flag_list(*bits);
            batch.push(new);
        }
        let appended = mailbox.append(batch).await.unwrap();
        let target = &mut self.model.boxes[at];
        target.changes += 1;
        assert_eq!(appended.uids, UidSet::range(target.uid_next, target.uid_next + flags.len() as u32 - 1));
        flags.iter().zip(texts).for_each(|(bits, text)| target.add(flag_set(*bits), text));
    }

    async fn store_flags(&mut self, at: usize, uids: &UidSet, action: FlagAction, bits: u8, back: Option<u64>) {
        let Some((mailbox, at)) = self.mailbox(at).await else { return };
        let highest = mailbox.snapshot().head.highest_modseq;
        let since = back.map(|back| ModSeq(highest.0.saturating_sub(back)));
        let target = &mut self.model.boxes[at];
        let model_since = back.map(|back| (target.changes + 1).saturating_sub(back));
        let stored = mailbox.store(uids, FlagChange { action, flags: flag_list(bits) }, since).await.unwrap();
        let (given, mut changed, mut modified, mut found) = (flag_set(bits), Vec::new(), Vec::new(), Vec::new());
        let change = target.changes + 1;
        for item in target.items.iter_mut().filter(|item| uids.contains(item.uid)) {
            found.push(item.uid);
            // The model's first change has the modseq 2.
            if model_since.is_some_and(|since| item.changed + 1 > since) {
                modified.push(item.uid);
                continue;
            }
            let flags: BTreeSet<String> = match action {
                FlagAction::Replace => given.clone(),
                FlagAction::Add => item.flags.union(&given).cloned().collect(),
                FlagAction::Remove => item.flags.difference(&given).cloned().collect(),
            };
            if flags != item.flags {
                (item.flags, item.changed) = (flags, change);
                changed.push(item.uid);
            }
        }
        let found: UidSet = found.into_iter().collect();
        assert_eq!(stored.changed, changed.iter().copied().collect());
        assert_eq!(stored.modified, modified.into_iter().collect());
        assert_eq!(stored.missing, uids.difference(&found));
        target.changes += u64::from(!changed.is_empty());
    }

    async fn expunge(&mut self, at: usize, uids: Option<UidSet>) {
        let Some((mailbox, at)) = self.mailbox(at).await else { return };
        let expunged = mailbox.expunge(uids.as_ref()).await.unwrap();
        let target = &mut self.model.boxes[at];
        let goes =
            |item: &Item| item.flags.contains("\\deleted") && uids.as_ref().is_none_or(|uids| uids.contains(item.uid));
        target.changes += u64::from(target.items.iter().any(goes));
        let gone = target.take(goes);
        assert_eq!(expunged.uids, gone.iter().map(|item| item.uid).collect());
        gone.iter().for_each(|item| assert!(mailbox.ghost(Uid::new(item.uid).unwrap()).is_some()));
    }

    async fn transfer(&mut self, from: usize, uids: &UidSet, to: usize, moves: bool) {
        let (Some((source, from)), Some((target, to))) = (self.mailbox(from).await, self.mailbox(to).await) else {
            return;
        };
        let copied = match moves {
            true => source.move_to(uids, &target).await.unwrap(),
            false => source.copy(uids, &target).await.unwrap(),
        };
        let goes = |item: &Item| uids.contains(item.uid);
        let any = self.model.boxes[from].items.iter().any(goes);
        if !any {
            assert!(copied.from.is_empty() && copied.to.is_empty());
            return;
        }
        if moves {
            self.model.boxes[from].changes += 1;
        }
        if !moves || from != to {
            self.model.boxes[to].changes += 1;
        }
        let items: Vec<Item> = match moves {
            true => self.model.boxes[from].take(goes),
            false => self.model.boxes[from].items.iter().filter(|item| goes(item)).cloned().collect(),
        };
        let first = self.model.boxes[to].uid_next;
        assert_eq!(copied.from, items.iter().map(|item| item.uid).collect());
        assert_eq!(copied.to, UidSet::range(first, first + items.len() as u32 - 1));
        items.into_iter().for_each(|item| self.model.boxes[to].add(item.flags, item.text));
    }

    async fn replace(&mut self, from: usize, nth: usize, to: usize, bits: u8) {
        let (Some((source, from)), Some((target, to))) = (self.mailbox(from).await, self.mailbox(to).await) else {
            return;
        };
        self.model.appended += 1;
        let text = format!("message {}", self.model.appended);
        let mut new = message(self.mail(), &text, "").await;
        new.flags = flag_list(bits);
        let items = &self.model.boxes[from].items;
        // Sometimes one that is not there.
        let uid = items.get(nth).map_or(self.model.boxes[from].uid_next, |item| item.uid);
        let there = items.iter().any(|item| item.uid == uid);
        let replaced = source.replace(Uid::new(uid).unwrap(), &target, new).await.unwrap();
        assert_eq!(replaced.is_some(), there);
        let Some(appended) = replaced else { return };
        self.model.boxes[from].changes += 1;
        self.model.boxes[to].changes += u64::from(from != to);
        self.model.boxes[from].take(|item| item.uid == uid);
        let target = &mut self.model.boxes[to];
        assert_eq!(appended.uids, UidSet::range(target.uid_next, target.uid_next));
        target.add(flag_set(bits), text);
    }

    /// Makes the names above one that are missing, up to the nearest that is there.
    fn make_parents(&mut self, name: &str) {
        let parents: Vec<String> = name.match_indices('/').map(|(at, _)| name[..at].to_owned()).collect();
        for parent in parents.iter().rev() {
            if self.model.names.contains_key(parent) {
                break;
            }
            self.make(parent);
        }
    }

    fn below(&self, name: &str) -> Vec<String> {
        self.model.names.keys().filter(|other| other.starts_with(&format!("{name}/"))).cloned().collect()
    }

    fn make(&mut self, name: &str) {
        if !self.model.names.contains_key(name) {
            self.model.names.insert(name.into(), self.model.boxes.len());
            self.model.boxes.push(Box_::new());
        }
    }

    async fn create(&mut self, text: &str) {
        let created = self.mail().create_mailbox(&name(text), &[]).await;
        assert_eq!(created.is_ok(), !self.model.names.contains_key(text));
        if created.is_ok() {
            self.make_parents(text);
            self.make(text);
        }
    }

    async fn delete(&mut self, text: &str) {
        let deleted = self.mail().delete_mailbox(&name(text)).await;
        match (text, self.model.names.contains_key(text)) {
            ("INBOX", _) => assert!(matches!(deleted, Err(StoreError::Cannot(_)))),
            (_, true) => {
                deleted.unwrap();
                self.model.names.remove(text);
            }
            (_, false) if self.below(text).is_empty() => assert_eq!(deleted, Err(StoreError::NotFound)),
            _ => assert_eq!(deleted, Err(StoreError::HasChildren)),
        }
    }

    async fn rename(&mut self, from: &str, to: &str) {
        let renamed = self.mail().rename_mailbox(&name(from), &name(to)).await;
        if from == "INBOX" {
            assert_eq!(renamed.is_ok(), !self.model.names.contains_key(to));
            if renamed.is_ok() {
                self.make_parents(to);
                self.make(to);
                let (inbox, target) = (self.model.names["INBOX"], self.model.names[to]);
                let items = self.model.boxes[inbox].items.clone();
                if !items.is_empty() {
                    self.model.boxes[inbox].changes += 1;
                    self.model.boxes[target].changes += 1;
                    self.model.boxes[inbox].take(|_| true);
                }
                items.into_iter().for_each(|item| self.model.boxes[target].add(item.flags, item.text));
            }
            return;
        }
        let own = self.model.names.contains_key(from).then(|| from.to_owned());
        let moving: Vec<String> = own.into_iter().chain(self.below(from)).collect();
        let moved = |name: &String| format!("{to}{}", &name[from.len()..]);
        let taken = |name: &String| self.model.names.contains_key(&moved(name)) && !moving.contains(&moved(name));
        let allowed = !moving.is_empty()
            && from != to
            && !self.model.names.contains_key(to)
            && !to.starts_with(&format!("{from}/"))
            && !moving.iter().any(taken);
        assert_eq!(renamed.is_ok(), allowed, "{from} to {to}: {renamed:?}");
        if allowed {
            let boxes: Vec<(String, usize)> =
                moving.iter().map(|name| (moved(name), self.model.names.remove(name).unwrap())).collect();
            self.model.names.extend(boxes);
            self.make_parents(to);
        }
    }

    async fn claim(&mut self, at: usize) {
        let Some((mailbox, at)) = self.mailbox(at).await else { return };
        let target = &mut self.model.boxes[at];
        let expected = UidSet::range(target.unclaimed_from, target.uid_next - 1);
        assert_eq!(mailbox.claim_recent(), expected);
        target.unclaimed_from = target.uid_next;
    }

    async fn restore(&mut self, to: usize) {
        let Some((mailbox, at)) = self.mailbox(to).await else { return };
        let expunged: Vec<_> = self.mail().expunged().await.unwrap().into_iter().take(5).collect();
        if expunged.is_empty() {
            return;
        }
        mailbox.restore(&expunged).await.unwrap();
        self.model.boxes[at].changes += 1;
        for message in expunged {
            let deleted = Flag::System(SystemFlags::DELETED);
            let flags = message.flags.iter().filter(|flag| **flag != deleted).map(|flag| match flag {
                Flag::System(system) => system.names().next().unwrap().to_ascii_lowercase(),
                Flag::Keyword(keyword) => keyword.as_str().to_ascii_lowercase(),
            });
            let stored = self.mail().message(message.message).await.unwrap();
            self.model.boxes[at].add(flags.collect(), stored.summary.subject.clone());
        }
    }

    /// The store says what the model says.
    async fn compare(&self) {
        let tree = self.mail().tree();
        let names: Vec<&str> =
            tree.iter().filter(|(_, entry)| entry.mailbox.is_some()).map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, self.model.names.keys().collect::<Vec<_>>());
        let subscribed: Vec<&str> =
            tree.iter().filter(|(_, entry)| entry.subscribed).map(|(name, _)| name.as_str()).collect();
        assert_eq!(subscribed, self.model.subscribed.iter().collect::<Vec<_>>());
        for (text, at) in &self.model.names {
            let id: MailboxId = tree.mailbox(&name(text)).unwrap();
            self.compare_mailbox(&self.mail().mailbox(id).await.unwrap(), &self.model.boxes[*at]).await;
        }
    }

    async fn compare_mailbox(&self, mailbox: &Mailbox, model: &Box_) {
        let snapshot = mailbox.snapshot();
        let base = snapshot.head.highest_modseq.0 - model.changes;
        let ids: Vec<_> = snapshot.records().map(|record| record.message).collect();
        let messages = self.mail().messages(&ids).await.unwrap();
        let items: Vec<Item> = snapshot
            .records()
            .zip(messages)
            .map(|(record, message)| Item {
                uid: record.uid.value(),
                flags: snapshot.flag_names(record.flags).map(str::to_ascii_lowercase).collect(),
                text: message.unwrap().summary.subject.clone(),
                changed: record.modseq.0 - base,
            })
            .collect();
        assert_eq!(items, model.items);
        assert_eq!(snapshot.head.uid_next.value(), model.uid_next);
        let counts = (snapshot.head.exists as usize, snapshot.head.unseen as usize, snapshot.head.deleted as usize);
        let with = |flag: &str| items.iter().filter(|item| item.flags.contains(flag)).count();
        assert_eq!(counts, (items.len(), items.len() - with("\\seen"), with("\\deleted")));
        for since in (0..=model.changes).rev().take(5) {
            let expected: UidSet =
                model.expunged.iter().filter(|(_, when)| **when > since).map(|(uid, _)| *uid).collect();
            assert_eq!(mailbox.catch_up(ModSeq(base + since)).expunged, Some(expected));
            let changed: Vec<u32> = items.iter().filter(|item| item.changed > since).map(|item| item.uid).collect();
            let told: Vec<u32> =
                snapshot.changed_since(ModSeq(base + since)).map(|record| record.uid.value()).collect();
            assert_eq!(told, changed);
        }
    }
}

/// Does all of it, and looks after each.
pub async fn play(world: World, ops: Vec<Op>) {
    let mut run = Run::new(world).await;
    for op in ops {
        run.run(op).await;
        run.compare().await;
    }
    let report = run.store().verify(&|_| ()).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
    // A mailbox in memory is what a new store reads.
    run.claims_are_written().await;
    let (here, again) = (run.mail(), run.world.reopened().await.open_account(run.world.account).await.unwrap());
    assert_eq!(here.tree(), again.tree());
    for (_, entry) in here.tree().iter() {
        if let Some(id) = entry.mailbox {
            let (here, again) = (here.mailbox(id).await.unwrap(), again.mailbox(id).await.unwrap());
            assert_eq!(here.snapshot(), again.snapshot());
        }
    }
    // When everything is expunged and its time is over, nothing is left.
    for (_, entry) in here.tree().iter() {
        if let Some(id) = entry.mailbox {
            let mailbox = here.mailbox(id).await.unwrap();
            mailbox.store(&UidSet::range(1, u32::MAX), add("\\Deleted"), None).await.unwrap();
            mailbox.expunge(None).await.unwrap();
        }
    }
    run.world.clock.pass(200_000);
    run.store().reclaim().await.unwrap();
    let report = run.store().verify(&|_| ()).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
    assert_eq!((report.messages, report.records), (0, 0));
}

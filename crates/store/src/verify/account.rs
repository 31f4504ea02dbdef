//! Checks one account: its tree, and that names, heads, pages and history belong together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use columba_types::{AccountId, MailboxId, MailboxName, MessageId, ModSeq, Uid};

use super::mailbox::{MailboxParts, check_mailbox};
use super::messages::check_messages;
use super::packs::check_packs;
use super::{Check, FoundBlobs, VerifyReport};
use crate::account_store::read_tree;
use crate::codec;
use crate::codec::small::{TreeState, decode_format, decode_removing};
use crate::engine::{Key, Partition};
use crate::keys::{self, KeyParts};
use crate::store::Core;
use crate::tree::TreeEntry;
use crate::{SpecialUse, StoreError};

/// Times an account that changes meanwhile is checked again.
const TRIES: usize = 3;

/// What is found out about an account on the way.
#[derive(Debug)]
pub(super) struct AccountCheck<'a> {
    pub(super) id: AccountId,
    pub(super) core: &'a Core,
    pub(super) report: VerifyReport,
    /// Every record in a page, with its size.
    pub(super) records: HashMap<(MessageId, MailboxId, Uid), u64>,
}

impl Check<'_> {
    pub(super) async fn check_account(&mut self, id: AccountId) -> Result<(), StoreError> {
        let core = self.store.core();
        let partition = Partition::Account(id);
        for _ in 0..TRIES {
            let before = fingerprint(core, partition).await?;
            let mut check = AccountCheck { id, core, report: VerifyReport::default(), records: HashMap::new() };
            let mut blobs = FoundBlobs::new();
            check.run(&self.blobs, &mut blobs).await?;
            if fingerprint(core, partition).await? != before {
                continue;
            }
            let VerifyReport { findings, mailboxes, records, messages, bytes, .. } = check.report;
            self.report.findings.extend(findings);
            self.report.mailboxes += mailboxes;
            self.report.records += records;
            self.report.messages += messages;
            self.report.bytes += bytes;
            self.progress.messages += messages;
            // What is left in the end is nobody's.
            blobs.keys().for_each(|blob| _ = self.blobs.remove(blob));
            return Ok(());
        }
        let text = format!("account {id} changed each time it was looked at, and was left out");
        self.report.find(super::Severity::Note, text);
        Ok(())
    }
}

/// Changes whenever anything of an account does.
async fn fingerprint(core: &Core, partition: Partition) -> Result<Vec<(Key, bytes::Bytes)>, StoreError> {
    let mut all = core.scan_all(partition, keys::format()..keys::after(&keys::reclaim())).await?;
    all.extend(core.scan_all(partition, keys::all_heads()).await?);
    all.extend(core.scan_all(partition, keys::all_removing()).await?);
    all.extend(core.scan_all(partition, keys::all_dead()).await?);
    all.extend(core.scan_all(partition, keys::all_metadata()).await?);
    Ok(all)
}

impl AccountCheck<'_> {
    pub(super) fn partition(&self) -> Partition {
        Partition::Account(self.id)
    }

    pub(super) fn error(&mut self, text: impl std::fmt::Display) {
        self.report.error(format!("account {}: {text}", self.id));
    }

    pub(super) fn warn(&mut self, text: impl std::fmt::Display) {
        self.report.warn(format!("account {}: {text}", self.id));
    }

    async fn run(&mut self, found: &FoundBlobs, used: &mut FoundBlobs) -> Result<(), StoreError> {
        match self.core.value(self.partition(), keys::format()).await? {
            // It gets one, and its mailboxes, when it is opened.
            None => return Ok(()),
            Some(format) => {
                if let Err(error) = decode_format(&format) {
                    self.error(error);
                    return Ok(());
                }
            }
        }
        let (state, names) = match read_tree(self.core, self.partition()).await {
            Ok(tree) => tree,
            Err(error @ (StoreError::Corrupt(_) | StoreError::NotFound)) => {
                self.error(format_args!("the tree: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut mailboxes = self.collect_mailboxes().await?;
        let pages: HashSet<(MailboxId, u32)> =
            mailboxes.iter().flat_map(|(id, parts)| parts.pages.iter().map(|page| (*id, page.key))).collect();
        self.check_metadata(&mailboxes).await?;
        self.check_tree(state, &names, &mailboxes);
        for (key, value) in self.core.scan_all(self.partition(), keys::all_removing()).await? {
            let id = MailboxId(KeyParts::of(&key).u64().unwrap_or(0));
            if let Err(error) = decode_removing(&value) {
                self.error(format_args!("the mark of deleted {id}: {error}"));
            }
            // Its pages are on their way out, and their records still count as such.
            let parts = mailboxes.remove(&id).unwrap_or_default();
            parts.pages.iter().flat_map(|page| &page.records).for_each(|record| {
                self.records.insert((record.message, id, record.uid), record.size);
            });
        }
        let mut validities = BTreeMap::new();
        for (id, parts) in mailboxes {
            if let Some(other) = check_mailbox(self, id, &parts, state).and_then(|value| validities.insert(value, id)) {
                self.error(format_args!("mailboxes {id} and {other} have the same UIDVALIDITY"));
            }
        }
        check_messages(self, found, used).await?;
        check_packs(self, &pages).await
    }

    /// Heads, pages and history of each mailbox.
    async fn collect_mailboxes(&mut self) -> Result<BTreeMap<MailboxId, MailboxParts>, StoreError> {
        let mut all: BTreeMap<MailboxId, MailboxParts> = BTreeMap::new();
        for (key, value) in self.core.scan_all(self.partition(), keys::all_heads()).await? {
            let id = MailboxId(KeyParts::of(&key).u64().unwrap_or(0));
            match codec::head::decode(&value, id) {
                Ok((head, _)) => all.entry(id).or_default().head = Some(head),
                Err(error) => self.error(format_args!("head of {id}: {error}")),
            }
        }
        for (key, value) in self.core.scan_all(self.partition(), keys::all_pages()).await? {
            let mut parts = KeyParts::of(&key);
            let (id, first) = (MailboxId(parts.u64().unwrap_or(0)), parts.u32().unwrap_or(0));
            match codec::page::decode(&value, first) {
                Ok(page) => all.entry(id).or_default().pages.push(page),
                Err(error) => self.error(format_args!("page {first} of {id}: {error}")),
            }
        }
        for (key, value) in self.core.scan_all(self.partition(), keys::all_logs()).await? {
            let mut parts = KeyParts::of(&key);
            let (id, modseq) = (MailboxId(parts.u64().unwrap_or(0)), ModSeq(parts.u64().unwrap_or(0)));
            match codec::log::decode(&value, modseq) {
                Ok(page) => all.entry(id).or_default().log.push(page),
                Err(error) => self.error(format_args!("history {modseq} of {id}: {error}")),
            }
        }
        Ok(all)
    }

    async fn check_metadata(&mut self, mailboxes: &BTreeMap<MailboxId, MailboxParts>) -> Result<(), StoreError> {
        for (key, value) in self.core.scan_all(self.partition(), keys::all_metadata()).await? {
            let mut parts = KeyParts::of(&key);
            let id = parts.u64().map(MailboxId).filter(|_| parts.end().is_some());
            let exists = |id: MailboxId| id.0 == 0 || mailboxes.get(&id).is_some_and(|parts| parts.head.is_some());
            match id {
                Some(id) if exists(id) => {
                    if let Err(error) = codec::metadata::decode(&value) {
                        self.error(format_args!("the annotations of {id}: {error}"));
                    }
                }
                Some(id) => self.warn(format_args!("there are annotations of {id}, which is no mailbox")),
                None => self.error("there are annotations of nothing"),
            }
        }
        Ok(())
    }

    fn check_tree(
        &mut self,
        state: TreeState,
        names: &BTreeMap<MailboxName, TreeEntry>,
        mailboxes: &BTreeMap<MailboxId, MailboxParts>,
    ) {
        if names.get(&MailboxName::inbox()).is_none_or(|entry| entry.mailbox.is_none()) {
            self.error("there is no INBOX");
        }
        let mut named: BTreeMap<MailboxId, &MailboxName> = BTreeMap::new();
        let mut uses: BTreeSet<SpecialUse> = BTreeSet::new();
        for (name, entry) in names {
            if crate::normalise_name(name.as_str()).as_ref() != Ok(name) {
                self.warn(format_args!("the name {name:?} is not in normal form"));
            }
            for special_use in &entry.uses {
                if !uses.insert(*special_use) {
                    self.warn(format_args!("{} is the use of {name:?} and of another one", special_use.as_str()));
                }
            }
            match entry.mailbox {
                None if !entry.subscribed || !entry.uses.is_empty() => {
                    self.warn(format_args!("{name:?} is neither a mailbox nor a mere subscription"));
                }
                None => {}
                Some(id) => {
                    if mailboxes.get(&id).is_none_or(|parts| parts.head.is_none()) {
                        self.error(format_args!("{name:?} is {id}, which is no mailbox"));
                    }
                    if let Some(other) = named.insert(id, name) {
                        self.error(format_args!("{id} is both {other:?} and {name:?}"));
                    }
                }
            }
        }
        for id in mailboxes.iter().filter(|(_, parts)| parts.head.is_some()).map(|(id, _)| *id) {
            if !named.contains_key(&id) {
                self.error(format_args!("mailbox {id} has no name"));
            }
            if id.0 >> 28 != self.id.0 || id.0 & ((1 << 28) - 1) > state.mailboxes_made || id.0 & ((1 << 28) - 1) == 0 {
                self.error(format_args!("mailbox {id} has an id that was never given"));
            }
        }
    }
}

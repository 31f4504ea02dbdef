//! Checks every invariant there is over everything stored, and says in words what does not hold. Changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use columba_types::limits::SCAN_KEYS;
use columba_types::{AccountId, MessageId};

use crate::codec;
use crate::codec::small::{decode_octets, decode_version};
use crate::engine::{BlobRecord, BlobRef, Partition};
use crate::keys::{self, KeyParts};
use crate::{Account, Store, StoreError};

mod account;
mod mailbox;
mod messages;
mod packs;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Worth knowing, harms nobody.
    Note,
    /// Something is left over or not as it should be; no message is lost by it.
    Warning,
    /// Damage: a message, or what is known of it, is lost or wrong.
    Error,
}

/// One thing that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// What and where, in words.
    pub text: String,
}

/// How far a check has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VerifyProgress {
    /// Segments read and checked.
    pub segments: u64,
    /// Octets of messages read and checked.
    pub bytes: u64,
    /// Accounts done.
    pub accounts: u64,
    /// Messages done.
    pub messages: u64,
}

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VerifyReport {
    /// In the order they were found.
    pub findings: Vec<Finding>,
    /// Accounts.
    pub accounts: u64,
    /// Mailboxes.
    pub mailboxes: u64,
    /// Records in mailboxes.
    pub records: u64,
    /// Messages, those that can be restored included.
    pub messages: u64,
    /// Their octets.
    pub bytes: u64,
    /// Octets of no message: what was expunged for good, what a crash left before it became a message, and what is arriving right
    /// now. No error: it is given back when its segment is rewritten.
    pub reclaimable_bytes: u64,
}

impl VerifyReport {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, severity: Severity, text: impl Into<String>) {
        self.findings.push(Finding { severity, text: text.into() });
    }

    fn error(&mut self, text: impl Into<String>) {
        self.find(Severity::Error, text);
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.find(Severity::Warning, text);
    }
}

/// Every blob found in segments, and whose it says it is.
type FoundBlobs = HashMap<BlobRef, (AccountId, MessageId)>;

/// A check under way.
struct Check<'a> {
    store: &'a Store,
    report: VerifyReport,
    progress: VerifyProgress,
    tell: &'a (dyn Fn(VerifyProgress) + Send + Sync),
    blobs: FoundBlobs,
}

impl Store {
    /// Checks everything: how the engine keeps its keys, heads against pages, records against messages, messages against
    /// bytes, packs against both, and all checksums. `progress` is told now and then. An account that changes meanwhile is
    /// checked again; one that never rests is left out, with a note.
    ///
    /// # Errors
    /// `Unavailable`: the engine or the blobs cannot be read. Damage is no error here but a finding.
    pub async fn verify(&self, progress: &(dyn Fn(VerifyProgress) + Send + Sync)) -> Result<VerifyReport, StoreError> {
        let mut check = Check {
            store: self,
            report: VerifyReport::default(),
            progress: VerifyProgress::default(),
            tell: progress,
            blobs: FoundBlobs::new(),
        };
        for finding in self.core().engine.check().await? {
            check.report.error(finding);
        }
        check.read_segments().await?;
        let accounts = check.check_accounts().await?;
        for id in &accounts {
            check.check_account(*id).await?;
            check.progress.accounts += 1;
            progress(check.progress);
        }
        check.check_partitions(&accounts).await?;
        check.report.accounts = accounts.len() as u64;
        check.report.reclaimable_bytes = check.blobs.keys().map(|blob| blob.len).sum();
        Ok(check.report)
    }
}

impl Check<'_> {
    /// Reads every record of every segment, with its checksum.
    async fn read_segments(&mut self) -> Result<(), StoreError> {
        let blobs = &self.store.core().blobs;
        for segment in blobs.segments().await? {
            for record in blobs.records(segment.segment).await? {
                match record {
                    Ok(BlobRecord { account, message, blob }) => {
                        self.progress.bytes += blob.len;
                        self.blobs.insert(blob, (account, message));
                    }
                    // If it is a message's, that is found as an error there.
                    Err(error) => self.report.warn(format!("segment {}: {error}", segment.segment)),
                }
            }
            self.progress.segments += 1;
            (self.tell)(self.progress);
        }
        Ok(())
    }

    /// The accounts, after checking that their names and ids belong together.
    async fn check_accounts(&mut self) -> Result<HashSet<AccountId>, StoreError> {
        let core = self.store.core();
        let mut by_id: BTreeMap<AccountId, Account> = BTreeMap::new();
        for (key, value) in core.scan_all(Partition::Global, keys::all_accounts()).await? {
            let Some(id) = KeyParts::of(&key).u64().map(AccountId) else {
                self.report.error("an account's key is damaged");
                continue;
            };
            match codec::account::decode(&value, id) {
                Ok((account, _)) => _ = by_id.insert(id, account),
                Err(error) => self.report.error(format!("account {id}: {error}")),
            }
        }
        let mut named = HashSet::new();
        for (key, value) in core.scan_all(Partition::Global, keys::all_account_names()).await? {
            let name = KeyParts::of(&key).text().unwrap_or("(damaged)").to_owned();
            match decode_version(&value).map(AccountId) {
                Err(error) => self.report.error(format!("the account name {name:?}: {error}")),
                Ok(id) if by_id.get(&id).is_some_and(|account| account.name == name) => _ = named.insert(id),
                Ok(id) => self.report.error(format!("the name {name:?} is said to be of {id}, which is not so")),
            }
        }
        for account in by_id.values().filter(|account| !named.contains(&account.id)) {
            self.report.error(format!("account {} cannot be found by its name {:?}", account.id, account.name));
        }
        let next = core.value(Partition::Global, keys::accounts()).await?.map(|value| decode_version(&value));
        let last = by_id.keys().next_back().map_or(0, |id| id.0);
        match next {
            Some(Ok(next)) if next > last => {}
            None if last == 0 => {}
            other => self.report.error(format!("the last account is {last}, the counter says {other:?}")),
        }
        for (key, value) in core.scan_all(Partition::Global, keys::all_gone()).await? {
            if let Err(error) = decode_octets(&value) {
                self.report.warn(format!("octets of deleted accounts, {key:?}: {error}"));
            }
        }
        Ok(by_id.into_keys().collect())
    }

    /// There is no partition of an account that does not exist.
    async fn check_partitions(&mut self, accounts: &HashSet<AccountId>) -> Result<(), StoreError> {
        let core = self.store.core();
        let mut last = None;
        loop {
            let partitions = core.engine.partitions(last, SCAN_KEYS).await?;
            let Some(next) = partitions.last().copied() else { return Ok(()) };
            last = Some(next);
            for partition in partitions {
                if let Partition::Account(id) = partition
                    && !accounts.contains(&id)
                    && self.store.account(id).await?.is_none()
                {
                    self.report.warn(format!("there is data of {id}, which is no account; reclaiming takes it away"));
                }
            }
        }
    }
}

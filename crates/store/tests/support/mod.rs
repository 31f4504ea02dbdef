//! A store on engines in memory, and the short forms the tests speak in. Every test ends with `check`.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub, missing_debug_implementations)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use columba_store::testing::TestClock;
use columba_store::{
    AccountStore, Blobs, Engine, FlagAction, FlagChange, Mailbox, MemoryBlobs, MemoryEngine, MessageSummary,
    NewAccount, NewMessage, Options, Store, VerifyReport,
};
use columba_types::{AccountId, DateTime, Flag, MailboxName, Uid, UidSet};

pub struct World {
    pub engine: Arc<dyn Engine>,
    pub blobs: Arc<dyn Blobs>,
    pub clock: Arc<TestClock>,
    pub options: Options,
    pub store: Store,
    pub account: AccountId,
    reopened: AtomicU64,
    /// Where there are files: opens them again, once nobody has them open.
    open_again: Option<OpenAgain>,
}

pub type OpenAgain = Box<dyn FnMut() -> (Arc<dyn Engine>, Arc<dyn Blobs>) + Send + Sync>;

pub const KEEP: Duration = Duration::from_secs(100);

impl World {
    /// A store with one account, `max`.
    pub async fn new() -> Self {
        Self::on(Arc::new(MemoryEngine::new())).await
    }

    pub async fn on(engine: Arc<dyn Engine>) -> Self {
        Self::on_both(engine, Arc::new(MemoryBlobs::with_segments_of(4096))).await
    }

    /// On files, which `open_again` opens.
    pub async fn on_files(mut open_again: OpenAgain) -> Self {
        let (engine, blobs) = open_again();
        Self { open_again: Some(open_again), ..Self::on_both(engine, blobs).await }
    }

    pub async fn on_both(engine: Arc<dyn Engine>, blobs: Arc<dyn Blobs>) -> Self {
        let clock = Arc::new(TestClock::default());
        let options = Options { keep_expunged: KEEP, seed: Some(7), ..Options::default() };
        let store = Store::open(engine.clone(), blobs.clone(), clock.clone(), options.clone()).await.unwrap();
        let account =
            store.create_account(NewAccount { name: "max".into(), ..NewAccount::default() }).await.unwrap().id;
        Self { engine, blobs, clock, options, store, account, reopened: AtomicU64::new(0), open_again: None }
    }

    /// Another store on the same engine, as after a restart.
    pub async fn reopened(&self) -> Store {
        // Numbers start elsewhere, as they would in another process.
        let seed = self.reopened.fetch_add(1, Ordering::Relaxed);
        let options = Options { seed: Some(1000 + seed), ..self.options.clone() };
        Store::open(self.engine.clone(), self.blobs.clone(), self.clock.clone(), options).await.unwrap()
    }

    /// The store after a restart. Nobody else has anything of the old one any more.
    pub async fn restarted(&mut self) -> Store {
        if self.open_again.is_some() {
            (self.engine, self.blobs) = (Arc::new(MemoryEngine::new()), Arc::new(MemoryBlobs::with_segments_of(4096)));
            self.store = self.reopened().await;
        }
        if let Some(open_again) = &mut self.open_again {
            (self.engine, self.blobs) = open_again();
        }
        self.store = self.reopened().await;
        self.store.clone()
    }

    pub async fn mail(&self) -> Arc<AccountStore> {
        self.store.open_account(self.account).await.unwrap()
    }

    pub async fn inbox(&self) -> Arc<Mailbox> {
        open(&self.mail().await, "INBOX").await
    }

    pub async fn report(&self) -> VerifyReport {
        self.store.verify(&|_| ()).await.unwrap()
    }

    /// Nothing stored breaks an invariant, and what is in memory is what is stored.
    pub async fn check(&self) {
        let report = self.report().await;
        assert!(report.is_clean(), "{:#?}", report.findings);
        let (here, again) = (self.mail().await, self.reopened().await.open_account(self.account).await.unwrap());
        assert_eq!(here.tree(), again.tree());
        for (_, entry) in here.tree().iter() {
            if let Some(id) = entry.mailbox {
                let (here, again) = (here.mailbox(id).await.unwrap(), again.mailbox(id).await.unwrap());
                assert_eq!(here.snapshot(), again.snapshot());
            }
        }
    }
}

pub fn name(text: &str) -> MailboxName {
    MailboxName::new(text).unwrap()
}

pub async fn open(mail: &Arc<AccountStore>, mailbox: &str) -> Arc<Mailbox> {
    let id = mail.tree().mailbox(&name(mailbox)).unwrap();
    mail.mailbox(id).await.unwrap()
}

pub fn flags(text: &str) -> Vec<Flag> {
    text.split_whitespace().map(|flag| Flag::parse(flag).unwrap()).collect()
}

pub fn add(text: &str) -> FlagChange {
    FlagChange { action: FlagAction::Add, flags: flags(text) }
}

pub fn remove(text: &str) -> FlagChange {
    FlagChange { action: FlagAction::Remove, flags: flags(text) }
}

pub fn replace(text: &str) -> FlagChange {
    FlagChange { action: FlagAction::Replace, flags: flags(text) }
}

pub async fn bytes_of(mail: &Arc<AccountStore>, text: &str) -> columba_store::StoredBytes {
    let mut incoming = mail.incoming();
    incoming.write(Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
    incoming.finish().await.unwrap()
}

pub async fn message(mail: &Arc<AccountStore>, text: &str, flag_names: &str) -> NewMessage {
    NewMessage {
        bytes: bytes_of(mail, text).await,
        flags: flags(flag_names),
        internal_date: DateTime { unix_secs: 1_700_000_000, zone_minutes: 60 },
        summary: MessageSummary { subject: text.into(), ..MessageSummary::default() },
    }
}

/// A message with ids, for threads.
pub async fn mail_with_ids(mail: &Arc<AccountStore>, id: Option<&str>, references: &[&str]) -> NewMessage {
    let mut new = message(mail, "threaded", "").await;
    new.summary.message_id = id.map(str::to_owned);
    new.summary.references = references.iter().map(|id| (*id).to_owned()).collect();
    new
}

pub async fn append(mail: &Arc<AccountStore>, mailbox: &Mailbox, text: &str, flag_names: &str) -> Uid {
    let new = message(mail, text, flag_names).await;
    let appended = mailbox.append(vec![new]).await.unwrap();
    appended.uids.uids().next().unwrap()
}

pub fn set(text: &str) -> UidSet {
    let range = |part: &str| match part.split_once(':') {
        Some((low, high)) => (low.parse().unwrap(), high.parse().unwrap()),
        None => (part.parse().unwrap(), part.parse().unwrap()),
    };
    UidSet::from_ranges(text.split(',').filter(|part| !part.is_empty()).map(range).collect())
}

/// `UID flags`, one line for each message.
pub fn listing(mailbox: &Mailbox) -> Vec<String> {
    let snapshot = mailbox.snapshot();
    let line = |record: &columba_store::Record| {
        let names: Vec<&str> = snapshot.flag_names(record.flags).collect();
        format!("{} {}", record.uid, names.join(" ")).trim().to_owned()
    };
    snapshot.records().map(line).collect()
}

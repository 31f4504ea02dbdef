//! The store under a server in this process, from outside of any session: accounts, mailboxes and messages that a script
//! wants there, and the check that everything is in order afterwards.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use columba_auth::{Secret, hash_password, quick_hash};
use columba_session::delivery::{Delivery, HEADERS};
use columba_store::testing::Lagging;
use columba_store::{
    AccountChange, AccountStore, Clock as _, MemoryBlobs, MemoryEngine, NewAccount, Options, Severity, Store,
};
use columba_types::{DateTime, Flag};

use super::ground::Refusal;
use super::memory::block_on;
use super::parse::{ACCOUNT, Outside, PASSWORD};
use crate::clock::VirtualClock;

/// A store in memory with the account `bob`, and its clock.
#[derive(Debug)]
pub struct MailSide {
    store: Store,
    disk: Lagging,
    clock: VirtualClock,
}

impl MailSide {
    /// An empty one.
    ///
    /// # Errors
    /// In words.
    pub fn new() -> Result<Self, String> {
        Self::with(Options::default())
    }

    /// An empty one, opened as told; only random numbers always start at the same place.
    ///
    /// # Errors
    /// In words.
    pub fn with(options: Options) -> Result<Self, String> {
        let clock = VirtualClock::default();
        let disk = Lagging::new(Arc::new(MemoryEngine::default()));
        let (engine, blobs) = (Arc::new(disk.clone()), Arc::new(MemoryBlobs::default()));
        let options = Options { seed: Some(1), headers: Some(HEADERS), ..options };
        let store = block_on(Store::open(engine, blobs, Arc::new(clock.clone()), options));
        let mail = Self { store: store.map_err(|e| e.to_string())?, disk, clock };
        mail.create_account(ACCOUNT, PASSWORD)?;
        Ok(mail)
    }

    /// The store, for the server.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The store's clock.
    pub fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    /// Does what a script wants done; limits are the server's matter and ignored here.
    ///
    /// # Errors
    /// In words.
    pub fn outside(&self, what: &Outside, octets: &[u8]) -> Result<(), Refusal> {
        match what {
            Outside::Account { name, password } => Ok(self.create_account(name, password)?),
            Outside::ConnectionsPerAccount(_)
            | Outside::MessageLimit { .. }
            | Outside::BatchSize(_)
            | Outside::Hide { .. } => Ok(()),
            Outside::Disk { hangs: true } => {
                self.disk.hold();
                Ok(())
            }
            Outside::Disk { hangs: false } => {
                self.disk.release();
                Ok(())
            }
            Outside::MessageSize { account, octets } => block_on(self.limit(account, *octets)),
            Outside::Mailbox { account, name } => {
                let name = columba_store::normalise_name(name)?;
                block_on(async { Ok(self.account(account).await?.create_mailbox(&name, &[]).await.map(drop)?) })
            }
            Outside::Message { .. } => block_on(self.deliver(what, octets)),
        }
    }

    /// Whether everything in the store is in order.
    ///
    /// # Errors
    /// The first thing that is not.
    pub fn verify(&self) -> Result<(), String> {
        let report = block_on(self.store.verify(&|_| {})).map_err(|e| e.to_string())?;
        match report.findings.iter().find(|finding| finding.severity != Severity::Note) {
            Some(finding) => Err(format!("verify: {}", finding.text)),
            None => Ok(()),
        }
    }

    fn create_account(&self, name: &str, password: &str) -> Result<(), String> {
        let credentials = match password {
            PASSWORD => usual_credentials().clone(),
            other => quick_hash(&Secret::new(other)),
        };
        let new = NewAccount { name: name.into(), credentials, disabled: false };
        block_on(self.store.create_account(new)).map(drop).map_err(|e| e.to_string())
    }

    async fn limit(&self, name: &str, octets: u64) -> Result<(), Refusal> {
        let account = self.store.account_named(name).await?.ok_or("there is no such account")?;
        let change = AccountChange { message_bytes: Some(Some(octets)), ..AccountChange::default() };
        Ok(self.store.update_account(account.id, change).await.map(drop)?)
    }

    async fn account(&self, name: &str) -> Result<Arc<AccountStore>, Refusal> {
        let account = self.store.account_named(name).await?.ok_or("there is no such account")?;
        Ok(self.store.open_account(account.id).await?)
    }

    async fn deliver(&self, what: &Outside, octets: &[u8]) -> Result<(), Refusal> {
        let Outside::Message { account, mailbox, flags, date, .. } = what else { return Ok(()) };
        let mail = self.account(account).await?;
        let name = columba_store::normalise_name(mailbox)?;
        let id = mail.tree().mailbox(&name).ok_or_else(|| format!("there is no mailbox {mailbox:?}"))?;
        let flags: Result<Vec<Flag>, _> = flags.iter().map(|flag| Flag::parse(flag)).collect();
        let now = DateTime::utc(self.clock.now_millis().div_euclid(1000));
        let mut delivery = Delivery::begin(&mail);
        delivery.write(Bytes::copy_from_slice(octets)).await?;
        let message = delivery.finish(flags?, date.unwrap_or(now)).await?;
        mail.mailbox(id).await?.append(vec![message]).await?;
        Ok(())
    }
}

/// The verifier of [`PASSWORD`], worked out once.
fn usual_credentials() -> &'static Vec<String> {
    static CREDENTIALS: OnceLock<Vec<String>> = OnceLock::new();
    CREDENTIALS.get_or_init(|| hash_password(&Secret::new(PASSWORD)))
}

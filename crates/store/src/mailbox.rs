//! Mailbox
use std::sync::Arc;
use columba_types::{MailboxId, ModSeq, Uid, UidSet};
use crate::*;
/// What happened since a moment: the state now, and what went on the way to it.
#[derive(Clone, Debug)]
pub struct CatchUp {
    /// The state now.
    pub snapshot: Arc<Snapshot>,
    /// What was expunged since; `None`: too far back, compare whole lists.
    pub expunged: Option<UidSet>,
}
/// A mailbox in memory.
#[derive(Debug)]
pub struct Mailbox {}
#[allow(missing_docs)]
impl Mailbox {
  pub fn id(&self) -> MailboxId { unimplemented!() }
  pub fn snapshot(&self) -> Arc<Snapshot> { unimplemented!() }
  pub fn watch(&self) -> Watch { unimplemented!() }
  pub fn catch_up(&self, _since: ModSeq) -> CatchUp { unimplemented!() }
  pub fn is_deleted(&self) -> bool { unimplemented!() }
  pub fn ghost(&self, _uid: Uid) -> Option<Record> { unimplemented!() }
  pub fn claim_recent(&self) -> Uid { unimplemented!() }
  pub fn recent_from(&self) -> Uid { unimplemented!() }
  pub async fn append(&self, _messages: Vec<NewMessage>) -> Result<Appended, StoreError> { unimplemented!() }
  pub async fn store(&self, _uids: &UidSet, _change: FlagChange, _unchanged_since: Option<ModSeq>) -> Result<Stored, StoreError> { unimplemented!() }
  pub async fn expunge(&self, _uids: Option<&UidSet>) -> Result<Expunged, StoreError> { unimplemented!() }
  pub async fn copy(&self, _uids: &UidSet, _to: &Mailbox) -> Result<Copied, StoreError> { unimplemented!() }
  pub async fn move_to(&self, _uids: &UidSet, _to: &Mailbox) -> Result<Copied, StoreError> { unimplemented!() }
}

//! One account's mail.
use crate::*;
use bytes::Bytes;
use columba_types::{AccountId, MailboxId, MailboxName, MessageId};
use std::{ops::Range, sync::Arc};
/// One account's mail.
#[derive(Debug)]
pub struct AccountStore {}
#[allow(missing_docs)]
impl AccountStore {
  pub fn id(&self) -> AccountId { unimplemented!() }
  pub fn tree(&self) -> Arc<Tree> { unimplemented!() }
  pub fn tree_watch(&self) -> Watch { unimplemented!() }
  pub async fn create_mailbox(&self, _name: &MailboxName, _uses: &[SpecialUse]) -> Result<MailboxId, StoreError> { unimplemented!() }
  pub async fn delete_mailbox(&self, _name: &MailboxName) -> Result<(), StoreError> { unimplemented!() }
  pub async fn rename_mailbox(&self, _from: &MailboxName, _to: &MailboxName) -> Result<(), StoreError> { unimplemented!() }
  pub async fn subscribe(&self, _name: &MailboxName, _on: bool) -> Result<(), StoreError> { unimplemented!() }
  pub async fn mailbox(&self, _id: MailboxId) -> Result<Arc<Mailbox>, StoreError> { unimplemented!() }
  pub async fn head(&self, _id: MailboxId) -> Result<Head, StoreError> { unimplemented!() }
  pub async fn message(&self, _id: MessageId) -> Result<Arc<Message>, StoreError> { unimplemented!() }
  pub async fn messages(&self, _ids: &[MessageId]) -> Result<Vec<Option<Arc<Message>>>, StoreError> { unimplemented!() }
  pub async fn read(&self, _message: &Message, _range: Range<u64>) -> Result<Bytes, StoreError> { unimplemented!() }
  pub fn incoming(&self) -> Incoming { unimplemented!() }
}

//! Incoming
use columba_types::MessageId;
use bytes::Bytes;
use crate::StoreError;
/// A message whose bytes arrive.
#[derive(Debug)]
pub struct Incoming {}
/// Bytes that are durable and not yet anybody's message.
#[derive(Debug)]
pub struct StoredBytes {}
#[allow(missing_docs)]
impl Incoming {
  pub fn message_id(&self) -> MessageId { unimplemented!() }
  pub fn len(&self) -> u64 { unimplemented!() }
  pub fn is_empty(&self) -> bool { self.len() == 0 }
  pub async fn write(&mut self, _chunk: Bytes) -> Result<(), StoreError> { unimplemented!() }
  pub async fn finish(self) -> Result<StoredBytes, StoreError> { unimplemented!() }
}
#[allow(missing_docs)]
impl StoredBytes {
  pub fn message_id(&self) -> MessageId { unimplemented!() }
  pub fn len(&self) -> u64 { unimplemented!() }
  pub fn is_empty(&self) -> bool { self.len() == 0 }
}

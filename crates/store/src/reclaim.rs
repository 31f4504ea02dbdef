//! Reclaim
use crate::*;
/// What was given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reclaimed {
    /// Expunged messages that are gone for good now.
    pub messages: u64,
    /// Segments removed.
    pub segments: u64,
    /// Octets given back.
    pub bytes: u64,
}
#[allow(missing_docs)]
impl Store {
  pub async fn reclaim(&self) -> Result<Reclaimed, StoreError> { unimplemented!() }
}

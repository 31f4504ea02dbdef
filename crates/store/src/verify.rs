//! Verify
use crate::*;
/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Worth knowing, harms nobody: space that can be given back.
    Note,
    /// Something is not as it should be; no message is lost by it.
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
    /// Accounts done.
    pub accounts: u64,
    /// Messages done.
    pub messages: u64,
    /// Octets of messages read and checked.
    pub bytes: u64,
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
    /// Messages.
    pub messages: u64,
    /// Their octets.
    pub bytes: u64,
    /// Octets that belong to no message and can be given back.
    pub reclaimable_bytes: u64,
}
#[allow(missing_docs)]
impl Store {
    pub async fn verify(&self, _progress: &(dyn Fn(VerifyProgress) + Send + Sync)) -> Result<VerifyReport, StoreError> {
        unimplemented!()
    }
}

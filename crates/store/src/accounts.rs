//! Accounts.
use std::sync::Arc;
use crate::{AccountStore, Store, StoreError};
use columba_types::AccountId;

/// An account, without its mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// For good.
    pub id: AccountId,
    /// What its owner logs in with: lower case, NFC.
    pub name: String,
    /// Verifiers of its credentials, in the form of crate `auth`; opaque here.
    pub credentials: Vec<String>,
    /// Whether it may log in.
    pub disabled: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_millis: i64,
}

/// An account that is to be made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewAccount {
    /// Its name, in any case and normal form.
    pub name: String,
    /// Verifiers of its credentials.
    pub credentials: Vec<String>,
    /// Whether it may log in.
    pub disabled: bool,
}

/// What is to be different about an account; `None` leaves it as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccountChange {
    /// New verifiers, in place of all old ones.
    pub credentials: Option<Vec<String>>,
    /// Whether it may log in.
    pub disabled: Option<bool>,
    /// A new name.
    pub name: Option<String>,
}

/// normalise
pub fn normalise_account_name(_name: &str) -> Result<String, StoreError> { unimplemented!() }

#[allow(missing_docs, clippy::unused_async)]
impl Store {
  pub async fn account_named(&self, _name: &str) -> Result<Option<Account>, StoreError> { unimplemented!() }
  pub async fn account(&self, _id: AccountId) -> Result<Option<Account>, StoreError> { unimplemented!() }
  pub async fn accounts(&self, _after: Option<&str>, _limit: usize) -> Result<Vec<Account>, StoreError> { unimplemented!() }
  pub async fn create_account(&self, _new: NewAccount) -> Result<Account, StoreError> { unimplemented!() }
  pub async fn create_accounts(&self, _new: Vec<NewAccount>) -> Vec<Result<Account, StoreError>> { unimplemented!() }
  pub async fn update_account(&self, _id: AccountId, _change: AccountChange) -> Result<Account, StoreError> { unimplemented!() }
  pub async fn delete_account(&self, _id: AccountId) -> Result<(), StoreError> { unimplemented!() }
  pub async fn recipient(&self, _address: &str) -> Result<Option<Account>, StoreError> { unimplemented!() }
  pub async fn open_account(&self, _id: AccountId) -> Result<Arc<AccountStore>, StoreError> { unimplemented!() }
}

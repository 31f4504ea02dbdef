//! Accounts: who may have mail here. Credentials are opaque; checking them is the matter of crate `auth`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};

use columba_types::limits::{ACCOUNT_NAME_BYTES, ACCOUNTS_IN_MEMORY, COMMIT_ACCOUNTS, COMMIT_RETRIES};
use columba_types::{AccountId, Networks};
use futures_util::future::join_all;
use unicode_normalization::UnicodeNormalization;

use crate::account_store::AccountStore;
use crate::codec;
use crate::codec::small::{decode_version, encode_mark, encode_version};
use crate::engine::{Batch, CommitError, Expect, Partition};
use crate::keys::{self, KeyParts};
use crate::memory::lock;
use crate::tree_changes::create_first_mailboxes;
use crate::{Store, StoreError};

/// An account, without its mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// For good.
    pub id: AccountId,
    /// What its owner logs in with: lower case, NFC.
    pub name: String,
    /// Verifiers of its credentials, in the form of crate `auth`; opaque here.
    pub credentials: Vec<String>,
    /// Whether it may not log in.
    pub disabled: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_millis: i64,
    /// Octets of the largest message it takes; `None`: as many as the server takes.
    pub message_bytes: Option<u64>,
    /// From where its owner may log in.
    pub networks: Networks,
}

/// An account that is to be made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewAccount {
    /// Its name, in any case and normal form.
    pub name: String,
    /// Verifiers of its credentials.
    pub credentials: Vec<String>,
    /// Whether it may not log in.
    pub disabled: bool,
}

/// What is to be different about an account; `None` leaves it as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccountChange {
    /// New verifiers, in place of all old ones.
    pub credentials: Option<Vec<String>>,
    /// Whether it may not log in.
    pub disabled: Option<bool>,
    /// A new name.
    pub name: Option<String>,
    /// Another limit on its messages; `Some(None)`: none of its own.
    pub message_bytes: Option<Option<u64>>,
    /// Other networks, in place of all old ones.
    pub networks: Option<Networks>,
}

/// An account's name in the form it is kept in: lower case, NFC. It may be an address.
///
/// # Errors
/// `Cannot`: it is empty or too long, or has spaces or control characters.
pub fn normalise_account_name(name: &str) -> Result<String, StoreError> {
    // What is longer in any form is not worth normalising.
    if name.len() > ACCOUNT_NAME_BYTES * 4 {
        return Err(StoreError::Cannot("an account's name has at most 255 octets"));
    }
    let name: String = name.nfc().flat_map(char::to_lowercase).nfc().collect();
    if name.is_empty() || name.len() > ACCOUNT_NAME_BYTES {
        return Err(StoreError::Cannot("an account's name has 1 to 255 octets"));
    }
    if name.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\u{fffd}') {
        return Err(StoreError::Cannot("an account's name has no spaces and no control characters"));
    }
    Ok(name)
}

/// Accounts by name, for the login path.
#[derive(Debug, Default)]
pub(crate) struct Names {
    accounts: HashMap<String, Account>,
    order: VecDeque<String>,
    /// Rises with every change, so that what was read before one is not kept after it.
    changes: u64,
}

impl Names {
    fn keep(&mut self, account: &Account) {
        if self.accounts.insert(account.name.clone(), account.clone()).is_none() {
            self.order.push_back(account.name.clone());
        }
        while self.order.len() > ACCOUNTS_IN_MEMORY
            && let Some(oldest) = self.order.pop_front()
        {
            self.accounts.remove(&oldest);
        }
    }

    fn forget(&mut self, name: &str) {
        self.changes += 1;
        if self.accounts.remove(name).is_some() {
            self.order.retain(|kept| kept != name);
        }
    }
}

impl Store {
    /// The account of that name, in any case and normal form. From memory if it was asked for lately.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`. A name that cannot be one is nobody's: `None`.
    pub async fn account_named(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let Ok(name) = normalise_account_name(name) else { return Ok(None) };
        let changes = {
            let names = lock(&self.0.names);
            if let Some(account) = names.accounts.get(&name) {
                return Ok(Some(account.clone()));
            }
            names.changes
        };
        let Some(value) = self.core().value(Partition::Global, keys::account_name(&name)).await? else {
            return Ok(None);
        };
        let id = AccountId(decode_version(&value).map_err(|error| error.of("an account's name"))?);
        let account = self.account(id).await?.filter(|account| account.name == name);
        let mut names = lock(&self.0.names);
        if let Some(account) = &account
            && names.changes == changes
        {
            names.keep(account);
        }
        Ok(account)
    }

    /// The account of that id.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        Ok(self.account_and_version(id).await?.map(|(account, _)| account))
    }

    async fn account_and_version(&self, id: AccountId) -> Result<Option<(Account, u64)>, StoreError> {
        let value = self.core().value(Partition::Global, keys::account(id)).await?;
        value.map(|value| codec::account::decode(&value, id).map_err(|error| error.of(id))).transpose()
    }

    /// Up to `limit` accounts after that name, in the order of their names' octets.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<Account>, StoreError> {
        let mut range = keys::all_account_names();
        if let Some(after) = after {
            range.start = keys::after(&keys::account_name(after));
        }
        let engine = &self.core().engine;
        let names = engine.scan(Partition::Global, range, limit).await?;
        let id = |value: &[u8]| decode_version(value).map(AccountId).map_err(|error| error.of("an account's name"));
        let ids: Vec<AccountId> = names.iter().map(|(_, value)| id(value)).collect::<Result<_, _>>()?;
        let values = engine.read(Partition::Global, ids.iter().map(|id| keys::account(*id)).collect()).await?;
        let decode = |(id, value): (&AccountId, Option<bytes::Bytes>)| {
            // One deleted between the two reads is left out.
            value.map(|value| codec::account::decode(&value, *id).map(|(account, _)| account).map_err(|e| e.of(id)))
        };
        ids.iter().zip(values).filter_map(decode).collect()
    }

    /// Makes an account with INBOX and the usual mailboxes for special uses, all subscribed.
    ///
    /// # Errors
    /// `Exists`; `Cannot`: the name cannot be one.
    pub async fn create_account(&self, new: NewAccount) -> Result<Account, StoreError> {
        self.create_accounts(vec![new]).await.pop().unwrap_or(Err(StoreError::Busy))
    }

    /// Makes many accounts, hundreds in each commit; what became of each, in their order.
    pub async fn create_accounts(&self, new: Vec<NewAccount>) -> Vec<Result<Account, StoreError>> {
        let mut all = Vec::with_capacity(new.len());
        let mut rest = new.into_iter().peekable();
        while rest.peek().is_some() {
            let some: Vec<NewAccount> = rest.by_ref().take(COMMIT_ACCOUNTS).collect();
            let outcomes = self.create_some(some).await;
            let made = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok());
            // What fails here is made when the account is opened.
            join_all(made.map(|account| create_first_mailboxes(self.core(), account.id))).await;
            all.extend(outcomes);
        }
        all
    }

    /// Makes up to [`COMMIT_ACCOUNTS`] accounts in one commit, without their mailboxes.
    async fn create_some(&self, new: Vec<NewAccount>) -> Vec<Result<Account, StoreError>> {
        let _turn = self.0.accounts_turn.lock().await;
        let mut seen = HashSet::new();
        let mut wanted: Vec<Result<Account, StoreError>> = Vec::with_capacity(new.len());
        for NewAccount { name, credentials, disabled } in new {
            let account = normalise_account_name(&name).and_then(|name| {
                let account = Account {
                    id: AccountId(0),
                    name,
                    credentials,
                    disabled,
                    created_millis: self.core().clock.now_millis(),
                    message_bytes: None,
                    networks: Networks::default(),
                };
                if seen.insert(account.name.clone()) { Ok(account) } else { Err(StoreError::Exists) }
            });
            wanted.push(account);
        }
        let mut outcome = Err(StoreError::Busy);
        for _ in 0..COMMIT_RETRIES {
            outcome = self.try_to_create(&mut wanted).await;
            if outcome != Err(StoreError::Busy) {
                break;
            }
        }
        match outcome {
            Ok(()) => wanted,
            Err(error) => wanted.into_iter().map(|account| account.and_then(|_| Err(error.clone()))).collect(),
        }
    }

    async fn try_to_create(&self, wanted: &mut [Result<Account, StoreError>]) -> Result<(), StoreError> {
        let names = wanted.iter().flatten().map(|account| keys::account_name(&account.name));
        let mut values =
            self.core().engine.read(Partition::Global, [keys::accounts()].into_iter().chain(names).collect()).await?;
        let taken = values.split_off(1.min(values.len()));
        let before = values.pop().flatten().map(|value| decode_version(&value)).transpose();
        let before = before.map_err(|error| error.of("the counter of accounts"))?;
        let mut batch = Batch::new(Partition::Global);
        let mut next = before.unwrap_or(1);
        batch.guard(keys::accounts(), before.map_or(Expect::Absent, Expect::Version));
        for (outcome, taken) in wanted.iter_mut().filter(|outcome| outcome.is_ok()).zip(taken) {
            if taken.is_some() {
                *outcome = Err(StoreError::Exists);
                continue;
            }
            let Ok(account) = outcome else { continue };
            account.id = AccountId(next);
            next += 1;
            batch.guard(keys::account_name(&account.name), Expect::Absent);
            batch.put(keys::account_name(&account.name), encode_version(account.id.0));
            batch.put(keys::account(account.id), codec::account::encode(account, self.core().version()));
        }
        batch.put(keys::accounts(), encode_version(next));
        Ok(self.core().commit(batch).await?)
    }

    /// Changes an account.
    ///
    /// # Errors
    /// `NotFound`; `Exists`: another account has the new name; `Cannot`: the new name cannot be one.
    pub async fn update_account(&self, id: AccountId, change: AccountChange) -> Result<Account, StoreError> {
        let _turn = self.0.accounts_turn.lock().await;
        for _ in 0..COMMIT_RETRIES {
            let (old, version) = self.account_and_version(id).await?.ok_or(StoreError::NotFound)?;
            let mut account = old.clone();
            account.credentials = change.credentials.clone().unwrap_or(account.credentials);
            account.disabled = change.disabled.unwrap_or(account.disabled);
            account.message_bytes = change.message_bytes.unwrap_or(account.message_bytes);
            account.networks = change.networks.clone().unwrap_or(account.networks);
            let mut batch = Batch::new(Partition::Global);
            batch.guard(keys::account(id), Expect::Version(version));
            if let Some(name) = &change.name {
                account.name = normalise_account_name(name)?;
            }
            if account.name != old.name {
                let key = keys::account_name(&account.name);
                if self.core().value(Partition::Global, key.clone()).await?.is_some() {
                    return Err(StoreError::Exists);
                }
                batch.guard(key.clone(), Expect::Absent);
                batch.put(key, encode_version(id.0));
                batch.delete(keys::account_name(&old.name));
            }
            batch.put(keys::account(id), codec::account::encode(&account, self.core().version()));
            let outcome = self.core().commit(batch).await;
            lock(&self.0.names).forget(&old.name);
            match outcome {
                Ok(()) => return Ok(account),
                Err(CommitError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Busy)
    }

    /// Deletes an account and all its mail, for good; the space of the messages is given back later. Its id is never used again.
    ///
    /// # Errors
    /// `NotFound`. After another error the account is gone, and emptying it goes on at the next reclaiming.
    pub async fn delete_account(&self, id: AccountId) -> Result<(), StoreError> {
        let turn = self.0.accounts_turn.lock().await;
        for _ in 0..COMMIT_RETRIES {
            let (account, version) = self.account_and_version(id).await?.ok_or(StoreError::NotFound)?;
            let mut batch = Batch::new(Partition::Global);
            batch.guard(keys::account(id), Expect::Version(version));
            batch.delete(keys::account(id));
            batch.delete(keys::account_name(&account.name));
            batch.put(keys::deleting(id), encode_mark());
            let outcome = self.core().commit(batch).await;
            lock(&self.0.names).forget(&account.name);
            match outcome {
                Ok(()) => {
                    drop(turn);
                    let _reclaim = self.0.reclaim_turn.lock().await;
                    return self.empty_account(id).await;
                }
                Err(CommitError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Busy)
    }

    /// Empties accounts whose deletion was interrupted.
    pub(crate) async fn resume_deletions(&self) -> Result<(), StoreError> {
        for (key, _) in self.core().scan_all(Partition::Global, keys::all_deleting()).await? {
            if let Some(id) = KeyParts::of(&key).u64() {
                self.empty_account(AccountId(id)).await?;
            }
        }
        Ok(())
    }

    /// Who gets mail for an address: the account of that very name, else that of its local part.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn recipient(&self, address: &str) -> Result<Option<Account>, StoreError> {
        if let Some(account) = self.account_named(address).await? {
            return Ok(Some(account));
        }
        match address.rsplit_once('@') {
            Some((local_part, _)) => self.account_named(local_part).await,
            None => Ok(None),
        }
    }

    /// An account's mail; the same for everybody as long as somebody has it.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`: also when a newer Columba wrote it.
    pub async fn open_account(&self, id: AccountId) -> Result<Arc<AccountStore>, StoreError> {
        let slot = {
            let mut open = lock(&self.0.open);
            // Places nobody is at are cleared away whenever their number has doubled.
            if open.len() >= open.capacity().max(1024) {
                open.retain(|_, slot| {
                    Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|account| account.strong_count() > 0)
                });
            }
            Arc::clone(open.entry(id).or_default())
        };
        let mut place = slot.lock().await;
        if let Some(account) = place.upgrade() {
            return Ok(account);
        }
        self.account(id).await?.ok_or(StoreError::NotFound)?;
        let account = AccountStore::open(Arc::clone(self.core()), Arc::downgrade(&self.0.rooms), id).await?;
        *place = Arc::downgrade(&account);
        Ok(account)
    }

    /// Lets go of what is in memory of a deleted account.
    pub(crate) fn close_account(&self, id: AccountId) {
        self.0.rooms.forget(id);
        let slot = lock(&self.0.open).remove(&id);
        let open = slot.and_then(|slot| slot.try_lock().ok().map(|account| Weak::clone(&account)));
        if let Some(account) = open.and_then(|account| account.upgrade()) {
            account.close();
        }
    }
}

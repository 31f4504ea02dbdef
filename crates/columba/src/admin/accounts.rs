//! Requests about accounts.

use std::sync::Arc;

use columba_store::{Account, AccountChange, NewAccount, Store, StoreError};
use columba_types::limits::{ADMIN_ACCOUNTS, NETWORKS};
use columba_types::{Network, Networks};

use super::execute::{Barring, Trouble, account_named};
use super::{AccountInfo, AccountToMake, Reply, Usage};

pub(super) async fn list(store: &Store, after: Option<&str>) -> Result<Reply, Trouble> {
    let accounts = store.accounts(after, ADMIN_ACCOUNTS).await;
    let accounts = accounts.map_err(|error| Trouble::store("the accounts cannot be listed", &error))?;
    Ok(Reply::Accounts(accounts.iter().map(info).collect()))
}

pub(super) async fn show(store: &Store, name: &str) -> Result<Reply, Trouble> {
    let account = account_named(store, name).await?;
    let failed = |error: StoreError| Trouble::store(format_args!("account {name}"), &error);
    let mail = store.open_account(account.id).await.map_err(failed)?;
    let mut usage = Usage::default();
    for mailbox in mail.tree().iter().filter_map(|(_, entry)| entry.mailbox) {
        let head = mail.head(mailbox).await.map_err(failed)?;
        usage.mailboxes += 1;
        usage.messages += u64::from(head.exists);
        usage.bytes += head.bytes;
    }
    Ok(Reply::Account(AccountInfo { usage: Some(usage), ..info(&account) }))
}

pub(super) async fn create(store: &Store, accounts: Vec<AccountToMake>) -> Result<Reply, Trouble> {
    let new =
        accounts.into_iter().map(|a| NewAccount { name: a.name, credentials: a.credentials, disabled: a.disabled });
    let made = store.create_accounts(new.collect()).await;
    let told = made.into_iter().map(|result| match result {
        Ok(account) => Ok(info(&account)),
        Err(StoreError::Exists) => Err("there is an account of that name already".to_owned()),
        Err(error) => Err(error.to_string()),
    });
    Ok(Reply::Created(told.collect()))
}

pub(super) async fn set_credentials(
    store: &Store,
    barring: &Arc<dyn Barring>,
    name: &str,
    credentials: Vec<String>,
) -> Result<Reply, Trouble> {
    let change = AccountChange { credentials: Some(credentials), ..AccountChange::default() };
    let account = update(store, name, change).await?;
    // Whoever is in with the old password is out.
    barring.bar(account.id);
    Ok(Reply::Account(info(&account)))
}

pub(super) async fn set_disabled(
    store: &Store,
    barring: &Arc<dyn Barring>,
    name: &str,
    disabled: bool,
) -> Result<Reply, Trouble> {
    let account = update(store, name, AccountChange { disabled: Some(disabled), ..AccountChange::default() }).await?;
    if disabled {
        barring.bar(account.id);
    }
    Ok(Reply::Account(info(&account)))
}

/// Whoever is logged in goes on under the limit that was told to their client.
pub(super) async fn set_message_bytes(store: &Store, name: &str, message_bytes: Option<u64>) -> Result<Reply, Trouble> {
    let change = AccountChange { message_bytes: Some(message_bytes), ..AccountChange::default() };
    Ok(Reply::Account(info(&update(store, name, change).await?)))
}

/// Whoever is logged in comes again, if they may.
pub(super) async fn set_networks(
    store: &Store,
    barring: &Arc<dyn Barring>,
    name: &str,
    allow: Option<&[String]>,
    deny: Option<&[String]>,
) -> Result<Reply, Trouble> {
    let before = account_named(store, name).await?.networks;
    let list = |written: Option<&[String]>, before: Vec<Network>| match written {
        None => Ok(before),
        Some(written) if written.len() > NETWORKS => {
            Err(Trouble::refused(format!("an account has at most {NETWORKS} networks in a list")))
        }
        Some(written) => written
            .iter()
            .map(|text| text.parse::<Network>().map_err(|error| Trouble::refused(error.to_string())))
            .collect(),
    };
    let networks = Networks { allow: list(allow, before.allow)?, deny: list(deny, before.deny)? };
    let account = update(store, name, AccountChange { networks: Some(networks), ..AccountChange::default() }).await?;
    barring.bar(account.id);
    Ok(Reply::Account(info(&account)))
}

pub(super) async fn delete(store: &Store, barring: &Arc<dyn Barring>, name: &str) -> Result<Reply, Trouble> {
    // First nobody can come in, then those inside go, then the mail goes.
    let account = update(store, name, AccountChange { disabled: Some(true), ..AccountChange::default() }).await?;
    barring.bar(account.id);
    match store.delete_account(account.id).await {
        Ok(()) => Ok(Reply::Account(info(&account))),
        Err(error) => Err(Trouble::store(format_args!("account {name}"), &error)),
    }
}

async fn update(store: &Store, name: &str, change: AccountChange) -> Result<Account, Trouble> {
    let account = account_named(store, name).await?;
    let updated = store.update_account(account.id, change).await;
    updated.map_err(|error| Trouble::store(format_args!("account {name}"), &error))
}

fn info(account: &Account) -> AccountInfo {
    let scheme = |credential: &String| {
        let end = credential.find('}').unwrap_or(0);
        credential.get(1..end).unwrap_or("unknown").to_owned()
    };
    AccountInfo {
        name: account.name.clone(),
        id: account.id.to_string(),
        disabled: account.disabled,
        created: account.created_millis.div_euclid(1000),
        schemes: account.credentials.iter().map(scheme).collect(),
        message_bytes: account.message_bytes,
        allow_networks: account.networks.allow.iter().map(ToString::to_string).collect(),
        deny_networks: account.networks.deny.iter().map(ToString::to_string).collect(),
        usage: None,
    }
}

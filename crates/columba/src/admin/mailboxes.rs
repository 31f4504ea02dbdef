//! Requests about mailboxes.

use std::sync::Arc;

use columba_store::{AccountStore, SpecialUse, Store, StoreError, TreeEntry, normalise_name};
use columba_types::{MailboxId, MailboxName};

use super::execute::{Conversation, Trouble, account_named};
use super::{MailboxInfo, Reply};

/// Mailboxes in one answer; the keywords of each may take some kilobytes.
const PER_REPLY: usize = 20;

/// Answers in as many replies as it takes, each of some mailboxes; an empty one ends them.
pub(super) async fn list(conversation: &mut Conversation<'_>, account: &str) -> Result<Reply, Trouble> {
    let mail = open(conversation.store, account).await?;
    let tree = mail.tree();
    let mut infos = Vec::new();
    for (name, entry) in tree.iter() {
        let Some(id) = entry.mailbox else { continue };
        match info(&mail, name, id, entry).await {
            Ok(info) => infos.push(info),
            // It was deleted since the names were listed.
            Err(StoreError::NotFound) => continue,
            Err(error) => return Err(Trouble::store(format_args!("mailbox {name} of {account}"), &error)),
        }
        if infos.len() == PER_REPLY {
            conversation.to.say_later(&Reply::Mailboxes(std::mem::take(&mut infos))).await?;
        }
    }
    if !infos.is_empty() {
        conversation.to.say_later(&Reply::Mailboxes(infos)).await?;
    }
    Ok(Reply::Mailboxes(Vec::new()))
}

pub(super) async fn show(store: &Store, account: &str, mailbox: &str) -> Result<Reply, Trouble> {
    let mail = open(store, account).await?;
    let name = parse_name(mailbox)?;
    let tree = mail.tree();
    let missing = || no_mailbox(account, &name);
    let entry = tree.get(&name).ok_or_else(missing)?;
    let id = entry.mailbox.ok_or_else(missing)?;
    let info = info(&mail, &name, id, entry).await;
    info.map(Reply::Mailbox).map_err(|error| Trouble::store(format_args!("mailbox {name} of {account}"), &error))
}

pub(super) async fn create(
    store: &Store,
    account: &str,
    mailbox: &str,
    special_use: Option<&str>,
) -> Result<Reply, Trouble> {
    let mail = open(store, account).await?;
    let name = parse_name(mailbox)?;
    let uses = match special_use {
        None => Vec::new(),
        Some(text) => {
            let special_use = SpecialUse::parse(text).filter(|special_use| !special_use.is_virtual());
            vec![special_use.ok_or_else(|| unknown_use(text))?]
        }
    };
    let about = format!("mailbox {name} of {account}");
    match mail.create_mailbox(&name, &uses).await {
        Ok(_) => {}
        Err(StoreError::UseTaken) => {
            let hint = "`columba mailbox list` shows which; make this one without --use";
            return Err(Trouble::with_hint(format!("{about}: another mailbox has that special use"), hint));
        }
        Err(error) => return Err(Trouble::store(about, &error)),
    }
    mail.subscribe(&name, true).await.map_err(|error| Trouble::store(about, &error))?;
    show(store, account, mailbox).await
}

pub(super) async fn delete(store: &Store, account: &str, mailbox: &str) -> Result<Reply, Trouble> {
    let mail = open(store, account).await?;
    let name = parse_name(mailbox)?;
    let subscribed = mail.tree().get(&name).is_some_and(|entry| entry.subscribed);
    match mail.delete_mailbox(&name).await {
        Ok(()) => {}
        Err(StoreError::NotFound) => return Err(no_mailbox(account, &name)),
        Err(error) => return Err(Trouble::store(format_args!("mailbox {name} of {account}"), &error)),
    }
    // IMAP's DELETE keeps the subscription for the client to decide; nobody decides here.
    if subscribed {
        let unsubscribed = mail.subscribe(&name, false).await;
        unsubscribed.map_err(|error| Trouble::store(format_args!("subscription of {name}"), &error))?;
    }
    Ok(Reply::Done)
}

pub(super) async fn open(store: &Store, account: &str) -> Result<Arc<AccountStore>, Trouble> {
    let found = account_named(store, account).await?;
    let mail = store.open_account(found.id).await;
    mail.map_err(|error| Trouble::store(format_args!("account {account}"), &error))
}

pub(super) fn parse_name(text: &str) -> Result<MailboxName, Trouble> {
    normalise_name(text).map_err(|reason| {
        Trouble::with_hint(
            format!("{text:?} cannot be a mailbox: {reason}"),
            "levels are separated by /, as in Work/2026",
        )
    })
}

pub(super) fn no_mailbox(account: &str, name: &MailboxName) -> Trouble {
    let hint = format!("`columba mailbox list {account}` shows all there are");
    Trouble::with_hint(format!("{account} has no mailbox {name}"), hint)
}

fn unknown_use(text: &str) -> Trouble {
    let all: Vec<&str> =
        SpecialUse::ALL.iter().filter(|u| !u.is_virtual()).map(|u| u.as_str().trim_start_matches('\\')).collect();
    Trouble::with_hint(format!("there is no special use {text}"), format!("it is one of {}", all.join(", ")))
}

async fn info(
    mail: &AccountStore,
    name: &MailboxName,
    id: MailboxId,
    entry: &TreeEntry,
) -> Result<MailboxInfo, StoreError> {
    let head = mail.head(id).await?;
    Ok(MailboxInfo {
        name: name.to_string(),
        id: id.to_string(),
        messages: head.exists,
        unseen: head.unseen,
        deleted: head.deleted,
        bytes: head.bytes,
        uid_validity: head.uid_validity.value(),
        uid_next: head.uid_next.value(),
        highest_modseq: head.highest_modseq.0,
        special_uses: entry.uses.iter().map(|u| u.as_str().to_owned()).collect(),
        subscribed: entry.subscribed,
        keywords: head.keywords.iter().map(|k| k.as_str().to_owned()).collect(),
    })
}

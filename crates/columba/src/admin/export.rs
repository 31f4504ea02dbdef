//! Gives an account's mail out, mailbox by mailbox: small messages are read ahead, large ones in pieces.

use std::sync::Arc;

use columba_store::{AccountStore, Message, Record, Snapshot, StoreError};
use columba_types::limits::{COMMIT_MESSAGES, MESSAGE_CHUNK_BYTES};
use columba_types::{MailboxId, MailboxName};
use futures_util::StreamExt;

use super::execute::{Conversation, Trouble};
use super::mailboxes::{no_mailbox, open, parse_name};
use super::{ExportStep, Reply};

/// Small messages that are read ahead of what is sent.
const READ_AHEAD: usize = 32;
/// Names in one frame.
const NAMES: usize = 200;

pub(super) async fn export(
    conversation: &mut Conversation<'_>,
    account: &str,
    mailboxes: &[String],
) -> Result<Reply, Trouble> {
    let mail = open(conversation.store, account).await?;
    let chosen = choose(&mail, account, mailboxes)?;
    let mut begin = (0, 0);
    for (name, id) in &chosen {
        let head = mail.head(*id).await.map_err(|error| Trouble::store(format_args!("mailbox {name}"), &error))?;
        begin = (begin.0 + u64::from(head.exists), begin.1 + head.bytes);
    }
    let (messages, bytes) = begin;
    say(conversation, ExportStep::Begin { mailboxes: chosen.len() as u64, messages, bytes }).await?;
    for (name, id) in &chosen {
        say(conversation, ExportStep::Folder { name: name.to_string() }).await?;
        match mail.mailbox(*id).await {
            Ok(mailbox) => folder(conversation, &mail, name, &mailbox.snapshot()).await?,
            Err(error) => say(conversation, trouble(name.to_string(), &error)).await?,
        }
    }
    let tree = mail.tree();
    let subscribed: Vec<String> =
        tree.iter().filter(|(_, entry)| entry.subscribed).map(|(name, _)| name.to_string()).collect();
    for names in subscribed.chunks(NAMES) {
        say(conversation, ExportStep::Subscriptions { names: names.to_vec() }).await?;
    }
    Ok(Reply::Export(ExportStep::Finished))
}

fn choose(mail: &AccountStore, account: &str, mailboxes: &[String]) -> Result<Vec<(MailboxName, MailboxId)>, Trouble> {
    let tree = mail.tree();
    if mailboxes.is_empty() {
        return Ok(tree.iter().filter_map(|(name, entry)| Some((name.clone(), entry.mailbox?))).collect());
    }
    let mut chosen = Vec::new();
    for text in mailboxes {
        let name = parse_name(text)?;
        let id = tree.mailbox(&name).ok_or_else(|| no_mailbox(account, &name))?;
        if !chosen.contains(&(name.clone(), id)) {
            chosen.push((name, id));
        }
    }
    Ok(chosen)
}

async fn say(conversation: &mut Conversation<'_>, step: ExportStep) -> Result<(), Trouble> {
    Ok(conversation.to.say_later(&Reply::Export(step)).await?)
}

fn trouble(origin: String, error: &StoreError) -> ExportStep {
    ExportStep::Trouble { origin, reason: error.to_string() }
}

async fn folder(
    conversation: &mut Conversation<'_>,
    mail: &Arc<AccountStore>,
    name: &MailboxName,
    snapshot: &Snapshot,
) -> Result<(), Trouble> {
    let records: Vec<Record> = snapshot.records().copied().collect();
    for step in records.chunks(COMMIT_MESSAGES) {
        let ids: Vec<_> = step.iter().map(|record| record.message).collect();
        let messages = match mail.messages(&ids).await {
            Ok(messages) => messages,
            Err(error) => return Err(Trouble::store(format_args!("mailbox {name}"), &error)),
        };
        let read = step.iter().copied().zip(messages);
        let read = read.map(|(record, message)| read_small(Arc::clone(mail), record, message));
        let mut read = std::pin::pin!(futures_util::stream::iter(read).buffered(READ_AHEAD));
        while let Some((record, found)) = read.next().await {
            message(conversation, mail, name, snapshot, &record, found).await?;
        }
    }
    Ok(())
}

/// A message, with its octets if they are few.
type Small = Result<(Arc<Message>, Option<bytes::Bytes>), StoreError>;

async fn read_small(mail: Arc<AccountStore>, record: Record, message: Option<Arc<Message>>) -> (Record, Small) {
    let Some(message) = message else { return (record, Err(StoreError::NotFound)) };
    if message.size > MESSAGE_CHUNK_BYTES as u64 {
        return (record, Ok((message, None)));
    }
    let octets = mail.read(&message, 0..message.size).await;
    (record, octets.map(|octets| (message, Some(octets))))
}

async fn message(
    conversation: &mut Conversation<'_>,
    mail: &AccountStore,
    name: &MailboxName,
    snapshot: &Snapshot,
    record: &Record,
    found: Small,
) -> Result<(), Trouble> {
    let origin = || format!("{name} UID {}", record.uid);
    let (message, whole) = match found {
        Ok(found) => found,
        Err(error) => return say(conversation, trouble(origin(), &error)).await,
    };
    let flags = snapshot.flag_names(record.flags).map(str::to_owned).collect();
    let (uid, internal_date) = (record.uid.value(), record.internal_date.into());
    say(conversation, ExportStep::Message { uid, size: message.size, flags, internal_date }).await?;
    if let Some(octets) = whole {
        if !octets.is_empty() {
            conversation.to.octets(&octets).await?;
        }
        return Ok(conversation.to.octets(b"").await?);
    }
    let mut at = 0;
    while at < message.size {
        let end = message.size.min(at + MESSAGE_CHUNK_BYTES as u64);
        match mail.read(&message, at..end).await {
            Ok(octets) if !octets.is_empty() => {
                at += octets.len() as u64;
                conversation.to.octets(&octets).await?;
            }
            Ok(_) => {
                return say(conversation, trouble(origin(), &StoreError::Corrupt("it ends too early".into()))).await;
            }
            Err(error) => return say(conversation, trouble(origin(), &error)).await,
        }
    }
    Ok(conversation.to.octets(b"").await?)
}

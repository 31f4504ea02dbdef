//! X-GM-EXT-1, for clients and tools that know big services only: labels, which are the mailboxes a message is in, and ids as
//! numbers. An option of a listener, off by default, because clients that see it behave as if every message were in one
//! great folder. What the text of the extension leaves open is settled in `docs/decisions/session.md`.

mod raw;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use columba_store::{AccountStore, SpecialUse, Tree};
use columba_types::{MailboxId, MailboxName, MessageId, NumRange, NumSet, SetNum, ThreadId, UidSet};
use columba_wire::{Code, GmLabel, MessageSet, SearchKey};

use crate::context::Context;
use crate::reply::Failure;

/// What stands for the mailboxes with a use; of several names the first is told, all are taken.
const SYSTEM: &[(SpecialUse, &[&str])] = &[
    (SpecialUse::Sent, &["\\Sent"]),
    (SpecialUse::Drafts, &["\\Drafts", "\\Draft"]),
    (SpecialUse::Trash, &["\\Trash"]),
    (SpecialUse::Junk, &["\\Junk", "\\Spam"]),
    (SpecialUse::Important, &["\\Important"]),
];
const INBOX: &str = "\\Inbox";

/// The labels of one message.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    pub(crate) system: Vec<&'static str>,
    pub(crate) names: Vec<MailboxName>,
}

/// The labels of a message, but for the one of the mailbox that is selected, which goes without saying.
pub(crate) async fn labels(
    mail: &Arc<AccountStore>,
    selected: MailboxId,
    message: MessageId,
) -> Result<Labels, Failure> {
    let places = places(mail, message).await?;
    Ok(labels_of(&mail.tree(), places.into_keys().filter(|id| *id != selected)))
}

/// The labels that mailboxes stand for.
fn labels_of(tree: &Tree, mailboxes: impl IntoIterator<Item = MailboxId>) -> Labels {
    let mut labels = Labels::default();
    for name in mailboxes.into_iter().filter_map(|id| tree.name_of(id)) {
        let uses = tree.get(name).map_or(&[][..], |entry| &entry.uses);
        let by_use = SYSTEM.iter().find(|(special_use, _)| uses.contains(special_use));
        match by_use.and_then(|(_, names)| names.first()) {
            _ if name.is_inbox() => labels.system.push(INBOX),
            Some(label) => labels.system.push(label),
            None => labels.names.push(name.clone()),
        }
    }
    labels
}

/// The mailbox that a label stands for, if there is one.
pub(crate) fn mailbox_of(
    context: &Context<'_, '_>,
    tree: &Tree,
    label: &GmLabel,
) -> Result<Option<MailboxId>, Failure> {
    Ok(match label {
        GmLabel::Name(raw) => tree.mailbox(&context.mailbox_name(raw)?),
        GmLabel::System(name) => system_mailbox(tree, name),
    })
}

/// `name` without its backslash, in any case.
fn system_mailbox(tree: &Tree, name: &str) -> Option<MailboxId> {
    let is = |label: &&str| label.get(1..).is_some_and(|label| label.eq_ignore_ascii_case(name));
    if is(&INBOX) {
        return tree.mailbox(&MailboxName::inbox());
    }
    let (special_use, _) = SYSTEM.iter().find(|(_, names)| names.iter().any(is))?;
    tree.of_use(*special_use)
}

/// The mailboxes that a message is in, with its UIDs there.
pub(crate) async fn places(
    mail: &Arc<AccountStore>,
    message: MessageId,
) -> Result<BTreeMap<MailboxId, UidSet>, Failure> {
    let mut places: BTreeMap<MailboxId, UidSet> = BTreeMap::new();
    for (mailbox, uid) in mail.places_of(message).await? {
        places.entry(mailbox).or_default().insert(uid.value());
    }
    Ok(places)
}

/// The same criteria without any of this extension, so that the one evaluator of SEARCH decides them.
pub(crate) async fn plain_criteria(context: &mut Context<'_, '_>, key: &SearchKey) -> Result<SearchKey, Failure> {
    let key = spelled_out(key)?;
    let mut labels: Vec<GmLabel> = Vec::new();
    key.each(&mut |key| {
        if let SearchKey::GmLabels(label) = key
            && !labels.contains(label)
        {
            labels.push(label.clone());
        }
    });
    let mut found = Vec::with_capacity(labels.len());
    for label in labels {
        let uids = labelled(context, &label).await?;
        found.push((label, uids));
    }
    Ok(without_labels(key, &found))
}

/// X-GM-RAW as criteria. Recursion is bounded by limits::NESTING_DEPTH, as everywhere here.
fn spelled_out(key: &SearchKey) -> Result<SearchKey, Failure> {
    Ok(match key {
        SearchKey::GmRaw(octets) => {
            let text = std::str::from_utf8(octets).map_err(|_| Failure::bad("X-GM-RAW: the text is not UTF-8"))?;
            raw::criteria(text).map_err(|why| Failure::no(Code::Cannot, format!("X-GM-RAW: {why}")))?
        }
        SearchKey::GmMsgId(id) => SearchKey::EmailId(MessageId(*id).to_string()),
        SearchKey::GmThrId(id) => SearchKey::ThreadId(ThreadId(*id).to_string()),
        SearchKey::And(keys) => SearchKey::And(keys.iter().map(spelled_out).collect::<Result<_, _>>()?),
        SearchKey::Or(one, other) => SearchKey::Or(Box::new(spelled_out(one)?), Box::new(spelled_out(other)?)),
        SearchKey::Not(key) => SearchKey::Not(Box::new(spelled_out(key)?)),
        key => key.clone(),
    })
}

/// The messages of the selected mailbox that have a label.
async fn labelled(context: &mut Context<'_, '_>, label: &GmLabel) -> Result<UidSet, Failure> {
    let mail = context.mail()?;
    let Some(id) = mailbox_of(context, &mail.tree(), label)? else { return Ok(UidSet::new()) };
    let snapshot = context.mailbox()?.snapshot();
    if id == snapshot.head.mailbox {
        return Ok(snapshot.uids());
    }
    let there: HashSet<MessageId> = mail.mailbox(id).await?.snapshot().records().map(|record| record.message).collect();
    Ok(snapshot.records().filter(|record| there.contains(&record.message)).map(|record| record.uid).collect())
}

fn without_labels(key: SearchKey, found: &[(GmLabel, UidSet)]) -> SearchKey {
    let boxed = |key: Box<SearchKey>| Box::new(without_labels(*key, found));
    match key {
        SearchKey::GmLabels(label) => {
            let uids = found.iter().find(|(known, _)| *known == label).map(|(_, uids)| uids);
            match uids.filter(|uids| !uids.is_empty()) {
                Some(uids) => SearchKey::Uid(MessageSet::Set(as_written(uids))),
                None => SearchKey::Not(Box::new(SearchKey::All)),
            }
        }
        SearchKey::And(keys) => SearchKey::And(keys.into_iter().map(|key| without_labels(key, found)).collect()),
        SearchKey::Or(one, other) => SearchKey::Or(boxed(one), boxed(other)),
        SearchKey::Not(key) => SearchKey::Not(boxed(key)),
        key => key,
    }
}

fn as_written(uids: &UidSet) -> NumSet {
    let range = |&(low, high): &(u32, u32)| NumRange { start: SetNum::Num(low), end: SetNum::Num(high) };
    NumSet(uids.ranges().iter().map(range).collect())
}

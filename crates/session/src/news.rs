//! Telling a client what is new and may be told now: of the selected mailbox by `sync`, and, where NOTIFY asked for it,
//! of all others by STATUS and LIST (RFC 5465 §5). Every command ends here, IDLE comes here when woken, and so does a
//! connection between commands whose client gave NOTIFY.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use columba_store::{AccountStore, Head, MailboxNews, News, Tree, TreeNews};
use columba_types::{MailboxId, MailboxName, UidSet, limits};
use columba_wire::{Code, FetchItem, Status, StatusItem, StatusValue};
use tracing::warn;

use crate::commands::{fetch_new, list_line_of};
use crate::context::Context;
use crate::metadata_news::tell_metadata;
use crate::notify::{Events, Notify, Own};
use crate::reply::Failure;
use crate::state::Told;
use crate::sync::{Sync, sync, tell_own};

/// Tells all that is new. The selected mailbox is at hand only while this runs.
///
/// # Errors
/// The connection has to end, because the selected mailbox was deleted; the client is gone.
pub(crate) async fn tell(context: &mut Context<'_, '_>, how: Sync, told: &Told) -> Result<(), Failure> {
    loop {
        match tell_all(context, how, told).await {
            Err(Failure::MailboxGone) => close_deleted(context)?,
            told => return told,
        }
    }
}

/// Leaves a mailbox that another session deleted. A client that enabled IMAP4rev2 knows that CLOSED takes it back to where
/// nothing is selected (RFC 9051 §3, (6)); to others it means nothing, and they are sent away (RFC 2180 §3.3).
fn close_deleted(context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let text = "The selected mailbox was deleted";
    if !context.mode().rev2 {
        return Err(Failure::Bye(None, text.into()));
    }
    let login = context.login()?;
    (login.selected, login.deselected) = (None, true);
    context.printer().untagged(Status::Ok, Some(&Code::Closed), text);
    Ok(())
}

async fn tell_all(context: &mut Context<'_, '_>, how: Sync, told: &Told) -> Result<(), Failure> {
    context.open_selected().await?;
    if tell_metadata(context) {
        overflow(context)?;
    }
    let enabled = context.state.enabled;
    let Some(login) = context.state.login.as_deref_mut() else { return Ok(()) };
    if login.notify.is_some() {
        // In a box, so that those who never gave NOTIFY hold no room for it.
        return Box::pin(tell_notified(context, how, told)).await;
    }
    let Some(selected) = login.selected.as_deref_mut() else { return Ok(()) };
    let synced = sync(selected, context.channel, enabled, how, told).await;
    selected.rest();
    synced
}

/// The same between commands. EXPUNGE may be told there too, unless the client wants to go on using message numbers
/// (RFC 5465 §6.1).
pub(crate) async fn tell_between(context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let notify = context.state.login.as_ref().and_then(|login| login.notify.as_ref());
    let delayed = notify.is_none_or(|notify| notify.selected.delayed);
    tell(context, Sync { expunges: !delayed, uid: true, flags: true, ends_command: false }, &Told::default()).await
}

async fn tell_notified(context: &mut Context<'_, '_>, how: Sync, told: &Told) -> Result<(), Failure> {
    let own = std::mem::take(&mut context.own);
    match tell_followed(context, own.clone()).await {
        Ok(()) => {}
        Err(Failure::No(_, why)) => {
            warn!(connection = context.peer.connection, %why, "notifications could not be made");
            overflow(context)?;
        }
        Err(failure) => return Err(failure),
    }
    let result = tell_selected(context, how, told, &own).await;
    if let Ok(selected) = context.selected() {
        selected.rest();
    }
    result
}

/// RFC 5465 §5.8: as if NOTIFY NONE had been given.
fn overflow(context: &mut Context<'_, '_>) -> Result<(), Failure> {
    context.login()?.notify = Some(Box::default());
    let text = "You are not told of changes any more: there were too many";
    context.printer().untagged(Status::Ok, Some(&Code::NotificationOverflow), text);
    Ok(())
}

/// What is new in the selected mailbox, as far as it is wanted.
async fn tell_selected(context: &mut Context<'_, '_>, how: Sync, told: &Told, own: &Own) -> Result<(), Failure> {
    let enabled = context.state.enabled;
    let Some(login) = context.state.login.as_deref_mut() else { return Ok(()) };
    let (Some(selected), Some(notify)) = (login.selected.as_deref_mut(), login.notify.as_deref()) else {
        return Ok(());
    };
    if !notify.selected.messages {
        // RFC 5465 §3.1: the answers of the client's own commands are no notifications.
        let expunged = if how.expunges { own.expunges(selected.id) } else { UidSet::new() };
        return tell_own(selected, context.channel, enabled, &expunged, how, told).await;
    }
    let known_to = selected.view.seen_to();
    let flags = notify.selected.flags;
    // RFC 5465 §5.1: FETCH has the UID.
    sync(selected, context.channel, enabled, Sync { flags, uid: true, ..how }, told).await?;
    let mut items = notify.selected.items.clone();
    let seen_to = selected.view.seen_to();
    if items.is_empty() || seen_to == known_to {
        return Ok(());
    }
    let new = selected.view.announced().intersection(&UidSet::range(known_to.saturating_add(1), seen_to));
    // RFC 5465 §5.2: what this client made it knows.
    let new = new.difference(&own.arrivals(selected.id));
    if enabled.condstore && !items.contains(&FetchItem::ModSeq) {
        items.push(FetchItem::ModSeq);
    }
    fetch_new(context, &new, &items).await
}

/// What is to be told of one mailbox by STATUS.
#[derive(Clone, Copy, Debug, Default)]
struct Changed {
    messages: bool,
    flags: bool,
    unseen: bool,
    /// It is told of for the first time.
    all: bool,
}

impl Changed {
    fn of(news: &MailboxNews, own: &Own) -> Self {
        let arrived = own.others_arrivals(news.mailbox, news.arrived);
        let expunged = own.others_expunges(news.mailbox, news.expunged);
        Self { messages: arrived || expunged, flags: news.flags, unseen: news.unseen, all: false }
    }

    fn join(&mut self, other: Self) {
        self.messages |= other.messages;
        self.flags |= other.flags;
        self.unseen |= other.unseen;
        self.all |= other.all;
    }

    /// The items to tell; none if nothing of it is wanted.
    fn items(self, wanted: Events, condstore: bool) -> Vec<StatusItem> {
        let mut items = Vec::new();
        if !wanted.messages {
            return items;
        }
        if self.all || self.messages {
            // RFC 5465 §5.2, §5.3
            items.extend([StatusItem::Messages, StatusItem::UidNext]);
        }
        // RFC 5465 §5.1: without mod-sequences a change of flags is told if UNSEEN shows it.
        let flags = wanted.flags && (self.all || !items.is_empty() || self.flags && (condstore || self.unseen));
        if flags || self.all {
            items.push(StatusItem::UidValidity);
        }
        if flags {
            items.push(StatusItem::Unseen);
        }
        if !items.is_empty() && (condstore || flags && self.all) {
            // RFC 5465 §3.1: the first STATUS has it wherever the server has mod-sequences.
            items.push(StatusItem::HighestModSeq);
        }
        items
    }
}

/// Mailboxes of which to tell, in the order in which they changed first.
#[derive(Debug, Default)]
struct Statuses {
    order: Vec<(MailboxId, Changed)>,
    places: HashMap<MailboxId, usize>,
}

impl Statuses {
    fn add(&mut self, mailbox: MailboxId, changed: Changed) {
        let place = *self.places.entry(mailbox).or_insert_with(|| {
            self.order.push((mailbox, Changed::default()));
            self.order.len() - 1
        });
        if let Some((_, there)) = self.order.get_mut(place) {
            there.join(changed);
        }
    }
}

/// What is new in the rest of the account.
async fn tell_followed(context: &mut Context<'_, '_>, mut own: Own) -> Result<(), Failure> {
    let left = context.left.take();
    let login = context.login()?;
    let selected = login.selected.as_ref().map(|selected| selected.id);
    let Some(notify) = login.notify.as_deref_mut() else { return Ok(()) };
    let Some(follower) = &mut notify.follower else { return Ok(()) };
    let followed = follower.take();
    if followed.lost {
        return overflow(context);
    }
    let mail = Arc::clone(&login.mail);
    let tree = mail.tree();
    let mut statuses = Statuses::default();
    let (mut lines, mut new) = (Lines::default(), Vec::new());
    // From the last to the first: the command's own change of a name is the last one, if others changed it too.
    let names = followed.news.iter().rev().filter_map(|news| match news {
        News::Tree(news) => Some(Arc::clone(news)),
        News::Mailbox(_) => None,
    });
    let names: Vec<Arc<TreeNews>> = names.filter(|news| !own.take_name(names_of(news))).collect();
    for news in names.iter().rev() {
        lines.add(news, notify, &tree);
        add_followed(&mut new, news, notify, &tree);
    }
    for news in &followed.news {
        if let News::Mailbox(news) = news {
            statuses.add(news.mailbox, Changed::of(news, &own));
        }
    }
    let all = Changed { all: true, ..Changed::default() };
    new.iter().filter_map(|name| tree.mailbox(name)).for_each(|id| statuses.add(id, all));
    if let Some(left) = left.filter(|left| selected != Some(*left)) {
        // Something of it was never told while it was selected.
        statuses.add(left, all);
    }
    lines.tell(context, &tree).await?;
    // RFC 5465 §3.1: SELECTED alone says what is told of the selected mailbox.
    statuses.order.retain(|(id, _)| selected != Some(*id));
    tell_statuses(context, &mail, &tree, statuses.order).await
}

fn names_of(news: &TreeNews) -> impl Iterator<Item = &MailboxName> {
    let renamed = news.renamed.iter().map(|(_, to)| to);
    news.created.iter().chain(&news.deleted).chain(renamed).chain(&news.subscriptions)
}

/// Names of mailboxes that are followed from now on: a client has to know what its next STATUS is a change of, and that
/// a name may be another mailbox's now (RFC 5465 §5.1, UIDVALIDITY).
fn add_followed(followed: &mut Vec<MailboxName>, news: &TreeNews, notify: &Notify, tree: &Tree) {
    followed.extend(news.created.iter().cloned());
    let was_followed = |name: &MailboxName| notify.events_of(name, tree).messages;
    for (from, to) in &news.renamed {
        for name in followed.iter_mut() {
            if let Some(Ok(moved)) = name.moved(from, to) {
                *name = moved;
            }
        }
        let all = std::iter::once(to).chain(tree.below(to).map(|(name, _)| name));
        let is_new =
            |name: &&MailboxName| !name.moved(to, from).is_some_and(|old| old.is_ok_and(|old| was_followed(&old)));
        followed.extend(all.filter(is_new).cloned());
    }
    for name in &news.subscriptions {
        let subscribed = tree.get(name).is_some_and(|entry| entry.subscribed);
        if !notify.events_if(name, !subscribed).messages {
            followed.push(name.clone());
        }
    }
}

/// LIST lines to be told.
#[derive(Debug, Default)]
struct Lines {
    /// What came, went and moved, in that order: the name, the old one if it was renamed, and whether there was a mailbox
    /// of the name then. What became of it later has a line of its own.
    events: Vec<(MailboxName, Option<MailboxName>, bool)>,
    /// Names of which only the attributes are new.
    refreshed: Vec<MailboxName>,
}

impl Lines {
    fn add(&mut self, news: &TreeNews, notify: &Notify, tree: &Tree) {
        let wanted = |name: &MailboxName| notify.events_of(name, tree).names;
        let renamed = news.renamed.iter().filter(|(from, to)| wanted(from) || wanted(to));
        self.events.extend(renamed.map(|(from, to)| (to.clone(), Some(from.clone()), true)));
        let created = news.created.iter().map(|name| (name, true));
        for (name, there) in created.chain(news.deleted.iter().map(|name| (name, false))) {
            if wanted(name) {
                self.events.push((name.clone(), None, there));
            }
            // RFC 5465 §5.4: the parent is affected too, whether or not it is a mailbox.
            self.refreshed.extend(name.parent().filter(wanted));
        }
        let either = |name: &&MailboxName| {
            notify.events_if(name, true).subscriptions || notify.events_if(name, false).subscriptions
        };
        self.refreshed.extend(news.subscriptions.iter().filter(either).cloned());
    }

    async fn tell(mut self, context: &mut Context<'_, '_>, tree: &Tree) -> Result<(), Failure> {
        let told: HashSet<&MailboxName> = self.events.iter().map(|(name, ..)| name).collect();
        self.refreshed.retain(|name| !told.contains(name));
        self.refreshed.sort_unstable();
        self.refreshed.dedup();
        let refreshed = self.refreshed.into_iter().map(|name| {
            let there = tree.mailbox(&name).is_some();
            (name, None, there)
        });
        for (name, old_name, there) in self.events.into_iter().chain(refreshed) {
            let mut line = list_line_of(tree, &name);
            if there {
                line.attributes.retain(|attribute| !matches!(*attribute, "\\Noselect" | "\\NonExistent"));
            }
            if tree.get(&name).is_some_and(|entry| entry.subscribed) {
                // RFC 5465 §5.5: all attributes are as they are now.
                line.attributes.push("\\Subscribed");
            }
            line.old_name = old_name.map(|name| name.as_str().to_owned());
            context.printer().list(&line.as_printed());
            context.relieve().await?;
        }
        Ok(())
    }
}

/// STATUS of every mailbox that is followed (RFC 5465 §3.1, STATUS parameter).
pub(crate) async fn tell_all_statuses(context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let mail = context.mail()?;
    let selected = context.login()?.selected.as_ref().map(|selected| selected.id);
    let tree = mail.tree();
    let ids = tree.iter().filter_map(|(_, entry)| entry.mailbox).filter(|id| selected != Some(*id));
    let all = Changed { all: true, ..Changed::default() };
    tell_statuses(context, &mail, &tree, ids.map(|id| (id, all)).collect()).await
}

/// STATUS of these mailboxes, as far as they are followed; their heads are read some at a time.
async fn tell_statuses(
    context: &mut Context<'_, '_>,
    mail: &Arc<AccountStore>,
    tree: &Tree,
    changed: Vec<(MailboxId, Changed)>,
) -> Result<(), Failure> {
    let condstore = context.state.enabled.condstore;
    let Some(notify) = context.login()?.notify.as_deref() else { return Ok(()) };
    let wanted = |(id, changed): (MailboxId, Changed)| {
        let name = tree.name_of(id)?;
        let items = changed.items(notify.events_of(name, tree), condstore);
        (!items.is_empty()).then_some((id, name, items))
    };
    let wanted: Vec<(MailboxId, &MailboxName, Vec<StatusItem>)> = changed.into_iter().filter_map(wanted).collect();
    for some in wanted.chunks(limits::PAGE_RECORDS) {
        let ids: Vec<MailboxId> = some.iter().map(|(id, ..)| *id).collect();
        for ((_, name, items), head) in some.iter().zip(mail.heads(&ids).await?) {
            // One that is deleted meanwhile is told of as that.
            let Some(head) = head else { continue };
            let value = |item: &StatusItem| (*item, StatusValue::Number(value(*item, &head)));
            let values: Vec<(StatusItem, StatusValue)> = items.iter().map(value).collect();
            context.printer().status(name.as_str(), &values);
            context.relieve().await?;
        }
    }
    Ok(())
}

fn value(item: StatusItem, head: &Head) -> u64 {
    match item {
        StatusItem::Messages => head.exists.into(),
        StatusItem::UidNext => head.uid_next.value().into(),
        StatusItem::UidValidity => head.uid_validity.value().into(),
        StatusItem::Unseen => head.unseen.into(),
        StatusItem::HighestModSeq => head.highest_modseq.0,
        // No notification has another item.
        _ => 0,
    }
}

//! STORE of X-GM-LABELS (X-GM-EXT-1): puts messages into mailboxes and takes them out. What is to be added is added before
//! anything is taken away, and no message loses its last mailbox.

use std::collections::BTreeMap;

use columba_types::{MailboxId, UidSet};
use columba_wire::{Code, GmLabel, MessageSet, Numbering, StoreAction};

use super::copy::no_target;
use crate::context::Context;
use crate::gmail;
use crate::reply::{Done, Failure, Outcome};
use crate::sync::tell_begin;

/// What is to be done to labels.
pub(super) struct Change {
    pub(super) action: StoreAction,
    pub(super) silent: bool,
    pub(super) labels: Vec<GmLabel>,
}

/// By mailbox, the UIDs to be copied there (of the selected mailbox), and those to be taken away (of that one).
#[derive(Default)]
struct Plan {
    added: BTreeMap<MailboxId, UidSet>,
    removed: BTreeMap<MailboxId, UidSet>,
}

pub(super) async fn store_labels(
    context: &mut Context<'_, '_>,
    numbering: Numbering,
    set: MessageSet,
    change: Change,
) -> Outcome {
    if !context.peer.x_gm_ext_1 {
        return Err(Failure::bad("STORE: there are no labels here"));
    }
    let (uids, limited) = {
        let uids = context.resolve(numbering, &set)?;
        context.within_limit(uids)
    };
    let mail = context.mail()?;
    let mailbox = context.mailbox()?;
    let mut named = Vec::with_capacity(change.labels.len());
    for label in &change.labels {
        let id = gmail::mailbox_of(context, &mail.tree(), label)?;
        let none = || Failure::no(Code::TryCreate, "There is no mailbox for one of the labels, create it first");
        named.push(id.ok_or_else(none)?);
    }
    let mut plan = Plan::default();
    for record in mailbox.snapshot().records_in(&uids) {
        let places = gmail::places(&mail, record.message).await?;
        plan.note(&places, mailbox.id(), record.uid, change.action, &named)?;
    }
    for (id, uids) in plan.added {
        let target = mail.mailbox(id).await.map_err(no_target)?;
        let copied = context.working(|| None, mailbox.copy(&uids, &target)).await?.map_err(no_target)?;
        context.own.arrived(id, &copied.to);
    }
    for (id, uids) in plan.removed {
        let place = mail.mailbox(id).await.map_err(no_target)?;
        let removed = context.working(|| None, place.remove(&uids)).await??;
        context.own.expunged(id, &removed.uids);
    }
    if !change.silent {
        tell(context, &uids, numbering == Numbering::Uid).await?;
    }
    Ok(context.limited(Done::new("Labelled"), limited))
}

impl Plan {
    /// Adds what one message needs. The label of the selected mailbox is never told, so replacing leaves it alone.
    fn note(
        &mut self,
        places: &BTreeMap<MailboxId, UidSet>,
        selected: MailboxId,
        uid: columba_types::Uid,
        action: StoreAction,
        named: &[MailboxId],
    ) -> Result<(), Failure> {
        if action != StoreAction::Remove {
            for id in named.iter().filter(|id| !places.contains_key(*id)) {
                self.added.entry(*id).or_default().insert(uid.value());
            }
        }
        let goes = |id: &MailboxId| match action {
            StoreAction::Add => false,
            StoreAction::Remove => named.contains(id),
            StoreAction::Replace => !named.contains(id) && *id != selected,
        };
        let gone: Vec<_> = places.iter().filter(|(id, _)| goes(id)).collect();
        if gone.len() == places.len() && !gone.is_empty() {
            return Err(Failure::no(Code::Cannot, "A message cannot lose its last label: move it, or delete it"));
        }
        for (id, uids) in gone {
            let all = self.removed.entry(*id).or_default();
            *all = all.union(uids);
        }
        Ok(())
    }
}

/// The labels as they are now.
async fn tell(context: &mut Context<'_, '_>, uids: &UidSet, with_uid: bool) -> Result<(), Failure> {
    let (mail, mailbox) = (context.mail()?, context.mailbox()?);
    let enabled = context.state.enabled;
    for record in mailbox.snapshot().records_in(uids) {
        let labels = gmail::labels(&mail, mailbox.id(), record.message).await?;
        let (selected, channel) = context.selected_and_channel()?;
        let mut printer = channel.printer(enabled.print_mode());
        if tell_begin(selected, record, &mut printer, enabled, with_uid) {
            printer.fetch_gm_labels(labels.system, labels.names.iter().map(|name| name.as_str()));
            printer.fetch_end();
        }
        context.relieve().await?;
    }
    Ok(())
}

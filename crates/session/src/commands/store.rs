//! STORE and UID STORE (RFC 9051 §6.4.6).

use columba_store::{FlagAction, FlagChange, StoreError};
use columba_types::{Flag, UidSet};
use columba_wire::{Code, MessageSet, Numbering, StoreAction};

use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};
use crate::state::Told;
use crate::sync::tell_flags;

/// What is to be done to flags.
pub(super) struct Change {
    pub(super) action: StoreAction,
    pub(super) silent: bool,
    pub(super) flags: Vec<Flag>,
}

pub(super) async fn store(
    context: &mut Context<'_, '_>,
    numbering: Numbering,
    set: MessageSet,
    change: Change,
) -> Outcome {
    let uids = context.resolve(numbering, &set)?;
    let action = match change.action {
        StoreAction::Replace => FlagAction::Replace,
        StoreAction::Add => FlagAction::Add,
        StoreAction::Remove => FlagAction::Remove,
    };
    let selected = context.selected()?;
    let before = selected.mailbox.snapshot();
    let stored = selected
        .mailbox
        .store(&uids, FlagChange { action, flags: change.flags }, None)
        .await
        .map_err(too_many_keywords)?;
    if !change.silent {
        tell(context, &uids, numbering == Numbering::Uid).await?;
    } else if stored.modseq == before.head.highest_modseq.next() {
        // Ours was the very next commit, so that nobody else's change hides in the new state of these messages. What
        // others had changed before is told, as it is after both: the client cannot know it (RFC 9051 §6.4.6).
        let others: UidSet = before.changed_since(selected.view.told()).map(|record| record.uid).collect();
        context.told = Told { uids: stored.changed.difference(&others), up_to: stored.modseq };
    }
    Ok(finished(&uids, &stored.missing))
}

/// FETCH with the flags as they are now, for every message asked about, changed or not.
async fn tell(context: &mut Context<'_, '_>, uids: &UidSet, uid: bool) -> Result<(), Failure> {
    let mode = context.mode();
    let (selected, channel) = context.selected_and_channel()?;
    let snapshot = selected.mailbox.snapshot();
    // A new keyword has to be named before it is used.
    if selected.keywords != snapshot.head.keywords {
        selected.keywords = snapshot.head.keywords.clone();
        crate::sync::print_flags(selected, &mut channel.printer(mode));
    }
    for record in snapshot.records_in(uids) {
        tell_flags(selected, &snapshot, record, &mut channel.printer(mode), mode, uid);
        channel.relieve().await?;
    }
    context.note_told(uids.clone(), &snapshot);
    Ok(())
}

fn finished(uids: &UidSet, missing: &UidSet) -> Done {
    // RFC 9051 §7.1 EXPUNGEISSUED; RFC 2180 §4.2: the rest was stored.
    match missing.is_empty() || uids.is_empty() {
        true => Done::new("Stored"),
        false => Done::with(Code::ExpungeIssued, "Stored, but some of the messages are gone"),
    }
}

fn too_many_keywords(error: StoreError) -> Failure {
    match error {
        StoreError::Limit(_) => Failure::no(Code::Limit, "The mailbox has as many keywords as it can have"),
        other => other.into(),
    }
}

//! STORE and UID STORE (RFC 9051 §6.4.6).

use columba_store::{FlagAction, FlagChange, StoreError, Stored};
use columba_types::{Flag, ModSeq, UidSet};
use columba_wire::{Code, MessageSet, Numbering, StoreAction};

use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};
use crate::state::Told;
use crate::sync::{tell_flags, tell_keywords, tell_modseq};

/// What is to be done to flags.
pub(super) struct Change {
    pub(super) unchanged_since: Option<ModSeq>,
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
    let (uids, limited) = {
        let uids = context.resolve(numbering, &set)?;
        context.within_limit(uids)
    };
    let action = match change.action {
        StoreAction::Replace => FlagAction::Replace,
        StoreAction::Add => FlagAction::Add,
        StoreAction::Remove => FlagAction::Remove,
    };
    if change.unchanged_since.is_some() {
        context.enable_condstore();
    }
    let mailbox = context.mailbox()?;
    let before = mailbox.snapshot();
    let change_flags = FlagChange { action, flags: change.flags };
    let work = mailbox.store(&uids, change_flags, change.unchanged_since);
    let stored = context.working(|| None, work).await?.map_err(too_many_keywords)?;
    let uid = numbering == Numbering::Uid;
    if !change.silent {
        tell(context, &uids, uid).await?;
    } else if stored.modseq == before.head.highest_modseq.next() {
        // Ours was the very next commit, so that nobody else's change hides in the new state of these messages. What
        // others had changed before is told, as it is after both: the client cannot know it (RFC 9051 §6.4.6).
        let others: UidSet = before.changed_since(context.selected()?.view.told()).map(|record| record.uid).collect();
        context.told = Told { uids: stored.changed.difference(&others), up_to: stored.modseq, ..Told::default() };
    }
    if change.silent && context.state.enabled.condstore {
        tell_modseqs(context, &uids, &stored, change.unchanged_since.is_some()).await?;
    }
    if !stored.modified.is_empty() {
        let selected = context.selected()?;
        let numbers = if uid { stored.modified } else { selected.view.seqs_of(&stored.modified) };
        let done = Done::with(Code::Modified(numbers), "Stored, but for messages that were changed meanwhile");
        return Ok(context.limited(done, limited));
    }
    Ok(context.limited(finished(&uids, &stored.missing), limited))
}

/// What a silent STORE has to say to a client that wants mod-sequences: those of the messages it changed, and after a
/// conditional one of all that passed the test, and the whole state of those that did not (RFC 7162 §3.1.3). A message
/// with changes of others in it is left to the sync, which tells its flags too, unless NOTIFY keeps it from that.
async fn tell_modseqs(
    context: &mut Context<'_, '_>,
    uids: &UidSet,
    stored: &Stored,
    conditional: bool,
) -> Result<(), Failure> {
    let enabled = context.state.enabled;
    let passed = if conditional { uids.difference(&stored.modified) } else { stored.changed.clone() };
    let known = std::mem::take(&mut context.told);
    let sync_tells = context.login()?.sync_tells_flags();
    let (selected, channel) = context.selected_and_channel()?;
    let snapshot = selected.mailbox()?.snapshot();
    tell_keywords(selected, &snapshot, &mut channel.printer(enabled.print_mode()));
    for record in snapshot.records_in(uids) {
        let uid = record.uid.value();
        let as_known = record.modseq <= selected.view.told();
        let only_ours = as_known || known.uids.contains(uid) && record.modseq <= known.up_to;
        let mut printer = channel.printer(enabled.print_mode());
        match (stored.modified.contains(uid), passed.contains(uid)) {
            (false, true) if only_ours => tell_modseq(selected, record, &mut printer, enabled),
            // What is not known yet is told by the sync, if it tells anything.
            (true, _) if as_known => tell_flags(selected, &snapshot, record, &mut printer, enabled, false),
            (true, _) | (_, true) if !sync_tells => {
                tell_flags(selected, &snapshot, record, &mut printer, enabled, false);
            }
            _ => {}
        }
        channel.relieve().await?;
    }
    context.told = known;
    Ok(())
}

/// FETCH with the flags as they are now, for every message asked about, changed or not.
async fn tell(context: &mut Context<'_, '_>, uids: &UidSet, uid: bool) -> Result<(), Failure> {
    let enabled = context.state.enabled;
    let mode = enabled.print_mode();
    let (selected, channel) = context.selected_and_channel()?;
    let snapshot = selected.mailbox()?.snapshot();
    tell_keywords(selected, &snapshot, &mut channel.printer(mode));
    for record in snapshot.records_in(uids) {
        tell_flags(selected, &snapshot, record, &mut channel.printer(mode), enabled, uid);
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

//! SELECT and EXAMINE (RFC 9051 §6.3.2, §6.3.3; RFC 3501 §6.3.1).

use columba_store::{Snapshot, StoreError};
use columba_types::{NumSet, SeqNum, SystemFlags, UidSet};
use columba_wire::{Code, Qresync, RawMailbox, SelectParameters, Status};

use super::list::list_line_of;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};
use crate::state::{Enabled, Selected};
use crate::sync::{print_flags, tell_flags, tell_vanished};
use crate::view::View;

pub(super) async fn select(
    context: &mut Context<'_, '_>,
    raw: RawMailbox,
    read_only: bool,
    parameters: SelectParameters,
) -> Outcome {
    if let Some(known) = &parameters.qresync {
        admit_qresync(context, known)?;
    }
    // Whatever comes of it, the mailbox selected so far is not selected any more (RFC 9051 §6.3.2).
    context.login()?.deselected = false;
    if context.login()?.selected.take().is_some() {
        context.printer().untagged(Status::Ok, Some(&Code::Closed), "The mailbox selected so far is closed");
    }
    if parameters.condstore || parameters.qresync.is_some() {
        context.enable_condstore();
    }
    let name = context.mailbox_name(&raw)?;
    let mail = context.mail()?;
    let tree = mail.tree();
    let id = tree.get(&name).and_then(|entry| entry.mailbox).ok_or_else(|| no_such_mailbox(&name))?;
    let mailbox = context.working(|| None, mail.mailbox(id)).await?.map_err(|error| match error {
        StoreError::NotFound => no_such_mailbox(&name),
        other => other.into(),
    })?;
    let snapshot = mailbox.snapshot();
    let last_uid = snapshot.head.uid_next.value() - 1;
    let view = View::new(&snapshot.uids(), last_uid, snapshot.head.highest_modseq);
    let keywords = snapshot.head.keywords.clone();
    let mut selected = Selected::new(mailbox, read_only, view, keywords);
    tell(context, &mut selected, &snapshot)?;
    if context.mode().rev2 {
        // RFC 9051 §6.3.2: a LIST line names the mailbox.
        let mut line = list_line_of(&tree, &name);
        line.old_name = context.old_name(&raw, &name);
        context.printer().list(&line.as_printed());
    }
    if let Some(known) = parameters.qresync
        && known.uid_validity == snapshot.head.uid_validity
    {
        resynchronise(context, &selected, &snapshot, &known).await?;
    }
    context.login()?.selected = Some(Box::new(selected));
    Ok(match read_only {
        true => Done::with(Code::ReadOnly, "Examined"),
        false => Done::with(Code::ReadWrite, "Selected"),
    })
}

/// RFC 7162 §3.2.5: only after ENABLE QRESYNC. Nothing has been closed yet.
fn admit_qresync(context: &Context<'_, '_>, known: &Qresync) -> Result<(), Failure> {
    let enabled = context.state.enabled;
    if !enabled.qresync {
        return Err(Failure::bad("SELECT: QRESYNC has to be enabled first"));
    }
    if enabled.uid_only && known.matches.is_some() {
        // RFC 9586 §3.7
        return Err(Failure::Bad(
            Some(Code::UidRequired),
            "SELECT: UIDONLY is enabled, send no message numbers".into(),
        ));
    }
    Ok(())
}

/// What a client that was here before has missed: messages that are gone, then flags (RFC 7162 §3.2.5.1).
async fn resynchronise(
    context: &mut Context<'_, '_>,
    selected: &Selected,
    snapshot: &Snapshot,
    known: &Qresync,
) -> Result<(), Failure> {
    let enabled = context.state.enabled;
    let every = UidSet::range(1, snapshot.head.uid_next.value() - 1);
    let asked = known.known.as_ref().map_or_else(|| every.clone(), |set| set.resolve(0).intersection(&every));
    let gone = match snapshot.expunged_since(known.modseq) {
        Some(gone) => gone.intersection(&asked).difference(&snapshot.uids()),
        // RFC 7162 §3.2.6: too far back, so all that is not there.
        None => asked.difference(&snapshot.uids()),
    };
    let matched = known.matches.as_ref().map_or(0, |(seqs, uids)| last_match(&selected.view, seqs, uids));
    let gone = gone.difference(&UidSet::range(1, matched));
    tell_vanished(context.channel, enabled.print_mode(), true, &gone).await?;
    for record in snapshot.changed_since(known.modseq).filter(|record| asked.contains(record.uid.value())) {
        tell_flags(selected, snapshot, record, &mut context.printer(), enabled, true);
        context.relieve().await?;
    }
    Ok(())
}

/// The highest UID up to which the client's list is the present one: a pair of its sample that is still true, since messages
/// only ever leave (RFC 7162 §3.2.5.2). 0 if there is none.
fn last_match(view: &View, seqs: &NumSet, uids: &NumSet) -> u32 {
    let (seqs, uids) = (seqs.resolve(0), uids.resolve(0));
    let mut last = 0;
    for (seq, uid) in seqs.iter().zip(uids.iter()) {
        match SeqNum::new(seq).and_then(|seq| view.uid(seq)) {
            Some(there) if there.value() == uid => last = uid,
            Some(_) => {}
            // Beyond the end: so are all that follow.
            None => break,
        }
    }
    last
}

fn tell(context: &mut Context<'_, '_>, selected: &mut Selected, snapshot: &Snapshot) -> Result<(), Failure> {
    let rev2 = context.mode().rev2;
    let head = &snapshot.head;
    let mut printer = context.printer();
    print_flags(selected, &mut printer);
    printer.exists(selected.view.exists());
    let Enabled { condstore, uid_only, .. } = context.state.enabled;
    let mut printer = context.printer();
    if !rev2 {
        selected.claim_recent()?;
        printer.recent(selected.recent_count());
        // RFC 3501 §6.3.1; rev2 has no such code, and with UIDONLY no message number may be sent.
        let unseen = snapshot.records().find(|record| !record.flags.system.contains(SystemFlags::SEEN));
        if let Some(seq) =
            unseen.filter(|_| head.unseen > 0 && !uid_only).and_then(|record| selected.view.seq(record.uid))
        {
            printer.untagged(Status::Ok, Some(&Code::Unseen(seq)), "The first message that is not seen");
        }
    }
    printer.untagged(Status::Ok, Some(&Code::UidValidity(head.uid_validity)), "UIDs are valid");
    printer.untagged(Status::Ok, Some(&Code::UidNext(head.uid_next)), "The next UID, foretold");
    // RFC 8474 §4.2
    printer.untagged(Status::Ok, Some(&Code::MailboxId(head.mailbox)), "The mailbox, whatever its name");
    if condstore {
        // RFC 7162 §3.1.2.1
        printer.untagged(Status::Ok, Some(&Code::HighestModSeq(head.highest_modseq)), "The last change");
    }
    Ok(())
}

pub(super) fn no_such_mailbox(name: &columba_types::MailboxName) -> Failure {
    Failure::no(Code::NonExistent, format!("There is no mailbox {}", printable(name.as_str())))
}

/// A name in a text that may hold ASCII only.
pub(super) fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

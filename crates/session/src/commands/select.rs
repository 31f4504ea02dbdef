//! SELECT and EXAMINE (RFC 9051 §6.3.2, §6.3.3; RFC 3501 §6.3.1).

use columba_store::{Snapshot, StoreError};
use columba_types::{SystemFlags, UidSet};
use columba_wire::{Code, RawMailbox, Status};

use super::list::list_line_of;
use crate::context::Context;
use crate::reply::{Done, Failure, Outcome};
use crate::state::Selected;
use crate::sync::print_flags;
use crate::view::View;

pub(super) async fn select(context: &mut Context<'_, '_>, raw: RawMailbox, read_only: bool) -> Outcome {
    // Whatever comes of it, the mailbox selected so far is not selected any more (RFC 9051 §6.3.2).
    if context.login()?.selected.take().is_some() {
        context.printer().untagged(Status::Ok, Some(&Code::Closed), "The mailbox selected so far is closed");
    }
    let name = context.mailbox_name(&raw)?;
    let mail = context.mail()?;
    let tree = mail.tree();
    let id = tree.get(&name).and_then(|entry| entry.mailbox).ok_or_else(|| no_such_mailbox(&name))?;
    let mailbox = mail.mailbox(id).await.map_err(|error| match error {
        StoreError::NotFound => no_such_mailbox(&name),
        other => other.into(),
    })?;
    let snapshot = mailbox.snapshot();
    let last_uid = snapshot.head.uid_next.value() - 1;
    let view = View::new(&snapshot.uids(), last_uid, snapshot.head.highest_modseq);
    let keywords = snapshot.head.keywords.clone();
    let mut selected = Selected { mailbox, read_only, view, recent: UidSet::new(), saved: UidSet::new(), keywords };
    tell(context, &mut selected, &snapshot);
    if context.mode().rev2 {
        // RFC 9051 §6.3.2: a LIST line names the mailbox.
        let mut line = list_line_of(&tree, &name);
        line.old_name = context.old_name(&raw, &name);
        context.printer().list(&line.as_printed());
    }
    context.login()?.selected = Some(Box::new(selected));
    Ok(match read_only {
        true => Done::with(Code::ReadOnly, "Examined"),
        false => Done::with(Code::ReadWrite, "Selected"),
    })
}

fn tell(context: &mut Context<'_, '_>, selected: &mut Selected, snapshot: &Snapshot) {
    let rev2 = context.mode().rev2;
    let head = &snapshot.head;
    let mut printer = context.printer();
    print_flags(selected, &mut printer);
    printer.exists(selected.view.exists());
    if !rev2 {
        selected.claim_recent();
        printer.recent(selected.recent_count());
        // RFC 3501 §6.3.1; rev2 has no such code.
        let unseen = snapshot.records().find(|record| !record.flags.system.contains(SystemFlags::SEEN));
        if let Some(seq) = unseen.filter(|_| head.unseen > 0).and_then(|record| selected.view.seq(record.uid)) {
            printer.untagged(Status::Ok, Some(&Code::Unseen(seq)), "The first message that is not seen");
        }
    }
    printer.untagged(Status::Ok, Some(&Code::UidValidity(head.uid_validity)), "UIDs are valid");
    printer.untagged(Status::Ok, Some(&Code::UidNext(head.uid_next)), "The next UID, foretold");
}

pub(super) fn no_such_mailbox(name: &columba_types::MailboxName) -> Failure {
    Failure::no(Code::NonExistent, format!("There is no mailbox {}", printable(name.as_str())))
}

/// A name in a text that may hold ASCII only.
pub(super) fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

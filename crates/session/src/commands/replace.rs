//! REPLACE and UID REPLACE (RFC 8508): one commit, in which one message comes and another goes.

use columba_types::{NumRange, NumSet, SetNum, Uid, UidSet};
use columba_wire::{Append, Code, MessageSet, Numbering, Status};

use super::append::append_uid;
use super::copy::{no_target, target};
use super::intake;
use crate::context::Context;
use crate::reply::{Failure, Outcome};

pub(super) async fn replace(
    context: &mut Context<'_, '_>,
    numbering: Numbering,
    number: SetNum,
    append: Append,
) -> Outcome {
    let uid = replaced(context, numbering, number)?;
    let target = target(context, &append.mailbox).await?;
    let messages = intake::messages(context, append.parts).await?;
    let mailbox = context.mailbox()?;
    // RFC 8508 §4.7: there is just one.
    let Some(message) = messages.into_iter().next() else {
        return Err(Failure::no(Code::ServerBug, "There is no message to append"));
    };
    let work = mailbox.replace(uid, &target, message);
    let appended = context.working(|| None, work).await?.map_err(no_target)?.ok_or_else(gone)?;
    context.own.expunged(mailbox.id(), &UidSet::range(uid.value(), uid.value()));
    context.own.arrived(target.id(), &appended.uids);
    // RFC 8508 §4.3: APPENDUID comes untagged, before the EXPUNGE that the sync at the end tells.
    context.printer().untagged(Status::Ok, Some(&append_uid(appended)), "The new message is there");
    Ok(context.took_out("Replaced", mailbox.snapshot().head.highest_modseq))
}

/// The message that is to go, if it is there.
fn replaced(context: &mut Context<'_, '_>, numbering: Numbering, number: SetNum) -> Result<Uid, Failure> {
    let set = MessageSet::Set(NumSet(vec![NumRange { start: number, end: number }]));
    let uids = context.resolve(numbering, &set)?;
    let no_such = || Failure::No(None, "There is no message of that UID to be replaced".into());
    let uid = uids.uids().next().ok_or_else(no_such)?;
    let there = context.mailbox()?.snapshot().records_in(&uids).next().is_some();
    if there { Ok(uid) } else { Err(gone()) }
}

fn gone() -> Failure {
    Failure::no(Code::ExpungeIssued, "The message has been expunged by another session; nothing was appended")
}

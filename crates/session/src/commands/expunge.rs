//! EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9).

use columba_store::{Expunged, Mailbox, Record};
use columba_types::{SystemFlags, UidSet};
use columba_wire::{MessageSet, Numbering};

use crate::context::Context;
use crate::progress::gone;
use crate::reply::{Done, Failure, Outcome};

/// Removes what is \Deleted, and with a set only what is in it too. The EXPUNGEs are told by the sync that follows.
pub(super) async fn expunge(context: &mut Context<'_, '_>, uids: Option<MessageSet>) -> Outcome {
    let uids = uids.map(|set| context.resolve(Numbering::Uid, &set)).transpose()?;
    let mailbox = context.mailbox()?;
    let (uids, limited) = match uids {
        // RFC 9738 §3.1: of UID EXPUNGE what is \Deleted counts; EXPUNGE is never limited.
        Some(uids) => {
            let deleted = |record: &&Record| record.flags.system.contains(SystemFlags::DELETED);
            let deleted = mailbox.snapshot().records_in(&uids).filter(deleted).map(|record| record.uid).collect();
            let (uids, limited) = context.within_limit(deleted);
            (Some(uids), limited)
        }
        None => (None, None),
    };
    let expunged = expunge_counted(context, &mailbox, uids.as_ref()).await?;
    context.own.expunged(mailbox.id(), &expunged.uids);
    let done = match expunged.uids.is_empty() {
        true => Done::new("Expunged"),
        false => context.took_out("Expunged", expunged.modseq),
    };
    Ok(context.limited(done, limited))
}

/// The same for CLOSE: expunges, and says how far it is if it takes long.
pub(super) async fn expunge_counted(
    context: &mut Context<'_, '_>,
    mailbox: &Mailbox,
    uids: Option<&UidSet>,
) -> Result<Expunged, Failure> {
    let before = mailbox.snapshot();
    let measure = || {
        let wanted = |record: &&Record| {
            let uid = record.uid.value();
            record.flags.system.contains(SystemFlags::DELETED) && uids.is_none_or(|uids| uids.contains(uid))
        };
        gone(mailbox, &before.records().filter(wanted).map(|record| record.uid).collect())
    };
    Ok(context.working(measure, mailbox.expunge(uids)).await??)
}

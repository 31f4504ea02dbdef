//! STORE: other flags for messages (RFC 9051 §6.4.6, RFC 7162 §3.1.3).

use std::sync::Arc;

use columba_types::{Flags, ModSeq, UidSet};

use super::{FlagAction, FlagChange, Stored};
use crate::StoreError;
use crate::engine::CommitError;
use crate::line::change;
use crate::mailbox::Mailbox;

impl Mailbox {
    /// Changes flags in one commit; the pages of the messages that change are all that is written but for the head.
    /// With `unchanged_since`, messages that changed later are left alone and reported.
    ///
    /// # Errors
    /// `NotFound`: the mailbox is deleted. `Limit`: too many keywords; nothing is changed then.
    pub async fn store(
        &self,
        uids: &UidSet,
        flags: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Stored, StoreError> {
        let hook = Arc::new(|_: &Result<(), CommitError>| {});
        change(&[&self.room], &hook, |drafts, _| {
            let Some(draft) = drafts.first_mut() else { return Err(StoreError::NotFound) };
            let base = Arc::clone(draft.base());
            let (mut found, mut modified, mut targets) = (UidSet::new(), UidSet::new(), UidSet::new());
            for record in base.records_in(uids) {
                found.push(record.uid.value());
                // RFC 7162 §3.1.3: the test is made for each message on its own.
                if unchanged_since.is_some_and(|since| record.modseq > since) {
                    modified.push(record.uid.value());
                } else {
                    targets.push(record.uid.value());
                }
            }
            // A keyword no message is to get does not enter the table.
            let wanted = match flags.action {
                FlagAction::Remove => draft.known_flags(&flags.flags),
                _ if targets.is_empty() => Flags::NONE,
                _ => draft.flags(&flags.flags)?,
            };
            let changed = draft.change_flags(&targets, |record| match flags.action {
                FlagAction::Replace => wanted,
                FlagAction::Add => record.flags.union(wanted),
                FlagAction::Remove => record.flags.difference(wanted),
            });
            Ok(Stored { modseq: draft.modseq(), changed, modified, missing: uids.difference(&found) })
        })
        .await
    }
}

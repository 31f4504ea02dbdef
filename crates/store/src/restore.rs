//! Bringing back what was expunged, while it is still there.

use std::sync::Arc;

use columba_types::limits::COMMIT_RETRIES;
use columba_types::{DateTime, Flag, MailboxId, MessageId, SystemFlags, Uid, UidSet};

use crate::account_store::AccountStore;
use crate::changes::Appended;
use crate::codec::small::{Link, decode_trash, encode_link};
use crate::draft::NewRecord;
use crate::engine::{Batch, CommitError};
use crate::line::change;
use crate::mailbox::Mailbox;
use crate::reclaim::{TrashKey, take_reclaim_turn};
use crate::{StoreError, keys};

/// A message that was expunged, and can still be brought back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpungedMessage {
    /// Until when, in milliseconds since 1970.
    pub expiry_millis: u64,
    /// Which message.
    pub message: MessageId,
    /// The mailbox it was in, which may be deleted.
    pub mailbox: MailboxId,
    /// Its UID there.
    pub uid: Uid,
    /// INTERNALDATE.
    pub internal_date: DateTime,
    /// When it came into that mailbox, in seconds since 1970.
    pub saved_secs: i64,
    /// The flags it had.
    pub flags: Vec<Flag>,
    /// Octets.
    pub size: u64,
}

impl ExpungedMessage {
    fn key(&self) -> TrashKey {
        let Self { expiry_millis, message, mailbox, uid, .. } = *self;
        TrashKey { expiry_millis, message, mailbox, uid }
    }
}

impl AccountStore {
    /// What can be brought back, the first to go first.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn expunged(&self) -> Result<Vec<ExpungedMessage>, StoreError> {
        let mut all = Vec::new();
        for (key, value) in self.core.scan_all(self.partition(), keys::all_trash()).await? {
            let TrashKey { expiry_millis, message, mailbox, uid } = TrashKey::parse(&key)?;
            let trash = decode_trash(&value).map_err(|error| error.of(format_args!("expunged {message}")))?;
            let system = SystemFlags::ALL.into_iter().filter(|(flag, _)| trash.system.contains(*flag));
            let flags = system.map(|(flag, _)| Flag::System(flag)).chain(trash.keywords.into_iter().map(Flag::Keyword));
            all.push(ExpungedMessage {
                expiry_millis,
                message,
                mailbox,
                uid,
                internal_date: trash.internal_date,
                saved_secs: trash.saved_secs,
                flags: flags.collect(),
                size: trash.size,
            });
        }
        Ok(all)
    }
}

impl Mailbox {
    /// Brings expunged messages of this account back into this mailbox, all or none in one commit: with the flags they had but
    /// for \Deleted, their INTERNALDATE, and new UIDs.
    ///
    /// # Errors
    /// `NotFound`: one of them is gone for good or was brought back already, or the mailbox is deleted. `Limit`, `UidsExhausted`.
    pub async fn restore(&self, messages: &[ExpungedMessage]) -> Result<Appended, StoreError> {
        let account = &self.room.account;
        let hook = Arc::new(|_: &Result<(), CommitError>| {});
        let rooms = [&self.room];
        for _ in 0..COMMIT_RETRIES {
            let mut turn = Batch::new(account.partition());
            take_reclaim_turn(&account.core, &mut turn).await?;
            let keys: Vec<_> = messages.iter().map(|message| message.key().key()).collect();
            if account.core.engine.read(account.partition(), keys).await?.contains(&None) {
                return Err(StoreError::NotFound);
            }
            let mut tried = false;
            let outcome = change(&rooms, &hook, |drafts, batch| {
                // The turn may be over: it has to be taken again.
                if std::mem::replace(&mut tried, true) {
                    return Err(StoreError::Busy);
                }
                let Some(draft) = drafts.first_mut() else { return Err(StoreError::NotFound) };
                let mut uids = UidSet::new();
                for message in messages {
                    let mut flags = draft.flags(&message.flags)?;
                    flags.system = flags.system.difference(SystemFlags::DELETED);
                    let (id, internal_date, size) = (message.message, message.internal_date, message.size);
                    let saved_secs = account.core.now_secs();
                    let uid = draft.append(NewRecord { flags, message: id, internal_date, saved_secs, size })?;
                    uids.push(uid.value());
                    batch.delete(message.key().key());
                    batch.delete(message.key().link());
                    batch.put(keys::link(id, self.id(), uid), encode_link(Link::Live));
                }
                if !messages.is_empty() {
                    batch.guards.extend(turn.guards.clone());
                    batch.writes.extend(turn.writes.clone());
                }
                Ok(Appended { uid_validity: draft.base().head.uid_validity, uids, modseq: draft.modseq() })
            });
            match outcome.await {
                Err(StoreError::Busy) => {}
                other => return other,
            }
        }
        Err(StoreError::Busy)
    }
}

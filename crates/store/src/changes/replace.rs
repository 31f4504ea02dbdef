//! REPLACE: a message comes and another goes in one commit, also from one mailbox to another (RFC 8508).

use std::sync::Arc;

use columba_types::{Uid, UidSet};

use super::append::Arriving;
use super::{Appended, NewMessage, put_trash};
use crate::StoreError;
use crate::draft::Draft;
use crate::engine::Batch;
use crate::line::change;
use crate::mailbox::Mailbox;

impl Mailbox {
    /// Appends a message to `to` and expunges `uid` here, whatever its flags. `None`: there is no such message any more,
    /// and nothing was done. The new message inherits nothing of the old one (RFC 8508 §1).
    ///
    /// # Errors
    /// As [`Mailbox::append`]. `NotFound`: one of the mailboxes is deleted. `Cannot`: `to` is of another account.
    pub async fn replace(&self, uid: Uid, to: &Mailbox, message: NewMessage) -> Result<Option<Appended>, StoreError> {
        if !Arc::ptr_eq(&self.room.account, &to.room.account) {
            return Err(StoreError::Cannot("the mailboxes belong to different accounts"));
        }
        let (arriving, hook) = Arriving::new(&self.room.account, vec![message]).await?;
        let hook = Arc::new(hook);
        let gone = UidSet::range(uid.value(), uid.value());
        let replace = |drafts: &mut [Draft], batch: &mut Batch| {
            let Some(source) = drafts.first_mut() else { return Err(StoreError::NotFound) };
            let base = Arc::clone(source.base());
            let Some(record) = base.records_in(&gone).next() else { return Ok(None) };
            put_trash(batch, self.id(), record, &base.head.keywords, self.core().expiry_millis());
            source.remove(&gone);
            let Some(target) = drafts.last_mut() else { return Err(StoreError::NotFound) };
            arriving.enter(to, target, batch).map(Some)
        };
        if self.id() == to.id() {
            change(&[&self.room], &hook, replace).await
        } else {
            change(&[&self.room, &to.room], &hook, replace).await
        }
    }
}

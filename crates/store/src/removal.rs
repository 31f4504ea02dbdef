//! Taking away what a deleted mailbox leaves: its messages go the way of expunged ones, in commits of bounded size.
//! What a crash interrupts goes on when the account is opened again, or at the next reclaiming.

use columba_types::MailboxId;
use columba_types::limits::{COMMIT_MESSAGES, COMMIT_RETRIES, PAGE_RECORDS};

use crate::changes::put_trash;
use crate::codec;
use crate::codec::small::{Removing, decode_removing, encode_removing};
use crate::engine::{Batch, CommitError, Expect, Partition};
use crate::keys::KeyParts;
use crate::store::Core;
use crate::{StoreError, keys};

/// Pages of one commit.
const STEP_PAGES: usize = COMMIT_MESSAGES.div_ceil(PAGE_RECORDS);

/// Takes away the pages of every deleted mailbox of an account.
pub(crate) async fn finish_removals(core: &Core, partition: Partition) -> Result<(), StoreError> {
    for (key, _) in core.scan_all(partition, keys::all_removing()).await? {
        let id = KeyParts::of(&key).u64().map(MailboxId);
        let id = id.ok_or_else(|| StoreError::corrupt("the mark of a deleted mailbox"))?;
        let mut conflicts = 0;
        loop {
            match step(core, partition, id).await {
                Ok(true) => break,
                Ok(false) => conflicts = 0,
                // Somebody else is at it, too.
                Err(StoreError::Busy) if conflicts < COMMIT_RETRIES => conflicts += 1,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Takes away some pages; whether that was all.
async fn step(core: &Core, partition: Partition, id: MailboxId) -> Result<bool, StoreError> {
    let Some(mark) = core.value(partition, keys::removing(id)).await? else { return Ok(true) };
    let mark = decode_removing(&mark).map_err(|error| error.of(format_args!("the mark of deleted {id}")))?;
    let pages = core.engine.scan(partition, keys::pages(id), STEP_PAGES).await?;
    let whole = pages.len() < STEP_PAGES;
    let expiry = core.expiry_millis();
    let mut batch = Batch::new(partition);
    batch.guard(keys::removing(id), Expect::Version(mark.version));
    for (key, value) in pages {
        let mut parts = KeyParts::of(&key);
        let (_, first) = (parts.u64(), parts.u32().unwrap_or(0));
        let page = codec::page::decode(&value, first);
        let page = page.map_err(|error| error.of(format_args!("page {first} of deleted {id}")))?;
        page.records.iter().for_each(|record| put_trash(&mut batch, id, record, &mark.keywords, expiry));
        batch.delete(key);
        batch.clears.push(keys::packs_of_page(id, first));
    }
    if whole {
        batch.clears.push(keys::logs(id));
        batch.delete(keys::removing(id));
    } else {
        let next = Removing { version: core.version(), ..mark };
        batch.put(keys::removing(id), encode_removing(&next));
    }
    match core.commit(batch).await {
        Ok(()) => Ok(whole),
        Err(CommitError::Conflict) => Err(StoreError::Busy),
        Err(error) => Err(error.into()),
    }
}

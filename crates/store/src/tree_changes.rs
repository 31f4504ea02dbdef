//! CREATE, DELETE, RENAME, SUBSCRIBE: changes of an account's tree, one commit at a time, guarded by its version.

use std::collections::BTreeMap;
use std::sync::Arc;

use columba_types::limits::{COMMIT_RETRIES, MAILBOXES_PER_ACCOUNT};
use columba_types::{AccountId, MailboxId, MailboxName, UidValidity};

use crate::account_store::AccountStore;
use crate::codec;
use crate::codec::small::{Removing, TreeState, encode_format, encode_name, encode_removing, encode_tree};
use crate::engine::{Batch, CommitError, Done, Expect, Partition};
use crate::feed::TreeNews;
use crate::line::Pending;
use crate::mailbox::{Mailbox, Room};
use crate::memory::lock;
use crate::removal::finish_removals;
use crate::snapshot::Head;
use crate::store::Core;
use crate::tree::{SpecialUse, Tree, TreeEntry};
use crate::{StoreError, keys};

/// Mailbox ids are the account's id and a number of this many bits.
const MAILBOX_NUMBER_BITS: u32 = 28;

/// A change of the tree in the making.
#[derive(Debug)]
struct TreeDraft {
    account: AccountId,
    core: Arc<Core>,
    tree: Arc<Tree>,
    state: TreeState,
    names: Names,
    batch: Batch,
}

/// What becomes of names.
type Names = BTreeMap<MailboxName, Option<TreeEntry>>;

impl TreeDraft {
    /// What is known of a name, this change included.
    fn get(&self, name: &MailboxName) -> Option<&TreeEntry> {
        self.names.get(name).map_or_else(|| self.tree.get(name), Option::as_ref)
    }

    fn set(&mut self, name: &MailboxName, entry: Option<TreeEntry>) {
        self.names.insert(name.clone(), entry);
    }

    /// A new mailbox: the name, a head, an id and a UIDVALIDITY nobody had.
    fn create(&mut self, name: &MailboxName, uses: &[SpecialUse]) -> Result<MailboxId, StoreError> {
        self.state.mailboxes_made += 1;
        if self.state.mailboxes_made >> MAILBOX_NUMBER_BITS != 0 || self.account.0 >> (64 - MAILBOX_NUMBER_BITS) != 0 {
            return Err(StoreError::Limit("mailboxes ever made"));
        }
        let id = MailboxId((self.account.0 << MAILBOX_NUMBER_BITS) | self.state.mailboxes_made);
        // RFC 9051 §2.3.1.1: it rises when a mailbox of the same name is made again, so it rises with every mailbox.
        let now = u32::try_from(self.core.now_secs()).unwrap_or(0);
        let above_last = self.state.last_uid_validity.checked_add(1);
        let value = above_last.map(|next| next.max(now)).and_then(UidValidity::new);
        let uid_validity = value.ok_or(StoreError::Limit("UIDVALIDITY"))?;
        self.state.last_uid_validity = uid_validity.value();
        let head = codec::head::encode(&Head::of_new(id, uid_validity), self.core.version());
        self.batch.guard(keys::head(id), Expect::Absent);
        self.batch.put(keys::head(id), head);
        let subscribed = self.get(name).is_some_and(|entry| entry.subscribed);
        self.set(name, Some(TreeEntry { mailbox: Some(id), subscribed, uses: uses.to_vec() }));
        Ok(id)
    }

    /// A new mailbox, with those above it that are missing.
    fn create_new(&mut self, name: &MailboxName, uses: &[SpecialUse]) -> Result<MailboxId, StoreError> {
        if self.get(name).is_some_and(|entry| entry.mailbox.is_some()) {
            return Err(StoreError::Exists);
        }
        self.create_parents(name)?;
        self.create(name, &in_order(uses))
    }

    /// Takes uses away from the mailboxes that have them, but for the one of name `except`.
    fn release_uses(&mut self, uses: &[SpecialUse], except: Option<&MailboxName>) {
        let tree = Arc::clone(&self.tree);
        let has_one = |entry: &TreeEntry| entry.uses.iter().any(|special_use| uses.contains(special_use));
        for (name, entry) in tree.iter().filter(|(name, entry)| Some(*name) != except && has_one(entry)) {
            let kept = entry.uses.iter().filter(|special_use| !uses.contains(special_use)).copied().collect();
            self.set(name, Some(TreeEntry { uses: kept, ..entry.clone() }));
        }
    }

    /// Makes the names above `name` mailboxes where they are none (RFC 9051 §6.3.4).
    fn create_parents(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let missing: Vec<MailboxName> =
            name.ancestors().take_while(|parent| self.get(parent).and_then(|entry| entry.mailbox).is_none()).collect();
        for parent in missing.iter().rev() {
            self.create(parent, &[])?;
        }
        Ok(())
    }

    /// Adds the writes of names and state, guarded by the state they are made from.
    fn put_names(&mut self, version: u64) {
        self.batch.guard(keys::tree(), Expect::Version(self.state.version));
        self.state.version = version;
        self.batch.put(keys::tree(), encode_tree(self.state));
        for (name, entry) in &self.names {
            match entry {
                Some(entry) => self.batch.put(keys::name(name), encode_name(entry)),
                None => self.batch.delete(keys::name(name)),
            }
        }
    }

    fn check_limit(&self) -> Result<(), StoreError> {
        let more = self.names.iter().filter(|(name, entry)| entry.is_some() && self.tree.get(name).is_none()).count();
        if more > 0 && self.tree.entries.len() + more > MAILBOXES_PER_ACCOUNT {
            return Err(StoreError::Limit("mailboxes of one account"));
        }
        Ok(())
    }
}

/// Fills the partition of an account that has nothing yet: its format, INBOX and the usual mailboxes.
pub(crate) async fn create_first_mailboxes(core: &Arc<Core>, account: AccountId) -> Result<(), StoreError> {
    let partition = Partition::Account(account);
    let mut draft = TreeDraft {
        account,
        core: Arc::clone(core),
        tree: Arc::default(),
        state: TreeState { version: core.version(), ..TreeState::default() },
        names: Names::new(),
        batch: Batch::new(partition),
    };
    draft.create(&MailboxName::inbox(), &[])?;
    for (name, special_use) in &core.options.first_mailboxes {
        draft.create_parents(name)?;
        match draft.get(name).cloned() {
            // One mailbox for several uses, or the way to another one.
            Some(mut entry) => {
                entry.uses.push(*special_use);
                entry.uses.sort_unstable();
                entry.uses.dedup();
                draft.set(name, Some(entry));
            }
            None => _ = draft.create(name, &[*special_use])?,
        }
    }
    let TreeDraft { state, names, mut batch, .. } = draft;
    batch.guard(keys::format(), Expect::Absent);
    batch.put(keys::format(), encode_format());
    batch.put(keys::tree(), encode_tree(state));
    for (name, entry) in names {
        let entry = TreeEntry { subscribed: true, ..entry.unwrap_or_default() };
        batch.put(keys::name(&name), encode_name(&entry));
    }
    match core.commit(batch).await {
        // Another one was faster.
        Ok(()) | Err(CommitError::Conflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Each use once, in the order of their numbers.
fn in_order(uses: &[SpecialUse]) -> Vec<SpecialUse> {
    let mut uses = uses.to_vec();
    uses.sort_unstable();
    uses.dedup();
    uses
}

/// An entry that says nothing is none.
fn or_nothing(entry: TreeEntry) -> Option<TreeEntry> {
    (entry.mailbox.is_some() || entry.subscribed).then_some(entry)
}

impl AccountStore {
    /// Makes a mailbox, and those above it that are missing.
    ///
    /// # Errors
    /// `Exists`; `UseTaken`: another mailbox has one of `uses`; `Limit`: too many names.
    pub async fn create_mailbox(
        self: &Arc<Self>,
        name: &MailboxName,
        uses: &[SpecialUse],
    ) -> Result<MailboxId, StoreError> {
        self.change_tree(None, |draft| {
            if uses.iter().any(|special_use| draft.tree.of_use(*special_use).is_some()) {
                let exists = draft.tree.mailbox(name).is_some();
                return Err(if exists { StoreError::Exists } else { StoreError::UseTaken });
            }
            draft.create_new(name, uses)
        })
        .await
    }

    /// As [`AccountStore::create_mailbox`], but the uses are taken from whatever mailboxes have them (RFC 6154 §3 allows it).
    ///
    /// # Errors
    /// `Exists`; `Limit`: too many names.
    pub async fn create_mailbox_taking_uses(
        self: &Arc<Self>,
        name: &MailboxName,
        uses: &[SpecialUse],
    ) -> Result<MailboxId, StoreError> {
        self.change_tree(None, |draft| {
            draft.release_uses(uses, None);
            draft.create_new(name, uses)
        })
        .await
    }

    /// Deletes a mailbox. What is below it stays, and so does a subscription of the name (RFC 9051 §6.3.5, §6.3.8); its
    /// messages stay restorable for a while.
    ///
    /// # Errors
    /// `NotFound`; `Cannot`: it is INBOX; `HasChildren`: there is no such mailbox, only mailboxes below the name.
    pub async fn delete_mailbox(self: &Arc<Self>, name: &MailboxName) -> Result<(), StoreError> {
        if name.is_inbox() {
            return Err(StoreError::Cannot("INBOX cannot be deleted"));
        }
        for _ in 0..COMMIT_RETRIES {
            let tree = self.tree();
            let Some(id) = tree.mailbox(name) else {
                return Err(if tree.has_children(name) { StoreError::HasChildren } else { StoreError::NotFound });
            };
            let room = match self.room(id).await {
                Ok(room) => room,
                // Somebody else has just deleted it: look at the tree again.
                Err(StoreError::NotFound) => {
                    self.catch_up_with_tree(&tree).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let deleted = self.change_tree(Some(&room), |draft| {
                if draft.tree.mailbox(name) != Some(id) {
                    return Err(StoreError::Busy);
                }
                let subscribed = draft.get(name).is_some_and(|entry| entry.subscribed);
                draft.set(name, or_nothing(TreeEntry { subscribed, ..TreeEntry::default() }));
                Ok(())
            });
            match deleted.await {
                Ok(()) => return finish_removals(&self.core, self.partition()).await,
                // The name went to another mailbox meanwhile, or the mailbox went.
                Err(StoreError::Busy | StoreError::NotFound) => self.catch_up_with_tree(&tree).await?,
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Busy)
    }

    /// Waits for, or reads, a tree other than `seen`.
    async fn catch_up_with_tree(&self, seen: &Tree) -> Result<(), StoreError> {
        let _turn = self.tree_turn.lock().await;
        self.settle_tree().await?;
        if self.tree().version == seen.version {
            self.reload_tree().await?;
        }
        Ok(())
    }

    /// Renames a mailbox, and everything below it (RFC 9051 §6.3.6). Ids, UIDs and UIDVALIDITY stay; subscriptions stay with the
    /// old names. INBOX stays, with what is below it: its messages are moved to a new mailbox.
    ///
    /// # Errors
    /// `NotFound`; `Exists`: a mailbox has that name; `Cannot`: into itself, or a name below would be too long; `Limit`.
    pub async fn rename_mailbox(self: &Arc<Self>, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        if from.is_inbox() {
            return self.rename_inbox(to).await;
        }
        self.change_tree(None, |draft| {
            let tree = Arc::clone(&draft.tree);
            let has_mailbox = |name: &MailboxName| tree.mailbox(name).is_some();
            if !has_mailbox(from) && !tree.has_children(from) {
                return Err(StoreError::NotFound);
            }
            if from == to || has_mailbox(to) {
                return Err(StoreError::Exists);
            }
            if to.is_below(from) {
                return Err(StoreError::Cannot("a mailbox cannot be moved into itself"));
            }
            let own = tree.get(from).map(|entry| (from, entry));
            let mut moves = Vec::new();
            for (name, entry) in own.into_iter().chain(tree.below(from)).filter(|(_, entry)| entry.mailbox.is_some()) {
                let Some(Ok(new_name)) = name.moved(from, to) else {
                    return Err(StoreError::Cannot("a mailbox below would get a name that is too long"));
                };
                let moves_away = new_name == *from || new_name.is_below(from);
                if has_mailbox(&new_name) && !moves_away {
                    return Err(StoreError::Exists);
                }
                moves.push((name.clone(), new_name, entry.clone()));
            }
            // First the old names, so that a parent that moves away is missing where it was.
            for (name, _, entry) in &moves {
                draft.set(name, or_nothing(TreeEntry { subscribed: entry.subscribed, ..TreeEntry::default() }));
            }
            for (_, name, entry) in moves {
                let subscribed = draft.get(&name).is_some_and(|old| old.subscribed);
                draft.set(&name, Some(TreeEntry { mailbox: entry.mailbox, subscribed, uses: entry.uses }));
            }
            draft.create_parents(to)
        })
        .await
    }

    /// RFC 9051 §6.3.6: renaming INBOX moves its messages, and leaves INBOX and what is below it.
    async fn rename_inbox(self: &Arc<Self>, to: &MailboxName) -> Result<(), StoreError> {
        let inbox = self.tree().mailbox(&MailboxName::inbox()).ok_or(StoreError::NotFound)?;
        let source = Mailbox { room: self.room(inbox).await? };
        let target = Mailbox { room: self.room(self.create_mailbox(to, &[]).await?).await? };
        // RFC 5464 §4.1: INBOX keeps its annotations, and the new mailbox has them too.
        self.copy_metadata(inbox, target.id()).await?;
        source.move_to(&columba_types::UidSet::range(1, u32::MAX), &target).await.map(|_| ())
    }

    /// Subscribes a name, or ends that; there need not be a mailbox of that name.
    ///
    /// # Errors
    /// `Limit`: too many names.
    pub async fn subscribe(self: &Arc<Self>, name: &MailboxName, on: bool) -> Result<(), StoreError> {
        self.change_tree(None, |draft| {
            let entry = draft.get(name).cloned().unwrap_or_default();
            if entry.subscribed != on {
                draft.set(name, or_nothing(TreeEntry { subscribed: on, ..entry }));
            }
            Ok(())
        })
        .await
    }

    /// Gives a mailbox other special uses.
    ///
    /// # Errors
    /// `NotFound`; `UseTaken`: another mailbox has one of them.
    pub async fn set_uses(self: &Arc<Self>, name: &MailboxName, uses: &[SpecialUse]) -> Result<(), StoreError> {
        self.change_tree(None, |draft| {
            let Some(entry) = draft.get(name).filter(|entry| entry.mailbox.is_some()).cloned() else {
                return Err(StoreError::NotFound);
            };
            let taken = |special_use: &SpecialUse| {
                draft.tree.of_use(*special_use).is_some_and(|other| entry.mailbox != Some(other))
            };
            if uses.iter().any(taken) {
                return Err(StoreError::UseTaken);
            }
            let uses = in_order(uses);
            if uses != entry.uses {
                draft.set(name, Some(TreeEntry { uses, ..entry }));
            }
            Ok(())
        })
        .await
    }

    /// Gives a mailbox other special uses, taken from whatever mailboxes have them.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn take_uses(self: &Arc<Self>, name: &MailboxName, uses: &[SpecialUse]) -> Result<(), StoreError> {
        self.change_tree(None, |draft| {
            let Some(entry) = draft.get(name).filter(|entry| entry.mailbox.is_some()).cloned() else {
                return Err(StoreError::NotFound);
            };
            let uses = in_order(uses);
            draft.release_uses(&uses, Some(name));
            if uses != entry.uses {
                draft.set(name, Some(TreeEntry { uses, ..entry }));
            }
            Ok(())
        })
        .await
    }

    /// Waits until nothing is in line for the tree, and reads it anew if something failed. The turn is held.
    pub(crate) async fn settle_tree(&self) -> Result<(), StoreError> {
        loop {
            let heard = self.tree_heard.notified();
            if !lock(&self.tree_line).in_flight {
                break;
            }
            heard.await;
        }
        if lock(&self.tree_line).stale { self.reload_tree().await } else { Ok(()) }
    }

    /// The road of every change of the tree; `delete` is a mailbox that goes with it.
    async fn change_tree<T>(
        self: &Arc<Self>,
        delete: Option<&Arc<Room>>,
        mut compute: impl FnMut(&mut TreeDraft) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _turn = self.tree_turn.lock().await;
        for _ in 0..COMMIT_RETRIES {
            let place = self.core.place_in_line().await?;
            self.settle_tree().await?;
            let state = lock(&self.tree_line).state;
            let mut draft = TreeDraft {
                account: self.id(),
                core: Arc::clone(&self.core),
                tree: self.tree(),
                state,
                names: Names::new(),
                batch: Batch::new(self.partition()),
            };
            let value = compute(&mut draft)?;
            if draft.names.is_empty() {
                return Ok(value);
            }
            draft.check_limit()?;
            let version = self.core.version();
            draft.put_names(version);
            let TreeDraft { state: next, names, mut batch, tree, .. } = draft;
            // Or else the tree would have to be copied to be changed.
            drop(tree);
            let mut tip = match delete {
                Some(room) => Some(room.lock_tip().await?),
                None => None,
            };
            if let (Some(room), Some(tip)) = (delete, &mut tip)
                && let Some(last) = tip.take()
            {
                let name = self.tree().name_of(room.id).map(ToString::to_string).unwrap_or_default();
                let removing = Removing { version, name, keywords: last.head.keywords.to_vec() };
                batch.guard(keys::head(room.id), Expect::Version(last.version));
                batch.delete(keys::head(room.id));
                batch.put(keys::removing(room.id), encode_removing(&removing));
                // RFC 5464 §4.1: annotations go with their mailbox.
                batch.delete(keys::metadata(room.id));
                room.join_line(Pending::of_deletion(version));
            }
            let (sender, outcome) = futures_channel::oneshot::channel();
            let (account, room) = (Arc::clone(self), delete.cloned());
            lock(&self.tree_line).in_flight = true;
            let done = Done::new(move |outcome| {
                account.hear_of_tree(&outcome, next, names);
                if let Some(room) = room {
                    room.hear(version, &outcome);
                }
                drop(place);
                _ = sender.send(outcome);
            });
            self.core.engine.submit(batch, done);
            drop(tip);
            match outcome.await {
                Ok(Ok(())) => return Ok(value),
                Ok(Err(CommitError::Conflict)) => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(StoreError::Indeterminate("the engine has gone".into())),
            }
        }
        Err(StoreError::Busy)
    }

    /// Takes note of what became of a change of the tree. Called by the engine.
    fn hear_of_tree(&self, outcome: &Result<(), CommitError>, next: TreeState, names: Names) {
        if outcome.is_ok() {
            let news = TreeNews::of(&self.tree(), &names);
            self.edit_tree(|tree| {
                names.into_iter().for_each(|(name, entry)| tree.set(name, entry));
                tree.version = next.version;
            });
            self.feed.tell_of_tree(news);
        }
        let mut line = lock(&self.tree_line);
        line.in_flight = false;
        line.stale |= outcome.is_err();
        if outcome.is_ok() {
            line.state = next;
        }
        drop(line);
        self.tree_heard.notify_waiters();
    }
}

//! The account as the store has it, read from outside of any session, in the simplest form there is: what clients are
//! compared with, and what the effect of a command is foreseen upon.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use columba_store::{AccountStore, Snapshot, StoreError};
use columba_types::{MailboxId, MessageId};

use super::answer::Flags;

/// A message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) flags: Flags,
    /// The same for all copies.
    pub(super) message: MessageId,
    pub(super) size: u64,
    /// 0 where it is foreseen to be new, and nothing else is known of it.
    pub(super) modseq: u64,
}

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) rows: BTreeMap<u32, Row>,
    pub(super) uid_next: u32,
    pub(super) uid_validity: u32,
    /// 0 where it is not foreseen.
    pub(super) highest: u64,
}

impl State {
    fn of(snapshot: &Snapshot) -> Self {
        let row = |record: &columba_store::Record| {
            let flags = snapshot.flag_names(record.flags).map(str::to_ascii_lowercase).collect();
            let row = Row { flags, message: record.message, size: record.size, modseq: record.modseq.0 };
            (record.uid.value(), row)
        };
        Self {
            rows: snapshot.records().map(row).collect(),
            uid_next: snapshot.head.uid_next.value(),
            uid_validity: snapshot.head.uid_validity.value(),
            highest: snapshot.head.highest_modseq.0,
        }
    }

    /// Adds a message, and gives the UID it gets.
    pub(super) fn add(&mut self, row: Row) -> u32 {
        let uid = self.uid_next;
        self.uid_next += 1;
        self.rows.insert(uid, Row { modseq: 0, ..row });
        uid
    }
}

/// All mailboxes.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    pub(super) names: BTreeMap<String, MailboxId>,
    pub(super) boxes: BTreeMap<MailboxId, Rc<State>>,
    /// Names, with or without a mailbox.
    pub(super) subscribed: BTreeSet<String>,
}

impl Truth {
    /// Reads it. What has not changed since `before` is shared with it.
    pub(super) async fn read(account: &Arc<AccountStore>, before: &Self) -> Result<Self, StoreError> {
        let mut truth = Self::default();
        for (name, entry) in account.tree().iter() {
            if entry.subscribed {
                truth.subscribed.insert(name.as_str().to_owned());
            }
            let Some(id) = entry.mailbox else { continue };
            let snapshot = account.mailbox(id).await?.snapshot();
            let known = before.boxes.get(&id).filter(|known| known.highest == snapshot.head.highest_modseq.0);
            let state = known.cloned().unwrap_or_else(|| Rc::new(State::of(&snapshot)));
            truth.names.insert(name.as_str().to_owned(), id);
            truth.boxes.insert(id, state);
        }
        Ok(truth)
    }

    /// Whether the name is below another, or others are below it: what becomes of those is not foreseen.
    pub(super) fn has_levels(&self, name: &str) -> bool {
        let below = |other: &String| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
        name.contains('/') || self.names.keys().any(below)
    }

    pub(super) fn named(&self, name: &str) -> Option<(MailboxId, &State)> {
        let id = *self.names.get(name)?;
        Some((id, self.boxes.get(&id)?))
    }

    pub(super) fn state(&self, id: MailboxId) -> Option<&State> {
        self.boxes.get(&id).map(Rc::as_ref)
    }

    /// A mailbox that is about to be changed: what mod-sequence it will have is not foreseen.
    pub(super) fn state_mut(&mut self, id: MailboxId) -> Option<&mut State> {
        let state = self.boxes.get_mut(&id).map(Rc::make_mut)?;
        state.highest = 0;
        Some(state)
    }
}

/// Whether the store may have come from `before` to `after`: mod-sequences never fall, and UIDs are never given again
/// (RFC 7162 §3.1, RFC 9051 §2.3.1.1).
pub(super) fn follows(before: &Truth, after: &Truth) -> Result<(), String> {
    for (id, old) in &before.boxes {
        let Some(new) = after.boxes.get(id).filter(|new| !Rc::ptr_eq(old, new)) else { continue };
        if new.uid_validity != old.uid_validity || new.uid_next < old.uid_next || new.highest < old.highest {
            return Err(format!(
                "the mailbox {id} went back: {} {} to {} {}",
                old.uid_next, old.highest, new.uid_next, new.highest
            ));
        }
        if old.rows.len() != new.rows.len() && new.highest == old.highest {
            return Err(format!("messages came or went in {id} without a new mod-sequence"));
        }
        for (uid, row) in &new.rows {
            let expected_above = match old.rows.get(uid) {
                None if *uid < old.uid_next => return Err(format!("the UID {uid} of {id} was given again")),
                None => old.highest,
                Some(was) if was.flags != row.flags => old.highest,
                Some(was) => was.modseq - 1,
            };
            if row.modseq <= expected_above || row.modseq > new.highest {
                let (modseq, highest) = (row.modseq, new.highest);
                return Err(format!(
                    "UID {uid} of {id} has MODSEQ {modseq}: above {expected_above}, at most {highest}"
                ));
            }
        }
    }
    Ok(())
}

//! A mailbox that a client has selected: what it believes of it, where it stands, and how a state from an earlier session
//! is brought up to date (RFC 7162 §3.2.5, §6). What else a client is told is not known here.

use columba_types::MailboxId;

use super::answer::Items;
use super::belief::{Belief, Known};
use super::client::Reply;
use super::command::Opening;

type Told = Result<(), String>;

/// A mailbox as a client left it, from which it may go on later (RFC 7162 §6).
#[derive(Clone, Debug)]
pub(super) struct Saved {
    pub(super) mailbox: MailboxId,
    pub(super) name: String,
    pub(super) uid_validity: u32,
    pub(super) point: u64,
    pub(super) list: Vec<Known>,
}

/// What a client knows while a saved state is brought up to date.
#[derive(Debug)]
pub(super) struct Resuming {
    pub(super) uid_validity: u32,
    pub(super) exists: Option<u32>,
    numbers: Vec<(u32, u32)>,
}

/// The selected mailbox.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) name: String,
    pub(super) mailbox: Option<MailboxId>,
    pub(super) read_only: bool,
    pub(super) uid_validity: u32,
    pub(super) belief: Belief,
    /// `$`; `None` where the client cannot know it.
    pub(super) saved: Option<Vec<u32>>,
    /// The client's copy of HIGHESTMODSEQ (RFC 7162 §6).
    pub(super) point: u64,
    pub(super) seen_modseq: u64,
    pub(super) seen_highest: Option<u64>,
    pub(super) resuming: Option<Resuming>,
}

impl Selected {
    /// What a client believes of a mailbox that it opens.
    pub(super) fn opened(opening: &Opening, uid_only: bool, resumed: Option<&Saved>) -> Self {
        let mut belief = Belief::new(uid_only);
        let resuming = resumed.map(|saved| {
            belief.resume(saved.list.clone());
            Resuming { uid_validity: saved.uid_validity, exists: None, numbers: Vec::new() }
        });
        Self {
            name: opening.name.clone(),
            mailbox: None,
            read_only: opening.read_only,
            uid_validity: 0,
            belief,
            saved: Some(Vec::new()),
            point: resumed.map_or(0, |saved| saved.point),
            seen_modseq: 0,
            seen_highest: None,
            resuming,
        }
    }

    pub(super) fn take_fetch(&mut self, number: u32, items: Items, reply: &mut Reply) -> Told {
        self.seen_modseq = self.seen_modseq.max(items.modseq.unwrap_or(0));
        let uid = match &mut self.resuming {
            Some(resuming) => {
                let uid = items.uid.ok_or("FETCH without UID while a state is brought up to date")?;
                resuming.numbers.push((number, uid));
                self.belief.update(uid, &items)?;
                Some(uid)
            }
            None => {
                self.belief.fetch(number, &items)?;
                self.belief.list().get(number as usize - 1).and_then(|known| known.uid)
            }
        };
        if items.recent {
            reply.recent.extend(uid);
        }
        reply.fetched.push((uid, items));
        Ok(())
    }

    /// SELECT is answered: a state brought up to date has as many messages as there are, in their places.
    pub(super) fn finish(&mut self, reply: &Reply) -> Told {
        let Some(resuming) = self.resuming.take() else {
            return if reply.exists.is_some() { Ok(()) } else { Err("SELECT without EXISTS".into()) };
        };
        let exists = resuming.exists.ok_or("SELECT without EXISTS")?;
        if resuming.uid_validity != self.uid_validity {
            // RFC 7162 §3.2.5: it goes on as if nothing had changed; all that was known is of no use.
            if !reply.earlier.is_empty() || !reply.fetched.is_empty() {
                return Err("a state of another UIDVALIDITY was brought up to date".into());
            }
            self.belief.resume(Vec::new());
            return self.belief.exists(exists);
        }
        if (exists as usize) < self.belief.len() {
            return Err(format!("{} messages are left over of {exists}", self.belief.len()));
        }
        self.belief.exists(exists)?;
        for (number, uid) in resuming.numbers {
            let place = self.belief.place(uid).map(|place| place as u32 + 1);
            if place != Some(number) && self.belief.knows_uids() {
                return Err(format!("UID {uid} was called {number}, and is {place:?}"));
            }
        }
        Ok(())
    }

    /// RFC 7162 §6: what the client's copy of HIGHESTMODSEQ is after a tagged answer.
    pub(super) fn settle(&mut self) {
        self.point = match self.seen_highest.take() {
            Some(highest) => highest,
            None => self.point.max(self.seen_modseq),
        };
        self.seen_modseq = 0;
    }
}

//! What a client believes of its selected mailbox, from responses alone: the list of messages, each with what was told
//! of it. A response that cannot be true is an error here (RFC 9051 §5.2, §7.5; RFC 7162 §3.2.10; RFC 9586 §3).

use columba_types::UidSet;

use super::answer::{Flags, Items};

/// A message as a client knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) uid: Option<u32>,
    pub(super) flags: Option<Flags>,
    pub(super) modseq: Option<u64>,
}

/// The list. With UIDONLY there are no places in it: messages of which no UID is known are only counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Belief {
    list: Vec<Known>,
    unplaced: u32,
    pub(super) uid_only: bool,
}

type Told = Result<(), String>;

impl Belief {
    pub(super) fn new(uid_only: bool) -> Self {
        Self { uid_only, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len() + self.unplaced as usize
    }

    /// Messages by their place; those without one are left out.
    pub(super) fn list(&self) -> &[Known] {
        &self.list
    }

    /// Whether every message's UID is known.
    pub(super) fn knows_uids(&self) -> bool {
        self.unplaced == 0 && self.list.iter().all(|known| known.uid.is_some())
    }

    /// Whether everything is known of every message.
    pub(super) fn knows_all(&self) -> bool {
        self.unplaced == 0 && self.list.iter().all(|known| known.uid.is_some() && known.flags.is_some())
    }

    pub(super) fn uids(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.list.iter().filter_map(|known| known.uid)
    }

    /// The place of a UID, from 0.
    pub(super) fn place(&self, uid: u32) -> Option<usize> {
        self.list.iter().position(|known| known.uid == Some(uid))
    }

    pub(super) fn known_mut(&mut self, uid: u32) -> Option<&mut Known> {
        self.list.iter_mut().find(|known| known.uid == Some(uid))
    }

    /// RFC 9051 §7.4.1: EXISTS never takes away.
    pub(super) fn exists(&mut self, number: u32) -> Told {
        let number = number as usize;
        if number < self.len() {
            return Err(format!("EXISTS falls from {} to {number}", self.len()));
        }
        match self.uid_only {
            true => self.unplaced = (number - self.list.len()) as u32,
            false => self.list.resize(number, Known::default()),
        }
        Ok(())
    }

    pub(super) fn expunge(&mut self, number: u32) -> Told {
        if number as usize > self.list.len() {
            return Err(format!("EXPUNGE {number}, but there are {}", self.list.len()));
        }
        self.list.remove(number as usize - 1);
        Ok(())
    }

    /// RFC 7162 §3.2.10.2: each of them was announced, and each takes one away.
    pub(super) fn vanished(&mut self, uids: &UidSet) -> Told {
        for uid in uids.iter() {
            if let Some(place) = self.place(uid) {
                self.list.remove(place);
            } else if self.uid_only {
                let left = self.unplaced.checked_sub(1);
                self.unplaced = left.ok_or_else(|| format!("VANISHED {uid}, which was never announced"))?;
            } else {
                let place = self.gap(uid).ok_or_else(|| format!("VANISHED {uid}, which was never announced"))?;
                // Which one it was of several whose UIDs are unknown cannot be said, nor what was told of those left.
                let unknown = self.list[place..].iter_mut().take_while(|known| known.uid.is_none());
                unknown.for_each(|known| *known = Known::default());
                self.list.remove(place);
            }
        }
        Ok(())
    }

    /// The first message of unknown UID among those that may have this one.
    fn gap(&self, uid: u32) -> Option<usize> {
        let from =
            self.list.iter().rposition(|known| known.uid.is_some_and(|known| known < uid)).map_or(0, |at| at + 1);
        self.list.get(from).filter(|known| known.uid.is_none()).map(|_| from)
    }

    pub(super) fn fetch(&mut self, number: u32, items: &Items) -> Told {
        let place = number as usize - 1;
        let Some(known) = self.list.get(place) else {
            return Err(format!("FETCH {number}, but there are {}", self.list.len()));
        };
        if let Some(uid) = items.uid {
            let below = self.list[..place].iter().rev().find_map(|known| known.uid).unwrap_or(0);
            let above = self.list[place + 1..].iter().find_map(|known| known.uid).unwrap_or(u32::MAX);
            if known.uid.is_some_and(|known| known != uid) {
                return Err(format!("message {number} has the UID {uid}, and had {:?}", known.uid));
            }
            if uid <= below || uid >= above {
                return Err(format!("message {number} has the UID {uid}, between {below} and {above}"));
            }
        }
        note(&mut self.list[place], items)
    }

    /// RFC 9586 §3.3: the number is the UID.
    pub(super) fn uid_fetch(&mut self, uid: u32, items: &Items) -> Told {
        if items.uid.is_some_and(|other| other != uid) {
            return Err(format!("UIDFETCH {uid} with the UID {:?}", items.uid));
        }
        let place = match self.list.binary_search_by_key(&Some(uid), |known| known.uid) {
            Ok(place) => place,
            Err(place) => {
                let left = self.unplaced.checked_sub(1);
                self.unplaced = left.ok_or_else(|| format!("UIDFETCH {uid}, which was never announced"))?;
                self.list.insert(place, Known { uid: Some(uid), ..Known::default() });
                place
            }
        };
        note(&mut self.list[place], items)
    }

    /// Any flag may be another now.
    pub(super) fn doubt_flags(&mut self) {
        self.list.iter_mut().for_each(|known| known.flags = None);
    }

    /// The list that a client kept from an earlier session.
    pub(super) fn resume(&mut self, list: Vec<Known>) {
        self.list = list;
        self.unplaced = 0;
    }

    /// RFC 7162 §3.2.10.1: gone before this session; no number of messages changes by it.
    pub(super) fn forget(&mut self, uids: &UidSet) {
        self.list.retain(|known| known.uid.is_none_or(|uid| !uids.contains(uid)));
    }

    /// A message told of while a list from an earlier session is brought up to date: it is put where it belongs.
    pub(super) fn update(&mut self, uid: u32, items: &Items) -> Told {
        let place = match self.list.binary_search_by_key(&Some(uid), |known| known.uid) {
            Ok(place) => place,
            Err(place) => {
                self.list.insert(place, Known { uid: Some(uid), ..Known::default() });
                place
            }
        };
        note(&mut self.list[place], items)
    }
}

fn note(known: &mut Known, items: &Items) -> Told {
    known.uid = items.uid.or(known.uid);
    if let Some(modseq) = items.modseq {
        if known.modseq.is_some_and(|before| modseq < before) {
            return Err(format!("MODSEQ falls from {:?} to {modseq}", known.modseq));
        }
        known.modseq = Some(modseq);
    }
    if let Some(flags) = &items.flags {
        if items.modseq.is_none() && known.flags.as_ref() != Some(flags) {
            // They are newer than the mod-sequence that is known.
            known.modseq = None;
        }
        known.flags = Some(flags.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(uid: u32) -> Items {
        Items { uid: Some(uid), ..Items::default() }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut belief = Belief::default();
        belief.exists(3).unwrap();
        assert!(belief.exists(2).is_err() && belief.expunge(4).is_err() && belief.fetch(4, &uid(1)).is_err());
        belief.fetch(2, &uid(5)).unwrap();
        assert!(belief.fetch(2, &uid(6)).is_err(), "another UID");
        assert!(belief.fetch(3, &uid(4)).is_err(), "UIDs rise");
        belief.fetch(2, &Items { modseq: Some(9), ..uid(5) }).unwrap();
        assert!(belief.fetch(2, &Items { modseq: Some(8), ..uid(5) }).is_err());
    }

    #[test]
    fn a_vanished_message_of_unknown_uid_is_one_of_those_in_its_gap() {
        let mut belief = Belief::default();
        belief.exists(4).unwrap();
        belief.fetch(2, &uid(5)).unwrap();
        assert!(belief.clone().vanished(&[3, 4].into_iter().collect()).is_err(), "there was only one before 5");
        belief.vanished(&[3, 9].into_iter().collect()).unwrap();
        assert_eq!((belief.len(), belief.place(5)), (2, Some(0)));
    }

    #[test]
    fn with_uid_only_there_are_no_places() {
        let mut belief = Belief { uid_only: true, ..Belief::default() };
        belief.exists(2).unwrap();
        belief.uid_fetch(9, &Items::default()).unwrap();
        belief.uid_fetch(4, &Items::default()).unwrap();
        assert!(belief.uid_fetch(5, &Items::default()).is_err());
        belief.vanished(&[9].into_iter().collect()).unwrap();
        assert_eq!((belief.len(), belief.knows_uids()), (1, true));
    }
}

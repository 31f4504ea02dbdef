//! The messages a command is given: by number, by UID, by `$`, in every form of a set (RFC 9051 §9). What is done to them is
//! not known here.

use super::actions::{Draw, Second};
use super::command::Target;
use super::selected::Selected;

impl Draw<'_> {
    pub(super) fn target(&mut self, selected: &Selected, second: Second) -> Option<Target> {
        if self.client.traits.uid_only || second.no_numbers || self.dice.once_in(2) {
            return self.uid_target(selected, second);
        }
        let belief = &selected.belief;
        if let Some(target) = self.saved_target(selected, second, false) {
            return Some(target);
        }
        let count = belief.len();
        if count == 0 {
            return None;
        }
        let (a, b) = (self.dice.below(count) + 1, self.dice.below(count) + 1);
        let (written, numbers): (String, Vec<usize>) = match self.dice.below(8) {
            0 | 1 => (a.to_string(), vec![a]),
            2 if !second.is => ("*".into(), vec![count]),
            3 if !second.is => (format!("{a}:*"), (a..=count).collect()),
            4 => (format!("{b},{a}"), vec![a, b]),
            // RFC 9051 §9 seq-range: in either order.
            _ => (format!("{a}:{b}"), (a.min(b)..=a.max(b)).collect()),
        };
        let known = |number: &usize| belief.list().get(number - 1).and_then(|known| known.uid);
        let mut uids: Vec<u32> = numbers.iter().filter_map(known).collect();
        let certain = uids.len() == numbers.len();
        uids.sort_unstable();
        uids.dedup();
        Some(Target { written, uid: false, uids, certain })
    }

    /// `$`, now and then.
    fn saved_target(&mut self, selected: &Selected, second: Second, uid: bool) -> Option<Target> {
        let saved = selected.saved.as_ref().filter(|_| !second.no_saved && self.client.has("SEARCHRES"))?;
        if !self.dice.once_in(if saved.is_empty() { 30 } else { 4 }) {
            return None;
        }
        let uids = saved.iter().copied().filter(|uid| selected.belief.place(*uid).is_some()).collect();
        Some(Target { written: "$".into(), uid, uids, certain: selected.belief.knows_uids() })
    }

    pub(super) fn uid_target(&mut self, selected: &Selected, second: Second) -> Option<Target> {
        if let Some(target) = self.saved_target(selected, second, true) {
            return Some(target);
        }
        let belief = &selected.belief;
        let known: Vec<u32> = belief.uids().collect();
        let (Some(a), Some(b)) = (self.dice.pick(&known), self.dice.pick(&known)) else {
            // RFC 9051 §6.4.9: a UID that is not there is no error.
            return Some(Target {
                written: "1:4".into(),
                uid: true,
                uids: Vec::new(),
                certain: belief.knows_uids() && !second.is,
            });
        };
        let last = known.last().copied().unwrap_or(a);
        let within = |low: u32, high: u32| known.iter().copied().filter(|uid| (low..=high).contains(uid)).collect();
        let whole = belief.knows_uids();
        let (written, uids, certain): (String, Vec<u32>, bool) = match self.dice.below(8) {
            0 | 1 => (a.to_string(), vec![a], true),
            2 if !second.is => ("*".into(), vec![last], whole),
            // RFC 9051 §9 seq-range: 559:* has the last message in it, whatever its UID.
            3 if !second.is => (format!("{}:*", a + 7), within((a + 7).min(last), last), whole),
            4 => (
                format!("{b},{a},{}", last.saturating_add(1_000_000)),
                within(a, a).into_iter().chain(within(b, b)).collect(),
                true,
            ),
            _ => (format!("{a}:{b}"), within(a.min(b), a.max(b)), whole),
        };
        let mut uids: Vec<u32> = uids;
        uids.sort_unstable();
        uids.dedup();
        Some(Target { written, uid: true, uids, certain })
    }
}

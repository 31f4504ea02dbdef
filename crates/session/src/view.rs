//! What one client has been told of the mailbox it selected: which messages, in which order, up to which change.
//! It knows numbers only: no store, no wire, no task.
//!
//! Invariants:
//! - The client's sequence numbers are exactly the ranks of `announced` (RFC 9051 §2.3.1.2).
//! - A message leaves `announced` only when the caller takes its EXPUNGE to tell it.
//! - New messages come only at the end, and `EXISTS` never shrinks without an EXPUNGE (RFC 9051 §7.4.1).

use columba_types::{ModSeq, SeqNum, Uid, UidSet};

/// Consecutive UIDs that are consecutive in the client's list too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Rank of `low`, counted from 0.
    before: u32,
    /// Lowest and highest UID.
    low: u32,
    high: u32,
}

impl Run {
    const fn len(self) -> u32 {
        self.high - self.low + 1
    }
}

/// One client's list of messages.
#[derive(Clone, Debug, Default)]
pub struct View {
    runs: Vec<Run>,
    /// Announced messages that are gone, and whose EXPUNGE has not been told yet.
    pending: UidSet,
    /// Every UID up to this one has been announced, or was gone before it could be.
    seen_to: u32,
    /// Every change up to here is told or pending.
    told: ModSeq,
    /// Every change up to here was told when the oldest of `pending` became known; without meaning while there is none.
    held: ModSeq,
}

/// What has happened since [`View::told`].
#[derive(Clone, Debug)]
pub struct News<'a> {
    /// Messages that are gone; others than announced ones don't matter.
    pub expunged: &'a UidSet,
    /// Messages there are now above [`View::seen_to`].
    pub arrived: &'a UidSet,
    /// The highest UID ever given.
    pub last_uid: u32,
    /// The state this leads to.
    pub modseq: ModSeq,
}

impl View {
    /// The view of a client that is just being told of all of `uids`.
    pub fn new(uids: &UidSet, last_uid: u32, modseq: ModSeq) -> Self {
        let mut view = Self::default();
        view.absorb(&News { expunged: &UidSet::new(), arrived: uids, last_uid, modseq });
        view
    }

    /// How many messages the client knows of: the number of its last EXISTS less the EXPUNGEs since.
    pub fn exists(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.before + run.len())
    }

    /// Every change up to here is told or pending.
    pub fn told(&self) -> ModSeq {
        self.told
    }

    /// Every change up to here is told, the EXPUNGEs too: what the client may take for the state it has, should the
    /// connection be lost now (RFC 7162 §3.2). Never falls.
    pub fn complete(&self) -> ModSeq {
        if self.pending.is_empty() { self.told } else { self.held }
    }

    /// Messages above this UID have not been announced.
    pub fn seen_to(&self) -> u32 {
        self.seen_to
    }

    /// Whether there are EXPUNGEs to tell.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The messages the client knows of.
    pub fn announced(&self) -> UidSet {
        UidSet::from_ranges(self.runs.iter().map(|run| (run.low, run.high)).collect())
    }

    /// The highest UID the client knows of.
    pub fn last(&self) -> Option<Uid> {
        self.runs.last().and_then(|run| Uid::new(run.high))
    }

    /// The UID of a sequence number; `None` beyond the end.
    pub fn uid(&self, seq: SeqNum) -> Option<Uid> {
        let rank = seq.value() - 1;
        let at = self.runs.partition_point(|run| run.before + run.len() <= rank);
        self.runs.get(at).and_then(|run| Uid::new(run.low + (rank - run.before)))
    }

    /// The sequence number of a UID; `None` if the client does not know of it.
    pub fn seq(&self, uid: Uid) -> Option<SeqNum> {
        let uid = uid.value();
        let at = self.runs.partition_point(|run| run.high < uid);
        let run = self.runs.get(at).filter(|run| run.low <= uid)?;
        SeqNum::new(run.before + (uid - run.low) + 1)
    }

    /// The UIDs at these sequence numbers; numbers beyond the end are left out.
    pub fn uids_at(&self, seqs: &UidSet) -> UidSet {
        let mut out = Vec::new();
        for &(first, last) in seqs.ranges() {
            let (first, last) = (first - 1, last - 1);
            let at = self.runs.partition_point(|run| run.before + run.len() <= first);
            for run in &self.runs[at..] {
                if run.before > last {
                    break;
                }
                let low = run.low + first.saturating_sub(run.before);
                let high = run.low + (last - run.before).min(run.len() - 1);
                out.push((low, high));
            }
        }
        UidSet::from_ranges(out)
    }

    /// The sequence numbers of these UIDs; unknown ones are left out.
    pub fn seqs_of(&self, uids: &UidSet) -> UidSet {
        let known = uids.intersection(&self.announced());
        let mut runs = self.runs.iter().peekable();
        let mut out = Vec::with_capacity(known.ranges().len());
        for &(low, high) in known.ranges() {
            // An intersection may join neighbouring runs only where the runs themselves are neighbours.
            let mut low = low;
            while low <= high {
                while runs.next_if(|run| run.high < low).is_some() {}
                let Some(run) = runs.peek() else { break };
                let end = high.min(run.high);
                out.push((run.before + (low - run.low) + 1, run.before + (end - run.low) + 1));
                match end.checked_add(1) {
                    Some(next) => low = next,
                    None => break,
                }
            }
        }
        UidSet::from_ranges(out)
    }

    /// Takes note of what has happened. Returns whether messages arrived, so that EXISTS is due.
    pub fn absorb(&mut self, news: &News<'_>) -> bool {
        let gone = match news.expunged.is_empty() {
            true => UidSet::new(),
            false => news.expunged.intersection(&self.announced()),
        };
        if !gone.is_empty() {
            self.held = self.complete();
            self.pending = self.pending.union(&gone);
        }
        let mut arrived = false;
        for &(low, high) in news.arrived.ranges() {
            let low = low.max(self.seen_to.saturating_add(1));
            if low > high {
                continue;
            }
            arrived = true;
            let before = self.exists();
            match self.runs.last_mut() {
                Some(run) if run.high.checked_add(1) == Some(low) => run.high = high,
                _ => self.runs.push(Run { before, low, high }),
            }
            self.seen_to = high;
        }
        self.seen_to = self.seen_to.max(news.last_uid);
        self.told = self.told.max(news.modseq);
        arrived
    }

    /// The EXPUNGEs to tell now, in the order to tell them: from the highest number down, so that none shifts another
    /// (RFC 9051 §7.5.1). After this the client no longer knows of these messages.
    pub fn take_expunges(&mut self) -> Vec<SeqNum> {
        let seqs = self.seqs_of(&self.pending);
        self.take_vanished();
        seqs.iter().rev().filter_map(SeqNum::new).collect()
    }

    /// The same by UIDs, for a client that is told so (RFC 7162 §3.2.10).
    pub fn take_vanished(&mut self) -> UidSet {
        let gone = std::mem::take(&mut self.pending);
        let left = self.announced().difference(&gone);
        self.runs.clear();
        let mut before = 0;
        for &(low, high) in left.ranges() {
            let run = Run { before, low, high };
            before += run.len();
            self.runs.push(run);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(numbers: &[u32]) -> UidSet {
        numbers.iter().copied().collect()
    }

    fn seq(n: u32) -> SeqNum {
        SeqNum::new(n).unwrap()
    }

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    // RFC 9051 §7.5.1: an expunge that may not be told yet changes no sequence number.
    #[test]
    fn pending_expunges_keep_the_numbers() {
        let mut view = View::new(&set(&[3, 4, 9]), 9, ModSeq(1));
        view.absorb(&News { expunged: &set(&[4]), arrived: &set(&[10]), last_uid: 10, modseq: ModSeq(3) });
        assert_eq!((view.exists(), view.seq(uid(9)), view.uid(seq(2))), (4, Some(seq(3)), Some(uid(4))));
        // RFC 7162 §3.2: nor is the state complete before it is told.
        view.absorb(&News { expunged: &set(&[3]), arrived: &set(&[]), last_uid: 10, modseq: ModSeq(5) });
        assert_eq!((view.told(), view.complete()), (ModSeq(5), ModSeq(1)));
        assert_eq!(view.take_expunges(), [seq(2), seq(1)]);
        assert_eq!(view.complete(), ModSeq(5));
        assert_eq!((view.exists(), view.seq(uid(9)), view.uid(seq(3))), (2, Some(seq(1)), None));
    }

    #[test]
    fn a_message_that_came_and_went_unseen_is_never_told() {
        let mut view = View::new(&set(&[1]), 1, ModSeq(1));
        let came = view.absorb(&News { expunged: &set(&[2]), arrived: &set(&[3]), last_uid: 3, modseq: ModSeq(4) });
        assert!(came && !view.has_pending());
        assert_eq!(view.announced(), set(&[1, 3]));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append(u32),
        Expunge(u32),
        Sync { may_expunge: bool },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1u32..4).prop_map(Step::Append),
            (0u32..30).prop_map(Step::Expunge),
            any::<bool>().prop_map(|may_expunge| Step::Sync { may_expunge }),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        /// Whatever happens, the client's list (kept by a naive model from what it is told) has the view's numbers,
        /// and after a NOOP it is the server's list.
        #[test]
        fn agrees_with_a_naive_client(steps in steps()) {
            let (mut server, mut client): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
            let (mut last_uid, mut gone) = (0, Vec::new());
            let mut view = View::default();
            for step in steps.into_iter().chain([Step::Sync { may_expunge: true }]) {
                match step {
                    Step::Append(n) => {
                        server.extend(last_uid + 1..=last_uid + n);
                        last_uid += n;
                    }
                    Step::Expunge(i) if !server.is_empty() => {
                        gone.push(server.remove(i as usize % server.len()));
                    }
                    Step::Expunge(_) => {}
                    Step::Sync { may_expunge } => {
                        let arrived: UidSet = server.iter().copied().filter(|u| *u > view.seen_to()).collect();
                        let expunged: UidSet = std::mem::take(&mut gone).into_iter().collect();
                        view.absorb(&News { expunged: &expunged, arrived: &arrived, last_uid, modseq: ModSeq(1) });
                        if may_expunge {
                            for seq in view.take_expunges() {
                                client.remove(seq.value() as usize - 1);
                            }
                        }
                        client.extend(arrived.iter());
                        prop_assert_eq!(view.exists() as usize, client.len());
                        for (i, u) in client.iter().enumerate() {
                            prop_assert_eq!(view.uid(seq(i as u32 + 1)), Some(uid(*u)));
                            prop_assert_eq!(view.seq(uid(*u)), Some(seq(i as u32 + 1)));
                        }
                        let all = UidSet::range(1, client.len() as u32);
                        prop_assert_eq!(view.uids_at(&all), view.announced());
                        prop_assert_eq!(view.seqs_of(&view.announced()), all);
                        let odd: UidSet = (1..=client.len() as u32).filter(|n| n % 2 == 1).collect();
                        prop_assert_eq!(view.seqs_of(&view.uids_at(&odd)), odd);
                    }
                }
            }
            prop_assert_eq!(client, server);
        }
    }
}

//! What clients do at random: deeds drawn from a seed, which become commands only when their turn comes, by what their
//! client believes then. So steps can be left out of a run, and the rest still means something.

use super::client::Client;
use super::command::{Command, New, Opening, Part, Section, Target, What};
use super::foresee::Limits;
use super::notify::Notify;
use super::search::{Key, Returns};
use super::selected::{Saved, Selected};

/// Mailboxes that clients meet in.
pub(super) const NAMES: [&str; 4] = ["INBOX", "INBOX", "Work", "Archive"];
/// Mailboxes that come and go.
const PASSING: [&str; 5] = ["x", "y", "Work", "x", "x/z"];
const FLAGS: [&str; 6] = ["\\Seen", "\\Deleted", "\\Flagged", "\\Deleted", "$Work", "Later"];

/// Numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`, which is not 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }

    /// Once in `n` times.
    pub(super) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len())).copied()
    }
}

/// A kind of thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Noop,
    Deliver,
    Learn,
    Select,
    Resync,
    Append,
    Store,
    Fetch,
    Text,
    Expunge,
    UidExpunge,
    Copy,
    Move,
    Replace,
    Search,
    Changes,
    Status,
    Batches,
    Notify,
    Subscribe,
    Unauthenticate,
    Create,
    Delete,
    Rename,
    Close,
    Unselect,
    Idle,
    Disconnect,
    Clock,
    /// Two commands in one packet.
    Pair,
    /// Two clients at once.
    Crossing,
}

const WEIGHTS: [(usize, Deed); 31] = [
    (8, Deed::Noop),
    (8, Deed::Deliver),
    (14, Deed::Learn),
    (8, Deed::Select),
    (8, Deed::Resync),
    (4, Deed::Append),
    (22, Deed::Store),
    (8, Deed::Fetch),
    (5, Deed::Text),
    (9, Deed::Expunge),
    (4, Deed::UidExpunge),
    (4, Deed::Copy),
    (5, Deed::Move),
    (5, Deed::Replace),
    (12, Deed::Search),
    (5, Deed::Changes),
    (2, Deed::Status),
    (3, Deed::Batches),
    (2, Deed::Notify),
    (2, Deed::Subscribe),
    (2, Deed::Unauthenticate),
    (2, Deed::Create),
    (1, Deed::Delete),
    (1, Deed::Rename),
    (1, Deed::Close),
    (1, Deed::Unselect),
    (8, Deed::Idle),
    (2, Deed::Disconnect),
    (1, Deed::Clock),
    (14, Deed::Pair),
    (10, Deed::Crossing),
];

/// One turn of one client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) client: usize,
    pub(super) deed: Deed,
    /// Whatever else has to be drawn.
    pub(super) seed: u64,
}

/// The steps of a run.
pub(super) fn steps(seed: u64, clients: usize, count: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let all: usize = WEIGHTS.iter().map(|(weight, _)| weight).sum();
    let step = |_| {
        let mut at = dice.below(all);
        let deed = WEIGHTS.iter().find(|(weight, _)| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        Step { client: dice.below(clients), deed: deed.map_or(Deed::Noop, |(_, deed)| *deed), seed: dice.roll() }
    };
    (0..count).map(step).collect()
}

/// Draws the commands of a step.
pub(super) struct Draw<'a> {
    pub(super) dice: Dice,
    pub(super) client: &'a Client,
    pub(super) states: &'a [Saved],
    /// For the text of a message.
    pub(super) serial: usize,
    pub(super) limits: Limits,
}

/// What the second of two commands in one packet has to keep off, because the first changes it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Second {
    pub(super) no_numbers: bool,
    pub(super) no_saved: bool,
    pub(super) is: bool,
}

impl Draw<'_> {
    /// The commands of a deed: one or two, or none where there is nothing to do it to.
    pub(super) fn commands(&mut self, deed: Deed) -> Vec<Command> {
        if deed != Deed::Pair {
            return self.command(deed, Second::default()).into_iter().collect();
        }
        const PAIRED: [Deed; 9] = [
            Deed::Store,
            Deed::Fetch,
            Deed::Text,
            Deed::Expunge,
            Deed::UidExpunge,
            Deed::Copy,
            Deed::Move,
            Deed::Search,
            Deed::Append,
        ];
        let (first, second) = (self.dice.pick(&PAIRED), self.dice.pick(&PAIRED));
        let Some(first) = first.and_then(|deed| self.command(deed, Second::default())) else { return Vec::new() };
        // RFC 9051 §5.5: no sequence numbers after what may be answered with EXPUNGE.
        let saves = matches!(first, Command::Search { returns: Some(Returns { save: true, .. }), .. });
        let keep_off = Second { no_numbers: first.tells_expunges(), no_saved: saves, is: true };
        let second = second.and_then(|deed| self.command(deed, keep_off));
        std::iter::once(first).chain(second).collect()
    }

    fn command(&mut self, deed: Deed, second: Second) -> Option<Command> {
        let Some(selected) = &self.client.selected else { return self.without_mailbox(deed) };
        Some(match deed {
            Deed::Noop if self.dice.once_in(5) && !self.client.traits.rev2 => Command::Check,
            Deed::Learn => self.learn(selected)?,
            Deed::Store => self.store(selected, second)?,
            Deed::Fetch => self.fetch(selected, second)?,
            Deed::Text => {
                let what = if self.dice.once_in(3) { What::PeekText } else { What::Text };
                let target = self.target(selected, second)?;
                let partial = self.partial(&target);
                let since = self.client.has("CONDSTORE") && self.dice.once_in(5);
                let changed_since = since.then(|| self.modseq(selected).max(1));
                Command::Fetch { target, what, changed_since, vanished: None, partial }
            }
            Deed::Expunge => Command::Expunge { target: None },
            Deed::UidExpunge => Command::Expunge { target: Some(self.uid_target(selected, second)?) },
            Deed::Copy | Deed::Move => {
                let target = self.target(selected, second)?;
                Command::Copy { target, name: self.name(), moves: deed == Deed::Move }
            }
            Deed::Replace if self.client.has("REPLACE") => {
                let known: Vec<Option<u32>> = selected.belief.list().iter().map(|known| known.uid).collect();
                let place = self.dice.below(known.len());
                let uid = *known.get(place)?;
                let by_uid = self.client.traits.uid_only || second.no_numbers || self.dice.once_in(2);
                let written = if by_uid { uid?.to_string() } else { (place + 1).to_string() };
                let target = Target { written, uid: by_uid, uids: uid.into_iter().collect(), certain: uid.is_some() };
                Command::Replace { target, name: self.name(), message: self.message_in_parts(0) }
            }
            Deed::Search => self.search(selected, second)?,
            Deed::Changes => self.changes(selected)?,
            Deed::Batches if self.client.has("UIDBATCHES") => self.batches(selected),
            Deed::Close => Command::Close,
            Deed::Unselect => Command::Unselect,
            other => return self.without_mailbox(other),
        })
    }

    /// What can be done without a mailbox; else one is selected.
    fn without_mailbox(&mut self, deed: Deed) -> Option<Command> {
        Some(match deed {
            Deed::Noop => Command::Noop,
            Deed::Resync => return self.resync(),
            Deed::Append => {
                let more =
                    if self.client.has("MULTIAPPEND") && self.dice.once_in(3) { 1 + self.dice.below(2) } else { 0 };
                let messages = (0..=more).map(|nth| self.message_in_parts(nth)).collect();
                Command::Append { name: self.name(), messages }
            }
            Deed::Status => {
                let modseq = self.client.has("CONDSTORE") && self.dice.once_in(3);
                Command::Status { name: self.name(), modseq }
            }
            Deed::Notify if self.client.has("NOTIFY") && self.client.notify.is_some() => {
                Command::Notify(Notify::draw(&mut self.dice))
            }
            Deed::Subscribe => Command::Subscribe(self.name(), self.dice.once_in(2)),
            Deed::Create => Command::Create(self.dice.pick(&PASSING)?.into()),
            Deed::Delete => Command::Delete(self.dice.pick(&PASSING)?.into()),
            Deed::Rename => {
                let from = if self.dice.once_in(4) { "INBOX" } else { self.dice.pick(&PASSING)? };
                Command::Rename(from.into(), self.dice.pick(&PASSING)?.into())
            }
            _ => {
                let condstore = self.client.has("CONDSTORE") && self.dice.once_in(4);
                Command::Select(Opening { name: self.name(), read_only: self.dice.once_in(6), condstore, resync: None })
            }
        })
    }

    fn message(&mut self, nth: usize) -> New {
        let name = if nth == 0 { format!("m{}", self.serial) } else { format!("m{}.{nth}", self.serial) };
        New { flags: self.flags(), text: format!("Subject: {name}\r\n\r\n{name}\r\n"), parts: Vec::new() }
    }

    /// The same, now and then put together from messages that are there (RFC 4469).
    fn message_in_parts(&mut self, nth: usize) -> New {
        let message = self.message(nth);
        let Some(selected) = self.client.selected.as_ref().filter(|_| self.client.has("CATENATE")) else {
            return message;
        };
        let known: Vec<u32> = selected.belief.uids().collect();
        let Some(uid) = self.dice.pick(&known).filter(|_| self.dice.once_in(3)) else { return message };
        // RFC 5092 §5: one of another UIDVALIDITY names nothing.
        let stale = u32::from(self.dice.once_in(12));
        let url = |section| Part::Url {
            mailbox: selected.name.clone(),
            uid_validity: selected.uid_validity + stale,
            uid,
            section,
        };
        let parts = match self.dice.below(4) {
            0 => vec![url(Section::Whole)],
            1 => vec![Part::Text(message.text), url(Section::Text)],
            2 => vec![Part::Text(message.text), url(Section::Partial(self.dice.below(30), 1 + self.dice.below(9)))],
            _ => vec![url(Section::Whole), Part::Text(message.text), url(Section::Text)],
        };
        New { flags: message.flags, text: String::new(), parts }
    }

    /// Now and then only some positions of what is meant (RFC 9394).
    fn partial(&mut self, target: &Target) -> Option<(i64, i64)> {
        if !target.uid || !self.client.has("PARTIAL") || !self.dice.once_in(4) {
            return None;
        }
        let (a, b) = (1 + self.dice.below(6) as i64, 1 + self.dice.below(6) as i64);
        Some(if self.dice.once_in(2) { (a, b) } else { (-a, -b) })
    }

    fn batches(&mut self, selected: &Selected) -> Command {
        let most = selected.belief.len() + 2;
        let size = self.limits.batch.saturating_sub(1) as usize + self.dice.below(most.min(8));
        let (a, b) = (1 + self.dice.below(6) as u32, 1 + self.dice.below(6) as u32);
        let batches = self.dice.once_in(2).then_some((a.min(b), a.max(b)));
        Command::UidBatches { size: (size as u32).max(1), batches }
    }

    fn name(&mut self) -> String {
        let from: &[&str] = if self.dice.once_in(8) { &PASSING } else { &NAMES };
        self.dice.pick(from).unwrap_or("INBOX").to_owned()
    }

    fn flags(&mut self) -> Vec<&'static str> {
        let mut flags: Vec<&str> = (0..self.dice.below(3)).filter_map(|_| self.dice.pick(&FLAGS)).collect();
        flags.sort_unstable();
        flags.dedup();
        flags
    }

    /// Asks for what is not known yet, or for everything.
    fn learn(&mut self, selected: &Selected) -> Option<Command> {
        let belief = &selected.belief;
        let what = if self.client.aware { What::FlagsModSeq } else { What::UidFlags };
        if self.limits.any.is_some() {
            return Some(self.learn_some(selected, what));
        }
        let unknown = belief.list().iter().position(|known| known.uid.is_none() || known.flags.is_none());
        let uid = self.client.traits.uid_only || self.dice.once_in(2);
        let target = match unknown {
            Some(place) if !uid => Target { written: format!("{}:*", place + 1), ..Target::default() },
            Some(place) => {
                let before = belief.list().get(..place)?.iter().rev().find_map(|known| known.uid).unwrap_or(0);
                Target { written: format!("{}:*", before + 1), uid, ..Target::default() }
            }
            None if belief.len() == 0 && !uid => return Some(Command::Noop),
            None => Target { written: "1:*".into(), uid, uids: belief.uids().collect(), certain: belief.knows_uids() },
        };
        Some(Command::Fetch { target, what, changed_since: None, vanished: None, partial: None })
    }

    /// The same where one command cannot be about all: a page of them (RFC 9394), the first of which something is unknown.
    fn learn_some(&mut self, selected: &Selected, what: What) -> Command {
        let belief = &selected.belief;
        let most = self.limits.any.map_or(1, i64::from);
        let unknown = belief.list().iter().position(|known| known.uid.is_none() || known.flags.is_none());
        // With UIDONLY messages have no place: any page will do.
        let from = unknown.unwrap_or_else(|| self.dice.below(belief.len())) as i64 + 1;
        let uids = belief.uids().collect();
        let target = Target { written: "1:*".into(), uid: true, uids, certain: belief.knows_uids() };
        let partial = Some((from, from + most - 1));
        Command::Fetch { target, what, changed_since: None, vanished: None, partial }
    }

    fn store(&mut self, selected: &Selected, second: Second) -> Option<Command> {
        let target = self.target(selected, second)?;
        let sign = self.dice.pick(&["+", "+", "+", "-", "-", ""])?;
        let mut flags = self.flags();
        if flags.is_empty() && !sign.is_empty() {
            flags.push(self.dice.pick(&FLAGS)?);
        }
        let conditional = self.client.has("CONDSTORE") && self.dice.once_in(3);
        let unchanged_since = conditional.then(|| self.modseq(selected));
        Some(Command::Store { target, sign, silent: self.dice.once_in(2), flags, unchanged_since })
    }

    /// A mod-sequence of some message, or about as high as they are.
    fn modseq(&mut self, selected: &Selected) -> u64 {
        let known: Vec<u64> = selected.belief.list().iter().filter_map(|known| known.modseq).collect();
        match self.dice.below(8) {
            0 => self.dice.below(3) as u64,
            1..=3 => selected.point,
            _ => self.dice.pick(&known).unwrap_or(1),
        }
    }

    fn fetch(&mut self, selected: &Selected, second: Second) -> Option<Command> {
        let target = self.target(selected, second)?;
        let condstore = self.client.has("CONDSTORE");
        let what = match self.dice.below(4) {
            0 if condstore => What::FlagsModSeq,
            1 | 2 => What::UidFlags,
            _ => What::Flags,
        };
        let changed_since = (condstore && self.dice.once_in(5)).then(|| self.modseq(selected).max(1));
        let partial = self.partial(&target);
        Some(Command::Fetch { target, what, changed_since, vanished: None, partial })
    }

    /// RFC 7162 §3.2.6, the way of webmail: what changed since some state that was kept.
    fn changes(&mut self, selected: &Selected) -> Option<Command> {
        let here = |state: &&(usize, &Saved)| {
            Some(state.1.mailbox) == selected.mailbox && state.1.uid_validity == selected.uid_validity
        };
        let states: Vec<(usize, &Saved)> = self.states.iter().enumerate().collect();
        let states: Vec<(usize, &Saved)> = states.iter().filter(here).copied().collect();
        let (at, state) = self.dice.pick(&states)?;
        let uids: Vec<u32> = selected.belief.uids().collect();
        let target = Target { written: "1:*".into(), uid: true, uids, certain: selected.belief.knows_uids() };
        let vanished = self.client.traits.qresync.then_some(at);
        let (point, partial) = (state.point, self.partial(&target));
        self.client.has("CONDSTORE").then_some(Command::Fetch {
            target,
            what: What::Flags,
            changed_since: Some(point),
            vanished,
            partial,
        })
    }

    fn resync(&mut self) -> Option<Command> {
        if !self.client.traits.qresync || self.states.is_empty() {
            return Some(Command::Select(Opening { name: self.name(), ..Opening::default() }));
        }
        let at = self.dice.below(self.states.len());
        let state = self.states.get(at)?;
        let parameter = resync_parameter(state, &mut self.dice, self.client.traits.uid_only);
        let read_only = self.dice.once_in(6);
        Some(Command::Select(Opening {
            name: state.name.clone(),
            read_only,
            condstore: false,
            resync: Some((parameter, at)),
        }))
    }

    fn search(&mut self, selected: &Selected, second: Second) -> Option<Command> {
        let uid = self.client.traits.uid_only || self.dice.once_in(2);
        let key = self.key(selected, second, 2)?;
        let mut returns = Returns::default();
        for _ in 0..self.dice.below(4) {
            match self.dice.below(6) {
                0 => returns.min = true,
                1 => returns.max = true,
                2 => returns.all = true,
                3 => returns.count = true,
                _ => returns.save = true,
            }
        }
        if self.client.has("PARTIAL") && !returns.all && self.dice.once_in(4) {
            let (a, b) = (1 + self.dice.below(6) as i64, 1 + self.dice.below(6) as i64);
            returns.partial = Some(if self.dice.once_in(2) { (a, b) } else { (-a, -b) });
        }
        let asked = returns != Returns::default() || self.dice.once_in(4);
        Some(Command::Search { uid, key, returns: asked.then_some(returns) })
    }

    fn key(&mut self, selected: &Selected, second: Second, depth: usize) -> Option<Key> {
        Some(match self.dice.below(9) {
            0 => Key::All,
            1 | 2 => Key::Among(self.target(selected, second)?),
            3 if depth > 0 => Key::Not(Box::new(self.key(selected, second, depth - 1)?)),
            4 if depth > 0 => {
                let (a, b) = (self.key(selected, second, depth - 1)?, self.key(selected, second, depth - 1)?);
                Key::Or(Box::new(a), Box::new(b))
            }
            5 if self.client.has("CONDSTORE") => Key::ModSeq(self.modseq(selected).max(1)),
            _ => Key::Flag(self.dice.pick(&FLAGS)?, self.dice.once_in(2)),
        })
    }
}

/// `QRESYNC (…)` for a state, in one of its forms (RFC 7162 §3.2.5).
pub(super) fn resync_parameter(state: &Saved, dice: &mut Dice, uid_only: bool) -> String {
    let Saved { uid_validity, point, list, .. } = state;
    let uids: columba_types::UidSet = list.iter().filter_map(|known| known.uid).collect();
    let known = match dice.below(3) {
        0 if !uids.is_empty() => format!(" {uids}"),
        1 if !uids.is_empty() => format!(" 1:{}", uids.last().unwrap_or(1)),
        _ => String::new(),
    };
    let mut samples = String::new();
    if !uid_only && !known.is_empty() && dice.once_in(2) {
        let places: Vec<usize> = (0..list.len()).filter(|_| dice.once_in(3)).collect();
        if !places.is_empty() {
            let numbers: columba_types::UidSet = places.iter().map(|place| *place as u32 + 1).collect();
            let sampled: columba_types::UidSet = places.iter().filter_map(|place| list[*place].uid).collect();
            samples = format!(" ({numbers} {sampled})");
        }
    }
    format!("QRESYNC ({uid_validity} {point}{known}{samples})")
}

//! What each command does to the account and what has to be answered, by the letter of the RFCs, from what the client that
//! gives it believes. Nothing of a server is known here.

use std::collections::BTreeMap;

use columba_types::{MailboxId, MessageId};

use super::answer::Flags;
use super::command::{Command, New, Part, Section, Target, What};
use super::search::{Key, page};
use super::truth::{Row, Truth};

/// What is known of the texts of messages.
pub(super) type Texts = BTreeMap<MessageId, Option<String>>;

/// How many messages one command may be about (RFC 9738), and how few a batch may have (RFC 10022).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) any: Option<u32>,
    pub(super) saving: Option<u32>,
    pub(super) batch: u32,
}

/// Where a client sits that gives a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat<'a> {
    pub(super) mailbox: Option<MailboxId>,
    pub(super) read_only: bool,
    /// Those it knows to be in the mailbox, rising.
    pub(super) known: &'a [u32],
    pub(super) limits: Limits,
    pub(super) texts: &'a Texts,
}

/// Whether MESSAGELIMIT is told: the limit, and the lowest UID that was within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Limited {
    #[default]
    No,
    Yes(u32, Option<u32>),
    /// The client knows too little to say.
    Unknown,
}

/// What has to come of a command.
#[derive(Clone, Debug, Default)]
pub(super) struct Foreseen {
    /// OK, NO or either.
    pub(super) words: &'static [&'static str],
    /// The code of the tagged answer: name and words.
    pub(super) code: Option<(&'static str, Vec<String>)>,
    /// COPYUID of a MOVE comes untagged.
    pub(super) untagged: Option<(&'static str, Vec<String>)>,
    pub(super) limited: Limited,
    /// Messages that have to be told of, and with their flags.
    pub(super) told: Vec<u32>,
    /// The same, with their mod-sequence at least.
    pub(super) told_modseq: Vec<u32>,
    /// Messages that fail UNCHANGEDSINCE.
    pub(super) modified: Vec<u32>,
    /// The messages whose text has to come.
    pub(super) texts: Vec<u32>,
    /// What is found, by UID.
    pub(super) found: Option<Vec<u32>>,
    /// The ranges of UIDBATCHES.
    pub(super) batches: Option<Vec<(u32, u32)>>,
    /// Numbers of STATUS.
    pub(super) status: Vec<(&'static str, u64)>,
    /// The texts of messages that are made, as far as they are known.
    pub(super) made: Vec<Option<String>>,
}

const OK: &[&str] = &["OK"];
const NO: &[&str] = &["NO"];
const EITHER: &[&str] = &["OK", "NO"];

impl Seat<'_> {
    /// Whom a target means by the time its command runs.
    fn meant(&self, target: &Target) -> Vec<u32> {
        target.uids.iter().copied().filter(|uid| self.known.contains(uid)).collect()
    }
}

impl Limits {
    /// Those a command is about: the highest, as many as it may be about (RFC 9738 §3.1).
    fn within(limit: Option<u32>, mut uids: Vec<u32>) -> (Vec<u32>, Limited) {
        match limit {
            Some(limit) if uids.len() > limit as usize => {
                let about = uids.split_off(uids.len() - limit as usize);
                let lowest = about.first().copied();
                (about, Limited::Yes(limit, lowest))
            }
            _ => (uids, Limited::No),
        }
    }

    fn to_save(self) -> Option<u32> {
        self.saving.or(self.any)
    }
}

impl Command {
    /// What comes of it. `truth` becomes what it will be. `None`: the client knows too little to say.
    pub(super) fn foresee(&self, truth: &mut Truth, seat: Seat<'_>) -> Option<Foreseen> {
        let ok = || Foreseen { words: OK, ..Foreseen::default() };
        let no = || Foreseen { words: NO, ..Foreseen::default() };
        Some(match self {
            Self::Select(opening) if !truth.names.contains_key(&opening.name) => no(),
            Self::Noop | Self::Check | Self::Select(_) | Self::Unselect => ok(),
            Self::Notify(_) | Self::Unauthenticate => ok(),
            Self::Close => {
                if !seat.read_only {
                    expunge(truth, seat.mailbox?, None);
                }
                ok()
            }
            Self::Append { name, messages } => match truth.named(name).map(|(id, _)| id) {
                None => Foreseen { code: Some(("TRYCREATE", Vec::new())), ..no() },
                Some(id) => foresee_append(truth, id, messages, seat)?,
            },
            Self::Replace { .. } if seat.read_only => no(),
            Self::Replace { target, name, message } => foresee_replace(truth, seat, target, name, message)?,
            Self::Store { .. } | Self::Expunge { .. } | Self::Copy { moves: true, .. } if seat.read_only => no(),
            Self::Store { .. } => self.foresee_store(truth, seat)?,
            Self::Fetch { .. } => self.foresee_fetch(truth, seat)?,
            Self::Expunge { target: None } => {
                expunge(truth, seat.mailbox?, None);
                ok()
            }
            Self::Expunge { target: Some(target) } => {
                if !target.certain {
                    return None;
                }
                // RFC 9738 §3.1: what is \Deleted counts, and EXPUNGE is never limited.
                let state = truth.state(seat.mailbox?)?;
                let deleted = |uid: &u32| state.rows.get(uid).is_some_and(|row| row.flags.contains("\\deleted"));
                let deleted = target.uids.iter().copied().filter(deleted).collect();
                let (uids, limited) = Limits::within(seat.limits.any, deleted);
                expunge(truth, seat.mailbox?, Some(&uids));
                Foreseen { limited, ..ok() }
            }
            Self::Copy { target, name, moves } => foresee_copy(truth, seat, target, name, *moves)?,
            Self::Search { key, .. } => foresee_search(truth, seat, key)?,
            Self::UidBatches { size, batches } => foresee_batches(seat, *size, *batches),
            Self::Status { name, modseq } => match truth.named(name) {
                None => no(),
                Some((_, state)) => {
                    let unseen = state.rows.values().filter(|row| !row.flags.contains("\\seen")).count();
                    let mut status = vec![
                        ("MESSAGES", state.rows.len() as u64),
                        ("UIDNEXT", state.uid_next.into()),
                        ("UIDVALIDITY", state.uid_validity.into()),
                        ("UNSEEN", unseen as u64),
                        ("SIZE", state.rows.values().map(|row| row.size).sum()),
                    ];
                    if *modseq {
                        status.push(("HIGHESTMODSEQ", state.highest));
                    }
                    Foreseen { status, ..ok() }
                }
            },
            Self::Create(name) | Self::Delete(name) if truth.has_levels(name) => return None,
            Self::Rename(from, to) if truth.has_levels(from) || truth.has_levels(to) => return None,
            Self::Create(name) if truth.names.contains_key(name) => no(),
            Self::Create(_) => ok(),
            Self::Delete(name) => match truth.names.remove(name) {
                None => no(),
                Some(id) => {
                    truth.boxes.remove(&id);
                    ok()
                }
            },
            Self::Rename(from, to) => foresee_rename(truth, from, to),
            // RFC 9051 §6.3.7, §6.3.8: an existing subscription needs no mailbox.
            Self::Subscribe(name, true) if !truth.names.contains_key(name) => no(),
            Self::Subscribe(name, on) => {
                match on {
                    true => truth.subscribed.insert(name.clone()),
                    false => truth.subscribed.remove(name),
                };
                ok()
            }
        })
    }

    fn foresee_store(&self, truth: &mut Truth, seat: Seat<'_>) -> Option<Foreseen> {
        let mailbox = seat.mailbox?;
        let Self::Store { target, sign, silent, flags, unchanged_since } = self else { return None };
        if !target.certain {
            return None;
        }
        let (meant, limited) = Limits::within(seat.limits.any, seat.meant(target));
        let there = there(truth, mailbox, &meant);
        let state = truth.state_mut(mailbox)?;
        if unchanged_since.is_some() && there.iter().any(|uid| state.rows[uid].modseq == 0) {
            return None;
        }
        let given: Flags = flags.iter().map(|flag| flag.to_ascii_lowercase()).collect();
        // RFC 7162 §3.1.3: each message is tested on its own.
        let fails = |uid: &u32| unchanged_since.is_some_and(|since| state.rows[uid].modseq > since);
        let (modified, stored): (Vec<u32>, Vec<u32>) = there.iter().partition(|uid| fails(uid));
        for uid in &stored {
            let Some(row) = state.rows.get_mut(uid) else { continue };
            row.modseq = 0;
            row.flags = match *sign {
                "+" => row.flags.union(&given).cloned().collect(),
                "-" => row.flags.difference(&given).cloned().collect(),
                _ => given.clone(),
            };
        }
        let code = (!modified.is_empty()).then(|| ("MODIFIED", Vec::new()));
        let told = if *silent { Vec::new() } else { stored.clone() };
        let told_modseq = if unchanged_since.is_some() { stored } else { Vec::new() };
        let words = if there.len() == meant.len() { OK } else { EITHER };
        Some(Foreseen { words, code, limited, told, told_modseq, modified, ..Foreseen::default() })
    }

    fn foresee_fetch(&self, truth: &mut Truth, seat: Seat<'_>) -> Option<Foreseen> {
        let Self::Fetch { target, what, changed_since, partial, .. } = self else { return None };
        if !target.certain {
            return None;
        }
        let mailbox = seat.mailbox?;
        if let (Some((first, last)), Some(limit)) = (partial, seat.limits.any)
            && first.abs_diff(*last) >= limit.into()
        {
            // RFC 9738 §3.1
            return Some(Foreseen { words: NO, limited: Limited::Yes(limit, None), ..Foreseen::default() });
        }
        // RFC 9394 §3.4: the page comes first, then what changed of it.
        let meant = seat.meant(target);
        let meant = partial.map_or_else(|| meant.clone(), |range| page(&meant, range));
        let all = there(truth, mailbox, &meant);
        let state = truth.state_mut(mailbox)?;
        if changed_since.is_some() && all.iter().any(|uid| state.rows[uid].modseq == 0) {
            return None;
        }
        let changed = |uid: &u32| {
            let modseq = state.rows.get(uid).map_or(0, |row| row.modseq);
            changed_since.is_none_or(|since| modseq > since)
        };
        let (about, limited) = Limits::within(seat.limits.any, meant.iter().copied().filter(changed).collect());
        let told: Vec<u32> = about.iter().copied().filter(|uid| all.contains(uid)).collect();
        let words = if all.len() == meant.len() { OK } else { EITHER };
        if *what == What::Text && !seat.read_only {
            for uid in &told {
                let Some(row) = state.rows.get_mut(uid) else { continue };
                row.modseq = 0;
                row.flags.insert("\\seen".into());
            }
        }
        Some(match what {
            What::Text | What::PeekText => Foreseen { words, limited, texts: told, ..Foreseen::default() },
            What::FlagsModSeq => {
                Foreseen { words, limited, told: told.clone(), told_modseq: told, ..Foreseen::default() }
            }
            What::Flags | What::UidFlags => {
                // RFC 7162 §3.1.4.1: CHANGEDSINCE asks for MODSEQ too.
                let told_modseq = if changed_since.is_some() { told.clone() } else { Vec::new() };
                Foreseen { words, limited, told, told_modseq, ..Foreseen::default() }
            }
        })
    }
}

/// Those of them that are there.
fn there(truth: &Truth, mailbox: MailboxId, uids: &[u32]) -> Vec<u32> {
    let state = truth.state(mailbox);
    uids.iter().copied().filter(|uid| state.is_some_and(|state| state.rows.contains_key(uid))).collect()
}

fn expunge(truth: &mut Truth, mailbox: MailboxId, uids: Option<&[u32]>) {
    if let Some(state) = truth.state_mut(mailbox) {
        let named = |uid: &u32| uids.is_none_or(|uids| uids.contains(uid));
        state.rows.retain(|uid, row| !(row.flags.contains("\\deleted") && named(uid)));
    }
}

fn set(uids: &[u32]) -> String {
    uids.iter().copied().collect::<columba_types::UidSet>().to_string()
}

fn foresee_search(truth: &Truth, seat: Seat<'_>, key: &Key) -> Option<Foreseen> {
    let state = truth.state(seat.mailbox?)?;
    // RFC 9738 §3.1: what is looked at counts, which UIDs that stand outright narrow.
    let scope = seat.known.iter().copied().filter(|uid| key.may_hold(*uid)).collect();
    let (scope, limited) = Limits::within(seat.limits.any, scope);
    let holds = |uid: &u32| state.rows.get(uid).is_some_and(|row| key.holds(*uid, row));
    let found = scope.into_iter().filter(holds).collect();
    let stamped = !key.asks_modseq() || state.rows.values().all(|row| row.modseq > 0);
    let certain = key.certain();
    let limited = if certain { limited } else { Limited::Unknown };
    Some(Foreseen { words: OK, limited, found: (certain && stamped).then_some(found), ..Foreseen::default() })
}

/// RFC 10022 §3.1: ranges of as many messages each, from the highest UID down; the last one ends at 1.
fn foresee_batches(seat: Seat<'_>, size: u32, batches: Option<(u32, u32)>) -> Foreseen {
    if size < seat.limits.batch {
        return Foreseen { words: NO, code: Some(("TOOFEW", Vec::new())), ..Foreseen::default() };
    }
    let falling: Vec<u32> = seat.known.iter().rev().copied().collect();
    let mut ranges: Vec<(u32, u32)> = falling
        .chunks(size as usize)
        .map(|batch| (batch.first().copied().unwrap_or(1), batch.last().copied().unwrap_or(1)))
        .collect();
    if let Some(last) = ranges.last_mut() {
        last.1 = 1;
    }
    if let Some((first, last)) = batches {
        ranges = ranges.into_iter().take(last as usize).skip(first as usize - 1).collect();
    }
    Foreseen { words: OK, batches: Some(ranges), ..Foreseen::default() }
}

fn foresee_copy(truth: &mut Truth, seat: Seat<'_>, target: &Target, to: &str, moves: bool) -> Option<Foreseen> {
    if !target.certain {
        return None;
    }
    let limit = if moves { seat.limits.any } else { seat.limits.to_save() };
    let (meant, limited) = Limits::within(limit, seat.meant(target));
    if !moves && limited != Limited::No {
        // RFC 9738 §3.1: COPY is all or nothing.
        return Some(Foreseen { words: NO, limited, ..Foreseen::default() });
    }
    let Some((to, _)) = truth.named(to) else {
        return Some(Foreseen { words: NO, code: Some(("TRYCREATE", Vec::new())), ..Foreseen::default() });
    };
    let from = seat.mailbox?;
    let there = there(truth, from, &meant);
    let rows: Vec<Row> = there.iter().filter_map(|uid| truth.state(from)?.rows.get(uid).cloned()).collect();
    if moves && let Some(state) = truth.state_mut(from) {
        state.rows.retain(|uid, _| !there.contains(uid));
    }
    let state = truth.state_mut(to)?;
    let new: Vec<u32> = rows.into_iter().map(|row| state.add(row)).collect();
    let words = if there.len() == meant.len() { OK } else { EITHER };
    // RFC 4315 §3, RFC 6851 §4.3
    let code = (!there.is_empty()).then(|| ("COPYUID", vec![state.uid_validity.to_string(), set(&there), set(&new)]));
    let (code, untagged) = if moves { (None, code) } else { (code, None) };
    Some(Foreseen { words, code, untagged, limited, ..Foreseen::default() })
}

impl New {
    /// Its octets, as far as they are known; or that a URL names nothing (RFC 4469 §4.1).
    fn put_together(&self, truth: &Truth, texts: &Texts) -> Result<Option<String>, ()> {
        if self.parts.is_empty() {
            return Ok(Some(self.text.clone()));
        }
        let mut whole = Some(String::new());
        for part in &self.parts {
            let text = match part {
                Part::Text(text) => Some(text.as_str()),
                Part::Url { mailbox, uid_validity, uid, section } => {
                    let state = truth.named(mailbox).map(|(_, state)| state);
                    let state = state.filter(|state| state.uid_validity == *uid_validity).ok_or(())?;
                    let row = state.rows.get(uid).ok_or(())?;
                    let text = texts.get(&row.message).and_then(Option::as_deref);
                    text.map(|text| match section {
                        Section::Whole => text,
                        Section::Text => text.split_once("\r\n\r\n").map_or("", |(_, body)| body),
                        Section::Partial(from, count) => {
                            let from = (*from).min(text.len());
                            &text[from..(from + count).min(text.len())]
                        }
                    })
                }
            };
            whole = whole.zip(text).map(|(whole, text)| whole + text);
        }
        Ok(whole)
    }
}

fn row(new: &New, text: &str) -> Row {
    let flags = new.flags.iter().map(|flag| flag.to_ascii_lowercase()).collect();
    Row { flags, message: MessageId(0), size: text.len() as u64, modseq: 0 }
}

/// RFC 3502, RFC 4469: all of them or none.
fn foresee_append(truth: &mut Truth, to: MailboxId, messages: &[New], seat: Seat<'_>) -> Option<Foreseen> {
    let too_many = seat.limits.to_save().filter(|limit| messages.len() > *limit as usize);
    let mut made = Vec::new();
    for new in messages {
        match new.put_together(truth, seat.texts) {
            Ok(text) => made.push(text),
            Err(()) if too_many.is_some() => {
                return Some(Foreseen { words: NO, limited: Limited::Unknown, ..Foreseen::default() });
            }
            Err(()) => {
                return Some(Foreseen { words: NO, code: Some(("BADURL", Vec::new())), ..Foreseen::default() });
            }
        }
    }
    if let Some(limit) = too_many {
        return Some(Foreseen { words: NO, limited: Limited::Yes(limit, None), ..Foreseen::default() });
    }
    let words = append(truth, to, messages, &made)?;
    Some(Foreseen { words: OK, code: Some(("APPENDUID", words)), made, ..Foreseen::default() })
}

/// Adds messages; the words of APPENDUID.
fn append(truth: &mut Truth, to: MailboxId, messages: &[New], texts: &[Option<String>]) -> Option<Vec<String>> {
    let rows: Option<Vec<Row>> = messages.iter().zip(texts).map(|(new, text)| Some(row(new, text.as_ref()?))).collect();
    let rows = rows?;
    let state = truth.state_mut(to)?;
    let uids: Vec<u32> = rows.into_iter().map(|row| state.add(row)).collect();
    Some(vec![state.uid_validity.to_string(), set(&uids)])
}

/// RFC 8508 §4: one comes, and one goes; APPENDUID is untagged.
fn foresee_replace(truth: &mut Truth, seat: Seat<'_>, target: &Target, to: &str, new: &New) -> Option<Foreseen> {
    if !target.certain {
        return None;
    }
    let no = |code| Foreseen { words: NO, code, ..Foreseen::default() };
    let from = seat.mailbox?;
    let there = there(truth, from, &target.uids);
    let Some(to) = truth.named(to).map(|(id, _)| id).filter(|_| !there.is_empty()) else {
        return Some(no(None));
    };
    let Ok(text) = new.put_together(truth, seat.texts) else { return Some(no(Some(("BADURL", Vec::new())))) };
    truth.state_mut(from)?.rows.retain(|uid, _| !there.contains(uid));
    let made = vec![text];
    let words = append(truth, to, std::slice::from_ref(new), &made)?;
    Some(Foreseen { words: OK, untagged: Some(("APPENDUID", words)), made, ..Foreseen::default() })
}

fn foresee_rename(truth: &mut Truth, from: &str, to: &str) -> Foreseen {
    let moved = truth.names.get(from).copied().filter(|_| !truth.names.contains_key(to));
    let Some(id) = moved else { return Foreseen { words: NO, ..Foreseen::default() } };
    if from == "INBOX" {
        // RFC 9051 §6.3.6: INBOX stays, without its messages. Where they went is looked at by what is told of it.
        if let Some(state) = truth.state_mut(id) {
            state.rows.clear();
        }
    } else {
        truth.names.remove(from);
        truth.names.insert(to.to_owned(), id);
    }
    Foreseen { words: OK, ..Foreseen::default() }
}

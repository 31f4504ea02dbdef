//! The commands that clients of a run give, and what each does to the account: foreseen by the letter of the RFCs, from
//! what the client that gives it believes. Nothing of a server is known here.

use columba_types::MailboxId;

use super::answer::Flags;
use super::search::{Key, Returns};
use super::truth::{Row, Truth};

/// Messages a command names.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// As it is sent.
    pub(super) written: String,
    pub(super) uid: bool,
    /// Whom it means, rising, as far as the client knows.
    pub(super) uids: Vec<u32>,
    /// Whether the client knows all it means.
    pub(super) certain: bool,
}

/// What FETCH asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Flags,
    UidFlags,
    FlagsModSeq,
    /// BODY[TEXT], which makes \Seen.
    Text,
    PeekText,
}

/// A message that is sent.
#[derive(Clone, Debug)]
pub(super) struct New {
    pub(super) flags: Vec<&'static str>,
    pub(super) text: String,
}

impl New {
    fn script(&self) -> String {
        format!("({}) {{+\"{}\"}}", self.flags.join(" "), self.text.replace("\r\n", "\\r\\n"))
    }

    fn wire(&self) -> String {
        format!("({}) {{{}+}}\r\n{}", self.flags.join(" "), self.text.len(), self.text)
    }

    fn row(&self) -> Row {
        let flags = self.flags.iter().map(|flag| flag.to_ascii_lowercase()).collect();
        Row { flags, message: columba_types::MessageId(0), size: self.text.len() as u64, modseq: 0 }
    }
}

/// How a mailbox is opened.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    pub(super) name: String,
    pub(super) read_only: bool,
    pub(super) condstore: bool,
    /// The parameter of QRESYNC, and which saved state it is about.
    pub(super) resync: Option<(String, usize)>,
}

/// A command.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Noop,
    Check,
    Select(Opening),
    Close,
    Unselect,
    /// One message, or several at once (RFC 3502).
    Append {
        name: String,
        messages: Vec<New>,
    },
    /// RFC 8508
    Replace {
        target: Target,
        name: String,
        message: New,
    },
    Store {
        target: Target,
        sign: &'static str,
        silent: bool,
        flags: Vec<&'static str>,
        unchanged_since: Option<u64>,
    },
    Fetch {
        target: Target,
        what: What,
        changed_since: Option<u64>,
        vanished: Option<usize>,
    },
    Expunge {
        target: Option<Target>,
    },
    Copy {
        target: Target,
        name: String,
        moves: bool,
    },
    Search {
        uid: bool,
        key: Key,
        returns: Option<Returns>,
    },
    Status {
        name: String,
        modseq: bool,
    },
    Create(String),
    Delete(String),
    Rename(String, String),
    Notify(String),
}

/// Where a client sits that gives a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) mailbox: Option<MailboxId>,
    pub(super) read_only: bool,
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
    /// Numbers of STATUS.
    pub(super) status: Vec<(&'static str, u64)>,
}

const OK: &[&str] = &["OK"];
const NO: &[&str] = &["NO"];
const EITHER: &[&str] = &["OK", "NO"];

impl Target {
    fn prefix(&self) -> &'static str {
        if self.uid { "UID " } else { "" }
    }

    /// Those of them that are there.
    fn there<'a>(&'a self, truth: &'a Truth, mailbox: MailboxId) -> impl Iterator<Item = u32> + 'a {
        let state = truth.state(mailbox);
        self.uids.iter().copied().filter(move |uid| state.is_some_and(|state| state.rows.contains_key(uid)))
    }
}

impl Command {
    /// The command's line, without tag and line end.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Noop => "NOOP".into(),
            Self::Check => "CHECK".into(),
            Self::Select(opening) => opening.written(),
            Self::Close => "CLOSE".into(),
            Self::Unselect => "UNSELECT".into(),
            Self::Append { .. } | Self::Replace { .. } => self.sending(New::script),
            Self::Store { target, sign, silent, flags, unchanged_since } => {
                let since = unchanged_since.map_or(String::new(), |n| format!("(UNCHANGEDSINCE {n}) "));
                let silent = if *silent { ".SILENT" } else { "" };
                let (uid, set, flags) = (target.prefix(), &target.written, flags.join(" "));
                format!("{uid}STORE {set} {since}{sign}FLAGS{silent} ({flags})")
            }
            Self::Fetch { target, what, changed_since, vanished } => {
                let items = match what {
                    What::Flags => "(FLAGS)",
                    What::UidFlags => "(UID FLAGS)",
                    What::FlagsModSeq => "(UID FLAGS MODSEQ)",
                    What::Text => "BODY[TEXT]",
                    What::PeekText => "BODY.PEEK[TEXT]",
                };
                let vanished = if vanished.is_some() { " VANISHED" } else { "" };
                let since = changed_since.map_or(String::new(), |n| format!(" (CHANGEDSINCE {n}{vanished})"));
                format!("{}FETCH {} {items}{since}", target.prefix(), target.written)
            }
            Self::Expunge { target: None } => "EXPUNGE".into(),
            Self::Expunge { target: Some(target) } => format!("UID EXPUNGE {}", target.written),
            Self::Copy { target, name, moves } => {
                format!("{}{} {} {name}", target.prefix(), if *moves { "MOVE" } else { "COPY" }, target.written)
            }
            Self::Search { uid, key, returns } => {
                let returns = returns.map_or(String::new(), Returns::written);
                format!("{}SEARCH {returns}{}", if *uid { "UID " } else { "" }, key.written())
            }
            Self::Status { name, modseq } => {
                let modseq = if *modseq { " HIGHESTMODSEQ" } else { "" };
                format!("STATUS {name} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE{modseq})")
            }
            Self::Create(name) => format!("CREATE {name}"),
            Self::Delete(name) => format!("DELETE {name}"),
            Self::Rename(from, to) => format!("RENAME {from} {to}"),
            Self::Notify(written) => written.clone(),
        }
    }

    /// The line as it goes over the wire, its literals in it.
    pub(super) fn wire(&self) -> String {
        match self {
            Self::Append { .. } | Self::Replace { .. } => self.sending(New::wire),
            _ => self.written(),
        }
    }

    fn sending(&self, message: fn(&New) -> String) -> String {
        match self {
            Self::Append { name, messages } => {
                let messages: Vec<String> = messages.iter().map(message).collect();
                format!("APPEND {name} {}", messages.join(" "))
            }
            Self::Replace { target, name, message: new } => {
                format!("{}REPLACE {} {name} {}", target.prefix(), target.written, message(new))
            }
            _ => String::new(),
        }
    }

    /// Whether it may change other mailboxes than the selected one, of which its client is not told then.
    pub(super) fn reaches_others(&self) -> bool {
        matches!(
            self,
            Self::Append { .. }
                | Self::Replace { .. }
                | Self::Copy { .. }
                | Self::Create(_)
                | Self::Delete(_)
                | Self::Rename(..)
                | Self::Select(_)
                | Self::Close
                | Self::Unselect
        )
    }

    /// The texts of messages it brings.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Append { messages, .. } => messages.iter().map(|message| message.text.as_str()).collect(),
            Self::Replace { message, .. } => vec![&message.text],
            _ => Vec::new(),
        }
    }

    /// Whether EXPUNGE may be told while it runs (RFC 9051 §7.5.1, RFC 7162 §3.2.10.2).
    pub(super) fn tells_expunges(&self) -> bool {
        match self {
            Self::Store { target, .. } | Self::Fetch { target, .. } => target.uid,
            Self::Search { uid, key, .. } => *uid && !key.numbered(),
            Self::Select(_) | Self::Close | Self::Unselect => false,
            _ => true,
        }
    }

    /// What comes of it. `truth` becomes what it will be. `None`: the client knows too little to say.
    pub(super) fn foresee(&self, truth: &mut Truth, seat: Seat, known: &[u32]) -> Option<Foreseen> {
        let ok = || Foreseen { words: OK, ..Foreseen::default() };
        let no = || Foreseen { words: NO, ..Foreseen::default() };
        Some(match self {
            Self::Select(opening) if !truth.names.contains_key(&opening.name) => no(),
            Self::Noop | Self::Check | Self::Select(_) | Self::Unselect | Self::Notify(_) => ok(),
            Self::Close => {
                if !seat.read_only {
                    expunge(truth, seat.mailbox?, None);
                }
                ok()
            }
            Self::Append { name, messages } => match truth.named(name).map(|(id, _)| id) {
                None => Foreseen { code: Some(("TRYCREATE", Vec::new())), ..no() },
                Some(id) => Foreseen { code: Some(("APPENDUID", append(truth, id, messages)?)), ..ok() },
            },
            Self::Replace { .. } if seat.read_only => no(),
            Self::Replace { target, name, message } => foresee_replace(truth, seat.mailbox?, target, name, message)?,
            Self::Store { .. } | Self::Expunge { .. } | Self::Copy { moves: true, .. } if seat.read_only => no(),
            Self::Store { .. } => self.foresee_store(truth, seat.mailbox?)?,
            Self::Fetch { .. } => self.foresee_fetch(truth, seat)?,
            Self::Expunge { target } => {
                let certain = target.as_ref().is_none_or(|target| target.certain);
                if !certain {
                    return None;
                }
                expunge(truth, seat.mailbox?, target.as_ref());
                ok()
            }
            Self::Copy { target, name, moves } => foresee_copy(truth, seat.mailbox?, target, name, *moves)?,
            Self::Search { key, .. } => {
                let state = truth.state(seat.mailbox?)?;
                let holds = |uid: &u32| state.rows.get(uid).is_some_and(|row| key.holds(*uid, row));
                let found = known.iter().copied().filter(holds).collect();
                let stamped = !key.asks_modseq() || state.rows.values().all(|row| row.modseq > 0);
                Foreseen { found: (key.certain() && stamped).then_some(found), ..ok() }
            }
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
            Self::Create(name) => {
                if truth.names.contains_key(name) {
                    no()
                } else {
                    ok()
                }
            }
            Self::Delete(name) => match truth.names.remove(name) {
                None => no(),
                Some(id) => {
                    truth.boxes.remove(&id);
                    ok()
                }
            },
            Self::Rename(from, to) => foresee_rename(truth, from, to),
        })
    }

    fn foresee_store(&self, truth: &mut Truth, mailbox: MailboxId) -> Option<Foreseen> {
        let Self::Store { target, sign, silent, flags, unchanged_since } = self else { return None };
        if !target.certain {
            return None;
        }
        let there: Vec<u32> = target.there(truth, mailbox).collect();
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
        let words = if there.len() == target.uids.len() { OK } else { EITHER };
        Some(Foreseen { words, code, told, told_modseq, modified, ..Foreseen::default() })
    }

    fn foresee_fetch(&self, truth: &mut Truth, seat: Seat) -> Option<Foreseen> {
        let Self::Fetch { target, what, changed_since, .. } = self else { return None };
        if !target.certain {
            return None;
        }
        let mailbox = seat.mailbox?;
        let there: Vec<u32> = target.there(truth, mailbox).collect();
        let words = if there.len() == target.uids.len() { OK } else { EITHER };
        let state = truth.state_mut(mailbox)?;
        if changed_since.is_some() && there.iter().any(|uid| state.rows[uid].modseq == 0) {
            return None;
        }
        let changed = |uid: &u32| changed_since.is_none_or(|since| state.rows[uid].modseq > since);
        let told: Vec<u32> = there.into_iter().filter(changed).collect();
        if *what == What::Text && !seat.read_only {
            for uid in &told {
                let Some(row) = state.rows.get_mut(uid) else { continue };
                row.modseq = 0;
                row.flags.insert("\\seen".into());
            }
        }
        Some(match what {
            What::Text | What::PeekText => Foreseen { words, texts: told, ..Foreseen::default() },
            What::FlagsModSeq => Foreseen { words, told: told.clone(), told_modseq: told, ..Foreseen::default() },
            What::Flags | What::UidFlags => {
                // RFC 7162 §3.1.4.1: CHANGEDSINCE asks for MODSEQ too.
                let told_modseq = if changed_since.is_some() { told.clone() } else { Vec::new() };
                Foreseen { words, told, told_modseq, ..Foreseen::default() }
            }
        })
    }
}

impl Opening {
    fn written(&self) -> String {
        let verb = if self.read_only { "EXAMINE" } else { "SELECT" };
        let parameter = match (&self.resync, self.condstore) {
            (Some((parameter, _)), _) => format!(" ({parameter})"),
            (None, true) => " (CONDSTORE)".into(),
            (None, false) => String::new(),
        };
        format!("{verb} {}{parameter}", self.name)
    }
}

fn expunge(truth: &mut Truth, mailbox: MailboxId, target: Option<&Target>) {
    if let Some(state) = truth.state_mut(mailbox) {
        let named = |uid: &u32| target.is_none_or(|target| target.uids.contains(uid));
        state.rows.retain(|uid, row| !(row.flags.contains("\\deleted") && named(uid)));
    }
}

fn set(uids: &[u32]) -> String {
    uids.iter().copied().collect::<columba_types::UidSet>().to_string()
}

fn foresee_copy(truth: &mut Truth, from: MailboxId, target: &Target, to: &str, moves: bool) -> Option<Foreseen> {
    if !target.certain {
        return None;
    }
    let Some((to, _)) = truth.named(to) else {
        return Some(Foreseen { words: NO, code: Some(("TRYCREATE", Vec::new())), ..Foreseen::default() });
    };
    let there: Vec<u32> = target.there(truth, from).collect();
    let rows: Vec<Row> = there.iter().filter_map(|uid| truth.state(from)?.rows.get(uid).cloned()).collect();
    if moves && let Some(state) = truth.state_mut(from) {
        state.rows.retain(|uid, _| !there.contains(uid));
    }
    let state = truth.state_mut(to)?;
    let new: Vec<u32> = rows.into_iter().map(|row| state.add(row)).collect();
    let words = if there.len() == target.uids.len() { OK } else { EITHER };
    // RFC 4315 §3, RFC 6851 §4.3
    let code = (!there.is_empty()).then(|| ("COPYUID", vec![state.uid_validity.to_string(), set(&there), set(&new)]));
    Some(match moves {
        true => Foreseen { words, untagged: code, ..Foreseen::default() },
        false => Foreseen { words, code, ..Foreseen::default() },
    })
}

/// Adds messages; the words of APPENDUID.
fn append(truth: &mut Truth, to: MailboxId, messages: &[New]) -> Option<Vec<String>> {
    let state = truth.state_mut(to)?;
    let uids: Vec<u32> = messages.iter().map(|message| state.add(message.row())).collect();
    Some(vec![state.uid_validity.to_string(), set(&uids)])
}

/// RFC 8508 §4: one comes, and one goes; APPENDUID is untagged.
fn foresee_replace(truth: &mut Truth, from: MailboxId, target: &Target, to: &str, new: &New) -> Option<Foreseen> {
    if !target.certain {
        return None;
    }
    let no = |code| Foreseen { words: NO, code, ..Foreseen::default() };
    let there: Vec<u32> = target.there(truth, from).collect();
    let Some(to) = truth.named(to).map(|(id, _)| id).filter(|_| !there.is_empty()) else {
        return Some(no(None));
    };
    truth.state_mut(from)?.rows.retain(|uid, _| !there.contains(uid));
    let words = append(truth, to, std::slice::from_ref(new))?;
    Some(Foreseen { words: OK, untagged: Some(("APPENDUID", words)), ..Foreseen::default() })
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

//! A strict client: it sends commands, takes in every response, keeps what it believes of its mailbox, and refuses what
//! no server may say at that moment. It knows the RFCs and nothing of a store.

use std::collections::BTreeMap;

use columba_types::{MailboxId, UidSet};

use super::answer::{self, Answer, Code, Items};
use super::belief::Known;
use super::command::{Command, Opening, What};
use super::conversation::Conversation;
use super::notify::{Notify, Sees};
use super::selected::{Saved, Selected};

/// What a client enables when it has logged in, as far as the server has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits {
    pub(super) rev2: bool,
    pub(super) condstore: bool,
    pub(super) qresync: bool,
    pub(super) uid_only: bool,
    /// What it asks of NOTIFY (RFC 5465) before anything else.
    pub(super) notify: Option<Notify>,
}

impl Traits {
    fn to_enable(self) -> Vec<&'static str> {
        let all = [
            (self.rev2, "IMAP4rev2"),
            (self.condstore, "CONDSTORE"),
            (self.qresync, "QRESYNC"),
            (self.uid_only, "UIDONLY"),
        ];
        all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, name)| name).collect()
    }
}

/// All that came of a command.
#[derive(Debug, Default)]
pub(super) struct Reply {
    tag: String,
    /// OK, NO, BAD, or BYE where the connection ended instead.
    pub(super) word: String,
    pub(super) code: Option<Code>,
    pub(super) untagged: Vec<Code>,
    /// What was told of messages, with the UID as far as the client knows it.
    pub(super) fetched: Vec<(Option<u32>, Items)>,
    pub(super) search: Option<(Vec<u32>, Option<u64>)>,
    pub(super) esearch: Option<Answer>,
    pub(super) batches: Option<Vec<(u32, u32)>>,
    pub(super) status: Vec<(String, u64)>,
    /// UIDs that VANISHED named, with and without EARLIER.
    pub(super) earlier: UidSet,
    pub(super) vanished: UidSet,
    pub(super) exists: Option<u32>,
    pub(super) recent: Vec<u32>,
}

pub(super) struct Client {
    pub(super) talk: Conversation,
    pub(super) traits: Traits,
    /// What the server announces.
    pub(super) features: Vec<String>,
    /// Whether the server knows that this client wants mod-sequences (RFC 7162 §3.1).
    pub(super) aware: bool,
    pub(super) selected: Option<Selected>,
    selecting: Option<Selected>,
    /// The mailbox that CLOSED was about.
    pub(super) left: Option<MailboxId>,
    /// The tag of IDLE.
    pub(super) idling: Option<String>,
    /// What it asked of NOTIFY last; `None`: nothing yet, so that it is told as if there were no NOTIFY.
    pub(super) notify: Option<Notify>,
    /// With NOTIFY: what STATUS said of other mailboxes that it is told of.
    pub(super) others: BTreeMap<String, BTreeMap<String, u64>>,
}

type Told = Result<(), String>;

impl Client {
    /// Of a conversation that is logged in; it enables what it wants. `features` is what the server announces.
    pub(super) fn connect(talk: Conversation, traits: Traits, features: &[String]) -> Result<Self, String> {
        let mut client = Self {
            talk,
            traits,
            features: features.to_vec(),
            aware: false,
            selected: None,
            selecting: None,
            left: None,
            idling: None,
            notify: None,
            others: BTreeMap::new(),
        };
        client.begin_session()?;
        Ok(client)
    }

    /// Logs in again on the same connection: nothing is left of what was (RFC 8437 §3).
    pub(super) fn login_again(&mut self, traits: Traits) -> Told {
        self.talk.login()?;
        self.traits = traits;
        (self.notify, self.selected, self.selecting, self.idling) = (None, None, None, None);
        self.others.clear();
        self.begin_session()
    }

    fn begin_session(&mut self) -> Told {
        let to_enable = self.traits.to_enable();
        if !to_enable.is_empty() {
            let enabled = self.talk.names(&format!("ENABLE {}", to_enable.join(" ")), "ENABLED")?;
            if to_enable.iter().any(|name| !enabled.iter().any(|other| other.eq_ignore_ascii_case(name))) {
                return Err(format!("ENABLE {to_enable:?} gave {enabled:?}"));
            }
        }
        self.aware = self.traits.condstore || self.traits.qresync;
        if let Some(notify) = self.traits.notify {
            let command = Command::Notify(notify);
            let tag = self.send(&command)?;
            let reply = self.hear(&tag, &command, None)?;
            if reply.word != "OK" {
                return Err(format!("NOTIFY is answered with {}", reply.word));
            }
        }
        Ok(())
    }

    /// Whether it is told of changes at any time.
    pub(super) fn attends(&self) -> bool {
        match self.notify {
            None => self.idling.is_some(),
            Some(notify) => self.idling.is_some() || notify.attends() && !self.talk.gone,
        }
    }

    /// What it is told of its mailbox.
    pub(super) fn sees(&self) -> Sees {
        self.notify.map_or(Sees { messages: true, flags: true }, Notify::sees)
    }

    /// RFC 5465 §3.1: without SELECTED nothing is told of the selected mailbox; NOTIFY itself and SELECT tell all.
    fn may_tell_arrivals(&self, command: Option<&Command>) -> bool {
        self.sees().messages || matches!(command, Some(Command::Notify(_) | Command::Select(_)))
    }

    /// Whether it is told of expunges, too, at any time.
    pub(super) fn is_told_all(&self) -> bool {
        match self.notify {
            Some(notify) => notify.selected.is_some_and(|mine| !mine.delayed),
            None => self.idling.is_some(),
        }
    }

    pub(super) fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|name| name == feature)
    }

    /// Sends a command; its tag.
    pub(super) fn send(&mut self, command: &Command) -> Result<String, String> {
        let written = command.written();
        let wire = format!("{}\r\n", command.wire());
        self.talk.send_line(&written, wire.as_bytes())
    }

    /// Reads what comes of a command up to its tagged answer.
    pub(super) fn hear(&mut self, tag: &str, command: &Command, resumed: Option<&Saved>) -> Result<Reply, String> {
        let mut reply = Reply { tag: tag.to_owned(), ..Reply::default() };
        self.begin(command, resumed);
        let assumed = self.assume(command);
        loop {
            match self.talk.answer()? {
                Answer::Status { tag: Some(said), word, code } if said == tag => {
                    (reply.word, reply.code) = (word, code.clone());
                    self.note_code(code.as_ref());
                    self.end(command, &reply)?;
                    self.take_back(assumed, command, &reply);
                    return Ok(reply);
                }
                Answer::Status { tag: None, word, .. } if word == "BYE" => {
                    reply.word = word;
                    self.talk.ended()?;
                    return Ok(reply);
                }
                answer => self.take(answer, Some(command), &mut reply)?,
            }
        }
    }

    /// Begins to idle.
    pub(super) fn idle(&mut self) -> Result<Reply, String> {
        let tag = self.talk.send_line("IDLE", b"IDLE\r\n")?;
        self.idling = Some(tag);
        let mut reply = Reply::default();
        loop {
            match self.talk.answer()? {
                Answer::Continuation => return Ok(reply),
                answer => self.take(answer, None, &mut reply)?,
            }
        }
    }

    /// Ends it.
    pub(super) fn done(&mut self) -> Result<Reply, String> {
        let Some(tag) = self.idling.clone() else { return Ok(Reply::default()) };
        self.talk.send_continued("DONE")?;
        // Nothing is expunged or changed by it, and all may be told until its answer.
        let reply = self.hear(&tag, &Command::Noop, None)?;
        self.idling = None;
        Ok(reply)
    }

    /// Takes in what comes by itself: while idling anything, else nothing (RFC 9051 §7.5.1).
    pub(super) fn listen(&mut self) -> Result<Reply, String> {
        let mut reply = Reply::default();
        while self.talk.has_more()? {
            match self.talk.answer()? {
                Answer::Status { tag: None, word, .. } if word == "BYE" => {
                    reply.word = word;
                    self.talk.ended()?;
                    return Ok(reply);
                }
                answer if self.attends() => self.take(answer, None, &mut reply)?,
                answer => return Err(format!("said while no command is running: {answer:?}")),
            }
        }
        Ok(reply)
    }

    /// Notes that the server knows from now on that this client wants mod-sequences (RFC 7162 §3.1). A command that was
    /// refused may have told it or not.
    fn note_awareness(&mut self, command: &Command) {
        self.aware |= match command {
            Command::Select(opening) => opening.condstore || opening.resync.is_some(),
            Command::Store { unchanged_since, .. } => unchanged_since.is_some(),
            Command::Fetch { what, changed_since, .. } => changed_since.is_some() || *what == What::FlagsModSeq,
            Command::Search { key, .. } => key.asks_modseq(),
            Command::Status { modseq, .. } => *modseq,
            _ => false,
        };
    }

    /// What a command changes before its answer comes.
    fn begin(&mut self, command: &Command, resumed: Option<&Saved>) {
        if let Command::Notify(_) = command {
            self.others.clear();
        }
        if let Command::Select(opening) = command {
            self.selecting = Some(Selected::opened(opening, self.traits.uid_only, resumed));
        }
    }

    /// A silent STORE of which the client works out the result by itself; what it believed before.
    fn assume(&mut self, command: &Command) -> Vec<(u32, Known)> {
        let Command::Store { target, sign, silent: true, flags, .. } = command else { return Vec::new() };
        let Some(selected) = self.selected.as_mut().filter(|selected| !selected.read_only) else { return Vec::new() };
        let given: answer::Flags = flags.iter().map(|flag| flag.to_ascii_lowercase()).collect();
        let mut before = Vec::new();
        if !target.certain {
            // It cannot say whom it meant.
            selected.belief.doubt_flags();
            return before;
        }
        for uid in &target.uids {
            let Some(known) = selected.belief.known_mut(*uid) else { continue };
            before.push((*uid, known.clone()));
            known.modseq = None;
            known.flags = known.flags.as_ref().map(|flags| match *sign {
                "+" => flags.union(&given).cloned().collect(),
                "-" => flags.difference(&given).cloned().collect(),
                _ => given.clone(),
            });
        }
        before
    }

    /// What was assumed and did not happen: messages that failed UNCHANGEDSINCE, or all of them.
    fn take_back(&mut self, assumed: Vec<(u32, Known)>, command: &Command, reply: &Reply) {
        let Command::Store { target, .. } = command else { return };
        let modified = self.modified(target.uid, reply);
        // RFC 9738 §3.1: what lies below the UID that is named was not looked at.
        let mut codes = reply.untagged.iter().chain(&reply.code).filter(|code| code.name == "MESSAGELIMIT");
        let lowest = codes.find_map(|code| code.words.get(1)?.parse::<u32>().ok()).unwrap_or(0);
        let Some(selected) = self.selected.as_mut() else { return };
        for (uid, before) in assumed {
            let failed = reply.word != "OK" || modified.contains(uid) || uid < lowest;
            let told = reply.fetched.iter().any(|(other, items)| *other == Some(uid) && items.flags.is_some());
            if failed
                && !told
                && let Some(known) = selected.belief.known_mut(uid)
            {
                *known = before;
            }
        }
    }

    /// The UIDs of a MODIFIED code.
    pub(super) fn modified(&self, uid: bool, reply: &Reply) -> UidSet {
        let code = reply.code.iter().find(|code| code.name == "MODIFIED");
        let written = code.and_then(|code| answer::uid_set(code.words.first()?).ok()).unwrap_or_default();
        match (uid, &self.selected) {
            (true, _) | (_, None) => written,
            (false, Some(selected)) => {
                let at = |number: u32| selected.belief.list().get(number as usize - 1).and_then(|known| known.uid);
                written.iter().filter_map(at).collect()
            }
        }
    }

    fn note_code(&mut self, code: Option<&Code>) {
        let Some(code) = code else { return };
        if code.name == "CLOSED" {
            self.left = self.selected.take().and_then(|selected| selected.mailbox);
        }
        let selecting = if self.selected.is_none() { self.selecting.as_mut() } else { None };
        if let Some(selected) = selecting.or(self.selected.as_mut()) {
            match code.name.as_str() {
                "HIGHESTMODSEQ" => selected.seen_highest = code.number(),
                "UIDVALIDITY" => selected.uid_validity = code.number().unwrap_or(0) as u32,
                _ => {}
            }
        }
    }

    /// One untagged response, while that command runs; while idling there is none.
    fn take(&mut self, answer: Answer, command: Option<&Command>, reply: &mut Reply) -> Told {
        let expunges = match command {
            Some(command) => command.tells_expunges(),
            None if self.idling.is_some() => self.sees().messages,
            None => self.is_told_all(),
        };
        match answer {
            // RFC 9738 §3.1: an untagged NO says that there is a limit.
            Answer::Status { tag: None, word, code } if word == "OK" || word == "NO" => {
                self.note_code(code.as_ref());
                if code.as_ref().is_some_and(|code| code.name == "CLOSED") {
                    // RFC 9051 §7.1: what came before was about another mailbox.
                    *reply = Reply { tag: std::mem::take(&mut reply.tag), ..Reply::default() };
                }
                reply.untagged.extend(code);
            }
            Answer::Search { numbers, modseq } => reply.search = Some((numbers, modseq)),
            Answer::Esearch { tag, .. } if tag.as_deref() != Some(&reply.tag) => {
                return Err(format!("ESEARCH of another command: {tag:?}"));
            }
            answer @ Answer::Esearch { .. } => reply.esearch = Some(answer),
            Answer::Batches { tag, ranges } if tag == reply.tag => reply.batches = Some(ranges),
            Answer::StatusOf { mailbox, items } => {
                // What NOTIFY tells never has SIZE in it.
                let asked = matches!(command, Some(Command::Status { name, .. }) if *name == mailbox)
                    && items.contains_key("SIZE");
                self.take_status(&mailbox, &items, asked, command)?;
                if asked {
                    reply.status = items.into_iter().collect();
                }
            }
            Answer::Other | Answer::Names { .. } => {}
            Answer::Expunge(_) | Answer::Vanished { earlier: false, .. } if !expunges => {
                // RFC 9051 §7.5.1
                return Err("a message is told to be gone during a command with sequence numbers".into());
            }
            Answer::Expunge(_) | Answer::Vanished { earlier: false, .. }
                if matches!(answer, Answer::Expunge(_)) == (self.traits.qresync || self.traits.uid_only) =>
            {
                // RFC 7162 §3.2.10, RFC 9586 §3.4
                return Err("EXPUNGE and VANISHED are mistaken for each other".into());
            }
            Answer::Fetch(..) if self.traits.uid_only => return Err("FETCH in spite of UIDONLY".into()),
            Answer::UidFetch(..) if !self.traits.uid_only => return Err("UIDFETCH without UIDONLY".into()),
            Answer::Exists(_) if !self.may_tell_arrivals(command) => {
                return Err("EXISTS, though NOTIFY does not ask for it".into());
            }
            Answer::Fetch(number, items) if command.is_none() && items.flags.is_some() && !self.sees().flags => {
                let selected = self.selected.as_ref();
                let known = selected.and_then(|selected| selected.belief.list().get(number as usize - 1));
                if known.is_some_and(|known| known.flags.is_some()) {
                    return Err("a change of flags is told, though NOTIFY does not ask for it".into());
                }
                return self.take_message(Answer::Fetch(number, items), command, reply);
            }
            Answer::Recent(_) if self.traits.rev2 => return Err("RECENT in IMAP4rev2".into()),
            Answer::Exists(_)
            | Answer::Recent(_)
            | Answer::Expunge(_)
            | Answer::Vanished { .. }
            | Answer::Fetch(..)
            | Answer::UidFetch(..) => return self.take_message(answer, command, reply),
            other => return Err(format!("out of place: {other:?}")),
        }
        Ok(())
    }

    /// What STATUS says of a mailbox that NOTIFY is about stays true by what is told later.
    fn take_status(
        &mut self,
        mailbox: &str,
        items: &BTreeMap<String, u64>,
        asked: bool,
        command: Option<&Command>,
    ) -> Told {
        let asks = match command {
            Some(Command::Notify(notify)) => Some(*notify),
            _ => self.notify,
        };
        if asked {
            for (item, number) in self.others.get_mut(mailbox).into_iter().flatten() {
                *number = items.get(item).copied().unwrap_or(*number);
            }
            return Ok(());
        }
        let Some(notify) = asks.filter(|notify| notify.may_cover(mailbox)) else {
            return Err(format!("STATUS of {mailbox} unasked"));
        };
        let others = self.others.entry(mailbox.to_owned()).or_default();
        others.extend(items.clone());
        if !notify.wants_flags_of_others() || !self.aware {
            // RFC 5465 §5.1: of changes it is told to clients that want mod-sequences only.
            others.remove("HIGHESTMODSEQ");
        }
        if !notify.wants_flags_of_others() {
            others.remove("UNSEEN");
        }
        Ok(())
    }

    fn take_message(&mut self, answer: Answer, command: Option<&Command>, reply: &mut Reply) -> Told {
        if let Answer::Fetch(_, items) | Answer::UidFetch(_, items) = &answer {
            self.check_items(items, command)?;
        }
        let selecting = if self.selected.is_none() { self.selecting.as_mut() } else { None };
        let Some(selected) = selecting.or(self.selected.as_mut()) else {
            return Err(format!("no mailbox is selected: {answer:?}"));
        };
        match answer {
            Answer::Exists(number) => {
                reply.exists = Some(number);
                match &mut selected.resuming {
                    Some(resuming) => resuming.exists = Some(number),
                    None => selected.belief.exists(number)?,
                }
            }
            Answer::Recent(number) if number as usize > selected.belief.len() && selected.resuming.is_none() => {
                return Err(format!("RECENT {number} of {} messages", selected.belief.len()));
            }
            Answer::Expunge(number) => selected.belief.expunge(number)?,
            Answer::Vanished { earlier: false, uids } => {
                selected.belief.vanished(&uids)?;
                reply.vanished = reply.vanished.union(&uids);
            }
            Answer::Vanished { earlier: true, uids } => {
                let asked = matches!(command, Some(Command::Select(Opening { resync: Some(_), .. })))
                    || matches!(command, Some(Command::Fetch { vanished: Some(_), .. }));
                // RFC 7162 §3.2.6
                if !asked || !reply.fetched.is_empty() {
                    return Err("VANISHED (EARLIER) unasked, or after FETCH".into());
                }
                if selected.resuming.is_some() {
                    selected.belief.forget(&uids);
                }
                reply.earlier = reply.earlier.union(&uids);
            }
            Answer::Fetch(number, items) => selected.take_fetch(number, items, reply)?,
            Answer::UidFetch(uid, items) => {
                selected.seen_modseq = selected.seen_modseq.max(items.modseq.unwrap_or(0));
                match selected.resuming {
                    Some(_) => selected.belief.update(uid, &items)?,
                    None => selected.belief.uid_fetch(uid, &items)?,
                }
                reply.fetched.push((Some(uid), items));
            }
            _ => {}
        }
        Ok(())
    }

    /// What has to be in FETCH.
    fn check_items(&self, items: &Items, command: Option<&Command>) -> Told {
        if self.traits.rev2 && items.recent {
            return Err("\\Recent in IMAP4rev2".into());
        }
        let asked_by_number = matches!(command, Some(Command::Fetch { target, .. }) if !target.uid);
        let by_uid = match command {
            Some(Command::Fetch { target, .. } | Command::Store { target, .. }) => target.uid,
            Some(Command::Search { uid, .. }) => *uid,
            _ => false,
        };
        // RFC 9051 §6.4.9, App. E 21; RFC 7162 §3.2.4
        let qresync = self.aware && self.has("QRESYNC");
        let needs_uid = by_uid || (!asked_by_number && (self.traits.rev2 || qresync));
        if needs_uid && !self.traits.uid_only && items.uid.is_none() {
            return Err("FETCH without UID".into());
        }
        let asked = matches!(command, Some(Command::Fetch { .. }));
        let resync = matches!(command, Some(Command::Select(_)));
        if ((self.aware && !asked) || resync) && items.modseq.is_none() {
            return Err("FETCH without MODSEQ, though the client wants it".into());
        }
        Ok(())
    }

    /// The tagged answer is there.
    fn end(&mut self, command: &Command, reply: &Reply) -> Told {
        if reply.word == "OK" {
            self.note_awareness(command);
        }
        match command {
            Command::Notify(notify) if reply.word == "OK" => self.notify = Some(*notify),
            Command::Unauthenticate if reply.word == "OK" => self.selected = None,
            Command::Select(opening) => {
                let selecting = self.selecting.take();
                let before = self.selected.take();
                if reply.word == "OK" {
                    if before.is_some() {
                        // RFC 7162 §3.2.11, RFC 9051 §7.1
                        return Err("no [CLOSED] though another mailbox was selected".into());
                    }
                    let mut selected = selecting.ok_or("SELECT is answered twice")?;
                    selected.finish(reply)?;
                    if self.aware && selected.seen_highest.is_none() {
                        return Err("SELECT without HIGHESTMODSEQ".into());
                    }
                    let expected = if opening.read_only { "READ-ONLY" } else { "READ-WRITE" };
                    if reply.code.as_ref().is_none_or(|code| code.name != expected) {
                        return Err(format!("SELECT without [{expected}]: {:?}", reply.code));
                    }
                    self.selected = Some(selected);
                }
            }
            Command::Close | Command::Unselect if reply.word == "OK" => self.selected = None,
            _ => {}
        }
        if let Some(selected) = &mut self.selected {
            selected.settle();
        }
        Ok(())
    }
}

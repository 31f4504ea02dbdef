//! One run: clients on one account take turns, each answer is compared with what was foreseen, and each client's belief
//! with the store. At the end all are asked once more, and every state that was kept is brought up to date.

mod crossing;
mod ending;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use columba_store::AccountStore;
use columba_types::{MailboxId, MessageId};

use super::actions::{Deed, Dice, Draw, NAMES, Step};
use super::check;
use super::client::{Client, Reply, Traits};
use super::command::{Command, Opening};
use super::conversation::Conversation;
use super::foresee::{Limited, Seat, Texts};
use super::house::House;
use super::record::Record;
use super::search::Returns;
use super::selected::{Saved, Selected};
use super::truth::{State, Truth, follows};
use crate::link::LinkOptions;
use crate::script::{ACCOUNT, Ground, MailSide, MemoryGround, Octets, Outside, block_on};

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps taken.
    pub steps: u64,
    /// Commands answered.
    pub commands: u64,
    /// States from which a client went on, and arrived.
    pub resyncs: u64,
}

/// Why a run failed.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    /// Steps taken, the failing one included.
    pub(super) steps: usize,
    pub(super) why: String,
    pub(super) script: String,
}

type Done = Result<(), String>;

pub(super) struct Game {
    ground: MemoryGround,
    account: Arc<AccountStore>,
    truth: Truth,
    names: BTreeMap<String, MailboxId>,
    house: House,
    clients: Vec<Option<Client>>,
    states: Vec<Saved>,
    texts: Texts,
    /// The session that was told that a message is \Recent to it.
    recent: BTreeMap<(MailboxId, u32), String>,
    record: Record,
    sessions: usize,
    serial: usize,
    counts: Counts,
    /// Whether what failed is the last response that was heard.
    heard_wrong: bool,
}

/// What came of a command, as a whole.
#[derive(Clone, Debug)]
struct Heard {
    /// Whether all it did was foreseen.
    certain: bool,
    ok: bool,
    /// The texts of messages it made.
    made: Vec<Option<String>>,
}

/// Plays a run to its end.
pub(super) fn play(house: &House, steps: &[Step], title: &str) -> Result<Counts, Broken> {
    let early = |why: String| Broken { steps: 0, why, script: String::new() };
    let mut game = Game::new(house).map_err(early)?;
    for (at, step) in steps.iter().enumerate() {
        game.counts.steps += 1;
        game.step(step).map_err(|why| game.broken(at + 1, why, title))?;
    }
    game.finish().map_err(|why| game.broken(steps.len(), why, title))?;
    Ok(game.counts)
}

impl Game {
    fn new(house: &House) -> Result<Self, String> {
        let mail = MailSide::with(house.options())?;
        let mut ground = MemoryGround::on(mail, LinkOptions::default());
        if house.packs {
            ground = ground.packing();
        }
        let record = Record::default();
        let limits = house.limits;
        if let Some(any) = limits.any {
            let limit = Outside::MessageLimit { any, saving: limits.saving };
            ground.outside(&limit, &[]).map_err(|refusal| format!("{refusal:?}"))?;
            record.message_limit(any, limits.saving);
        }
        ground.outside(&Outside::BatchSize(limits.batch), &[]).map_err(|refusal| format!("{refusal:?}"))?;
        record.batch_size(limits.batch);
        let new = Outside::Mailbox { account: ACCOUNT.into(), name: "Work".into() };
        ground.outside(&new, &[]).map_err(|refusal| format!("{refusal:?}"))?;
        record.mailbox("Work");
        let account = block_on(async {
            let account = ground.store().account_named(ACCOUNT).await?.ok_or(columba_store::StoreError::NotFound)?;
            ground.store().open_account(account.id).await
        });
        let account = account.map_err(|error| error.to_string())?;
        let mut game = Self {
            ground,
            account,
            truth: Truth::default(),
            names: BTreeMap::new(),
            house: house.clone(),
            clients: house.seats.iter().map(|_| None).collect(),
            states: Vec::new(),
            texts: BTreeMap::new(),
            recent: BTreeMap::new(),
            record,
            sessions: 0,
            serial: 0,
            counts: Counts::default(),
            heard_wrong: false,
        };
        game.truth = game.look()?;
        for _ in 0..3 {
            game.deliver("INBOX", &[])?;
        }
        Ok(game)
    }

    fn broken(&self, steps: usize, why: String, title: &str) -> Broken {
        let script = self.record.script(title, &why, self.heard_wrong);
        Broken { steps, why, script }
    }

    fn look(&self) -> Result<Truth, String> {
        block_on(Truth::read(&self.account, &self.truth)).map_err(|error| error.to_string())
    }

    fn step(&mut self, step: &Step) -> Done {
        let mut dice = Dice::new(step.seed);
        match step.deed {
            Deed::Deliver => {
                let flags = dice.pick(&["", "", "\\Seen", "\\Flagged", "$Work"]).filter(|flag| !flag.is_empty());
                let name = dice.pick(&NAMES).unwrap_or("INBOX");
                self.deliver(name, &flags.map(str::to_owned).into_iter().collect::<Vec<_>>())?;
            }
            Deed::Clock => {
                self.record.clock(60);
                self.ground.advance(Duration::from_secs(60)).map_err(|refusal| format!("{refusal:?}"))?;
            }
            Deed::Disconnect => {
                if let Some(mut client) = self.clients[step.client].take() {
                    client.talk.disconnect();
                }
            }
            Deed::Crossing => self.crossing(step, dice)?,
            _ => self.turn(step, dice)?,
        }
        let renamed = self.truth.names != self.names;
        self.names.clone_from(&self.truth.names);
        for client in self.clients.iter_mut().flatten() {
            if renamed {
                // What was told of a name may be about another mailbox now.
                client.others.clear();
            }
            let (subscribed, notify) = (&self.truth.subscribed, client.notify);
            let covered = |name: &str| notify.is_some_and(|notify| notify.covers(name, subscribed.contains(name)));
            client.others.retain(|name, _| covered(name));
        }
        self.listen(step.client)
    }

    fn deliver(&mut self, name: &str, flags: &[String]) -> Done {
        self.serial += 1;
        let text = format!("Subject: m{0}\r\n\r\nm{0}\r\n", self.serial);
        if !self.truth.names.contains_key(name) {
            return Ok(());
        }
        let octets = Octets::Given(text.clone().into_bytes());
        let new = Outside::Message {
            account: ACCOUNT.into(),
            mailbox: name.into(),
            flags: flags.to_vec(),
            date: None,
            octets,
        };
        self.ground.outside(&new, text.as_bytes()).map_err(|refusal| format!("{refusal:?}"))?;
        self.record.deliver(name, flags, text.as_bytes());
        let after = self.look()?;
        follows(&self.truth, &after)?;
        self.note_new(&after, &[Some(text)]);
        self.truth = after;
        Ok(())
    }

    /// Remembers the texts of messages that have just come, in the order they came. One that is gone again already is
    /// not missed, but then nobody can tell which one it was.
    fn note_new(&mut self, after: &Truth, texts: &[Option<String>]) {
        let rows = after.boxes.values().flat_map(|state| state.rows.values());
        let new: BTreeSet<MessageId> =
            rows.map(|row| row.message).filter(|message| !self.texts.contains_key(message)).collect();
        let known = new.len() == texts.len();
        for (at, message) in new.into_iter().enumerate() {
            let text = texts.get(at).filter(|_| known).cloned().flatten();
            self.texts.insert(message, text);
        }
    }

    /// The client of a seat, connected.
    fn seated(&mut self, seat: usize) -> Result<Client, String> {
        if let Some(client) = self.clients[seat].take().filter(|client| !client.talk.gone) {
            return Ok(client);
        }
        self.sessions += 1;
        let name = format!("{}{}", char::from(b'a' + (seat % 26) as u8), self.sessions);
        let talk = Conversation::open(&mut self.ground, name, self.record.clone())?;
        let client = Client::connect(talk, self.house.seats[seat], &self.house.features)?;
        self.after_notify(&client)?;
        Ok(client)
    }

    fn turn(&mut self, step: &Step, dice: Dice) -> Done {
        let mut client = self.seated(step.client)?;
        let done = self.turn_of(&mut client, step, dice);
        self.clients[step.client] = Some(client);
        done
    }

    fn turn_of(&mut self, client: &mut Client, step: &Step, dice: Dice) -> Done {
        if step.deed == Deed::Idle && client.idling.is_none() && client.selected.is_some() {
            self.heard_wrong = true;
            // What was pending comes after the continuation request: that is listened to in a moment.
            client.idle()?;
            self.heard_wrong = false;
            return Ok(());
        }
        if client.idling.is_some() {
            self.heard_wrong = true;
            let reply = client.done()?;
            self.heard_wrong = false;
            self.after_idle(client, &reply)?;
            if step.deed == Deed::Idle || client.talk.gone {
                return Ok(());
            }
        }
        self.serial += 1;
        self.name_states();
        if step.deed == Deed::Unauthenticate {
            return self.unauthenticate(client, dice);
        }
        let limits = self.house.limits;
        let mut draw = Draw { dice, client, states: &self.states, serial: self.serial, limits };
        let commands = draw.commands(step.deed);
        self.perform(client, &commands)
    }

    /// The connection becomes nobody's, and then somebody's who enables less (RFC 8437).
    fn unauthenticate(&mut self, client: &mut Client, mut dice: Dice) -> Done {
        if !client.has("UNAUTHENTICATE") {
            return Ok(());
        }
        self.perform(client, &[Command::Unauthenticate])?;
        if client.talk.gone {
            return Ok(());
        }
        let had = client.traits;
        let traits = Traits {
            rev2: had.rev2 && dice.once_in(2),
            condstore: had.condstore && dice.once_in(2),
            qresync: had.qresync && dice.once_in(2),
            uid_only: had.uid_only && dice.once_in(2),
            notify: had.notify.filter(|_| dice.once_in(2)),
        };
        self.heard_wrong = true;
        client.login_again(traits)?;
        self.heard_wrong = false;
        self.after_notify(client)
    }

    /// NOTIFY SET STATUS has told the state of every mailbox that is followed.
    fn after_notify(&self, client: &Client) -> Done {
        check::all_others(client, &self.truth)?;
        check::others(client, &self.truth)
    }

    /// States go by the name that their mailbox has now.
    fn name_states(&mut self) {
        for state in &mut self.states {
            let named = self.truth.names.iter().find(|(_, id)| **id == state.mailbox);
            if let Some((name, _)) = named {
                state.name.clone_from(name);
            }
        }
    }

    /// Gives commands in one packet, and hears all that comes of them.
    fn perform(&mut self, client: &mut Client, commands: &[Command]) -> Done {
        let mut tags = Vec::new();
        for command in commands {
            tags.push(client.send(command)?);
        }
        let mut expected = self.truth.clone();
        let (mut certain, mut ok, mut appended) = (true, false, Vec::new());
        for (tag, command) in tags.iter().zip(commands) {
            let heard = self.hear(client, tag, command, certain, &mut expected);
            let heard = heard.map_err(|why| format!("{}: {why}", command.written()))?;
            (certain, ok) = (certain && heard.certain, heard.ok);
            appended.extend(heard.made);
            if client.talk.gone {
                break;
            }
        }
        let after = self.look()?;
        follows(&self.truth, &after)?;
        self.note_new(&after, &appended);
        if commands.iter().any(Command::reaches_others) {
            client.others.clear();
        }
        if certain {
            check::effect(&expected, &after).map_err(|why| format!("after {:?}: {why}", commands.last()))?;
        }
        self.truth = after;
        // A refused command need not tell what else is new.
        if let Some(last) = commands.last()
            && ok
        {
            self.compare(client, last.tells_expunges()).map_err(|why| format!("after {}: {why}", last.written()))?;
        }
        Ok(())
    }

    /// One command's answer; whether `expected` is what the account has become by it. It is not looked at if it was not
    /// `certain` before.
    fn hear(
        &mut self,
        client: &mut Client,
        tag: &str,
        command: &Command,
        certain: bool,
        expected: &mut Truth,
    ) -> Result<Heard, String> {
        let selected = client.selected.as_ref();
        let known: Vec<u32> = selected.map(|selected| selected.belief.uids().collect()).unwrap_or_default();
        let seat = Seat {
            mailbox: selected.and_then(|selected| selected.mailbox),
            read_only: selected.is_some_and(|selected| selected.read_only),
            known: &known,
            limits: self.house.limits,
            texts: &self.texts,
        };
        let before = expected.clone();
        let knows_uids = selected.is_some_and(|selected| selected.belief.knows_uids());
        let mut foreseen = if certain { command.foresee(expected, seat) } else { None };
        if let Some(foreseen) = foreseen.as_mut().filter(|_| !knows_uids) {
            (foreseen.found, foreseen.batches) = (None, None);
            if matches!(command, Command::Search { .. }) {
                foreseen.limited = Limited::Unknown;
            }
        }
        let limited = foreseen.as_ref().map(|foreseen| foreseen.limited);
        let resumed = match command {
            Command::Select(Opening { resync: Some((_, at)), .. }) => self.states.get(*at).cloned(),
            _ => None,
        };
        self.heard_wrong = true;
        let reply = client.hear(tag, command, resumed.as_ref())?;
        self.counts.commands += 1;
        if !matches!(command, Command::Select(_)) && self.is_sent_away(client, &reply)? {
            self.heard_wrong = false;
            return Ok(Heard { certain: false, ok: false, made: Vec::new() });
        }
        match reply.word.as_str() {
            "BAD" => return Err("answered with BAD".into()),
            "NO" => expected.clone_from(&before),
            _ => {}
        }
        if let Some(foreseen) = &foreseen {
            let ground = check::Ground { before: &before, texts: &self.texts };
            check::reply(command, foreseen, &reply, client, &ground)?;
        }
        if let Command::Fetch { vanished: Some(at), partial: None, .. } = command
            && let Some(state) = self.states.get(*at)
            && limited == Some(Limited::No)
            // RFC 5465 §3.1: who asked for nothing is not told of what went meanwhile.
            && client.sees().messages
        {
            check::changes(state, &reply, &before, &known)?;
            self.counts.resyncs += 1;
        }
        // What a command did that failed because of messages that are gone is not foreseen.
        let certain = foreseen.as_ref().is_some_and(|foreseen| reply.word == "OK" || !foreseen.words.contains(&"OK"));
        let (found, made) = foreseen.map(|foreseen| (foreseen.found, foreseen.made)).unwrap_or_default();
        self.note(client, command, &reply, found, (&before, expected))?;
        self.heard_wrong = false;
        let ok = reply.word == "OK";
        Ok(Heard { certain, ok, made: if ok { made } else { Vec::new() } })
    }

    /// Takes note of what a command did to its client.
    fn note(
        &mut self,
        client: &mut Client,
        command: &Command,
        reply: &Reply,
        found: Option<Vec<u32>>,
        (before, after): (&Truth, &Truth),
    ) -> Done {
        let qresync = client.traits.qresync;
        if let Command::Delete(name) = command
            && reply.word == "OK"
            && let Some((id, _)) = before.named(name)
            && client.selected.as_ref().is_some_and(|selected| selected.mailbox == Some(id))
        {
            // A client that deletes the mailbox it has selected has none selected afterwards.
            client.selected = None;
        }
        if matches!(command, Command::Notify(_)) && reply.word == "OK" {
            self.after_notify(client)?;
        }
        let Some(selected) = &mut client.selected else { return Ok(()) };
        match command {
            Command::Select(opening) if reply.word == "OK" => {
                let (id, state) = before.named(&opening.name).ok_or("a mailbox was opened that is not there")?;
                selected.mailbox = Some(id);
                opened(state, selected, reply)?;
                self.counts.resyncs += u64::from(opening.resync.is_some());
            }
            Command::Search { returns: Some(returns @ Returns { save: true, .. }), .. } => {
                selected.saved = match found {
                    _ if reply.word != "OK" => Some(Vec::new()),
                    Some(found) => Some(returns.saved(&found)),
                    None => None,
                };
            }
            Command::Expunge { .. } if reply.word == "OK" && qresync => {
                // RFC 7162 §3.2.7
                let count =
                    |truth: &Truth| selected.mailbox.and_then(|id| truth.state(id)).map(|state| state.rows.len());
                let mut codes = reply.code.iter().chain(&reply.untagged);
                let said = codes.any(|code| code.name == "HIGHESTMODSEQ");
                if count(before) != count(after) && !said {
                    return Err("EXPUNGE without HIGHESTMODSEQ".into());
                }
            }
            _ => {}
        }
        // RFC 3501 §2.3.2
        if !selected.read_only {
            for uid in &reply.recent {
                let place = selected.mailbox.map(|id| (id, *uid));
                let first = place.map(|place| self.recent.entry(place).or_insert_with(|| client.talk.name.clone()));
                if let Some(first) = first.filter(|first| **first != client.talk.name) {
                    return Err(format!("UID {uid} is \\Recent to {} and to {first}", client.talk.name));
                }
            }
        }
        Ok(())
    }

    /// Whether a client was told that its mailbox is gone: by CLOSED if it knows IMAP4rev2 (RFC 9051 §7.1), else by BYE. There
    /// is no other reason for either. A command that was sent before CLOSED came is NO [NONEXISTENT].
    fn is_sent_away(&self, client: &Client, reply: &Reply) -> Result<bool, String> {
        let (bye, closed) = (reply.word == "BYE", reply.untagged.iter().any(|code| code.name == "CLOSED"));
        let refused = reply.word == "NO" && reply.code.as_ref().is_some_and(|code| code.name == "NONEXISTENT");
        if !(bye || closed || refused && client.selected.is_none()) {
            return Ok(false);
        }
        let now = self.look()?;
        let mailbox = client.selected.as_ref().and_then(|selected| selected.mailbox).or(client.left);
        if refused && !closed {
            return Ok(mailbox.is_some_and(|id| now.state(id).is_none()));
        }
        match mailbox.is_some_and(|id| now.state(id).is_none()) && closed == client.traits.rev2 {
            true => Ok(true),
            false => Err("the mailbox or the connection was closed without a reason".into()),
        }
    }

    /// A client that could be told everything believes the truth; what it knows then is kept, if it is enough.
    fn compare(&mut self, client: &Client, told_all: bool) -> Done {
        check::belief(client, &self.truth, told_all)?;
        self.keep(client);
        Ok(())
    }

    /// Keeps what a client knows, to go on from there.
    fn keep(&mut self, client: &Client) {
        let Some(selected) = &client.selected else { return };
        let (Some(mailbox), true) = (selected.mailbox, client.traits.qresync && selected.point > 0) else { return };
        let same = |state: &Saved| state.mailbox == mailbox && state.point == selected.point;
        if selected.belief.knows_all() && !self.states.iter().any(same) {
            self.states.push(Saved {
                mailbox,
                name: selected.name.clone(),
                uid_validity: selected.uid_validity,
                point: selected.point,
                list: selected.belief.list().to_vec(),
            });
        }
    }

    fn after_idle(&mut self, client: &Client, reply: &Reply) -> Done {
        if self.is_sent_away(client, reply)? {
            return Ok(());
        }
        check::belief(client, &self.truth, client.is_told_all())
            .and_then(|()| check::others(client, &self.truth))
            .map_err(|why| format!("told at any time: {why}"))
    }

    /// Everybody listens: who idles is told at once, and nobody else is told anything.
    fn listen(&mut self, actor: usize) -> Done {
        for seat in 0..self.clients.len() {
            let Some(mut client) = self.clients[seat].take() else { continue };
            self.heard_wrong = true;
            let heard = client.listen();
            let attends = client.attends();
            let done = heard.and_then(|reply| {
                self.heard_wrong = false;
                if attends || client.talk.gone { self.after_idle(&client, &reply) } else { Ok(()) }
            });
            done.map_err(|why| format!("{} after a turn of {actor}: {why}", client.talk.name))?;
            self.clients[seat] = Some(client);
        }
        Ok(())
    }
}

/// What SELECT says of the mailbox (RFC 9051 §6.3.2).
fn opened(state: &State, selected: &Selected, reply: &Reply) -> Done {
    let code = |name: &str| reply.untagged.iter().find(|code| code.name == name).and_then(|code| code.number());
    if reply.exists != Some(state.rows.len() as u32) {
        return Err(format!("EXISTS is {:?}, and there are {} messages", reply.exists, state.rows.len()));
    }
    if code("UIDVALIDITY") != Some(state.uid_validity.into()) || code("UIDNEXT") != Some(state.uid_next.into()) {
        return Err("UIDVALIDITY or UIDNEXT are not the mailbox's".into());
    }
    if code("HIGHESTMODSEQ").is_some_and(|highest| state.highest > 0 && highest != state.highest) {
        return Err(format!("HIGHESTMODSEQ is {:?}, and should be {}", code("HIGHESTMODSEQ"), state.highest));
    }
    let unseen = state.rows.values().position(|row| !row.flags.contains("\\seen")).map(|place| place as u64 + 1);
    if code("UNSEEN").is_some_and(|number| Some(number) != unseen || selected.belief.uid_only) {
        return Err(format!("[UNSEEN {:?}], and the first is {unseen:?}", code("UNSEEN")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::actions;
    use crate::model::house::announced;
    use crate::script::{Mode, Outcome, parse, play as play_script};

    /// What a run says is played by the script runner to the end, all of it as it was said.
    #[test]
    fn a_run_is_a_script() {
        let features = announced().unwrap();
        for seed in 0..8 {
            let house = House { history: u64::MAX, cached: 1_000, ..House::draw(seed, &features) };
            let steps = actions::steps(seed, house.seats.len(), 120);
            let mut game = Game::new(&house).unwrap();
            for step in &steps {
                game.step(step).unwrap();
            }
            game.finish().unwrap();
            let text = game.record.script("A run", "nothing", false);
            let script = parse(&text, &|_| None).unwrap();
            let mut ground = MemoryGround::new(LinkOptions::default()).unwrap();
            match play_script(&script, Mode::Rev1, &mut ground) {
                Outcome::Passed => {}
                other => panic!("seed {seed}: {other:#?}"),
            }
        }
    }
}

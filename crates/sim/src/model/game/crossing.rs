//! Two clients at work at once: neither can foresee what the other does, but what each is told has to make sense, and what
//! it keeps has to be a state to go on from.

use super::{Done, Game};
use crate::model::actions::{Deed, Dice, Draw, Step};
use crate::model::client::Client;
use crate::model::command::Command;
use crate::model::search::Returns;
use crate::model::truth::follows;
use crate::script::{Ground, Outside};

/// What two clients may do at once without the outcome being a matter of luck for what they believe.
const CROSSED: [Deed; 14] = [
    Deed::Store,
    Deed::Store,
    Deed::Store,
    Deed::Store,
    Deed::Store,
    Deed::Store,
    Deed::Expunge,
    Deed::UidExpunge,
    Deed::Copy,
    Deed::Move,
    Deed::Text,
    Deed::Append,
    Deed::Replace,
    Deed::Fetch,
];

impl Game {
    /// Two clients give commands while no commit gets through, so that both are at work at once.
    pub(super) fn crossing(&mut self, step: &Step, mut dice: Dice) -> Done {
        let other = self.companion(step.client, &mut dice);
        let mut pair = [self.ready(step.client)?, self.ready(other)?];
        let mut given = Vec::new();
        for client in &pair {
            self.serial += 1;
            let deed = dice.pick(&CROSSED).unwrap_or(Deed::Store);
            let mut draw = Draw {
                dice: Dice::new(dice.roll()),
                client,
                states: &self.states,
                serial: self.serial,
                limits: self.house.limits,
            };
            let command = draw.commands(deed).into_iter().next();
            given.push(command.filter(|command| !matches!(command, Command::Select(_))));
        }
        self.let_disk_hang(true)?;
        let mut tags = Vec::new();
        for (client, command) in pair.iter_mut().zip(&given) {
            let tag = command.as_ref().filter(|_| !client.talk.gone).map(|command| client.send(command)).transpose();
            tags.push(tag);
            client.talk.let_it_work()?;
        }
        self.let_disk_hang(false)?;
        for ((client, command), tag) in pair.iter_mut().zip(&given).zip(tags) {
            if let (Some(command), Some(tag)) = (command, tag?) {
                self.hear_crossed(client, &tag, command)
                    .map_err(|why| format!("crossed, {}: {why}", command.written()))?;
            }
        }
        let after = self.look()?;
        follows(&self.truth, &after)?;
        // Which of two messages came first is not known.
        self.note_new(&after, &[]);
        self.truth = after;
        for (seat, mut client) in [step.client, other].into_iter().zip(pair) {
            client.others.clear();
            self.keep(&client);
            self.clients[seat] = Some(client);
        }
        Ok(())
    }

    /// Somebody else, in the same mailbox if there is one.
    fn companion(&self, seat: usize, dice: &mut Dice) -> usize {
        let place = |seat: usize| self.clients[seat].as_ref()?.selected.as_ref()?.mailbox;
        let others: Vec<usize> = (0..self.clients.len()).filter(|other| *other != seat).collect();
        let near: Vec<usize> =
            others.iter().copied().filter(|other| place(*other).is_some() && place(*other) == place(seat)).collect();
        dice.pick(if near.is_empty() { &others } else { &near }).unwrap_or(seat)
    }

    fn let_disk_hang(&mut self, hangs: bool) -> Done {
        self.record.disk(hangs);
        self.ground.outside(&Outside::Disk { hangs }, &[]).map_err(|refusal| format!("{refusal:?}"))
    }

    /// The client of a seat, connected and not idling.
    fn ready(&mut self, seat: usize) -> Result<Client, String> {
        let mut client = self.seated(seat)?;
        if client.idling.is_some() {
            let reply = client.done()?;
            self.after_idle(&client, &reply)?;
        }
        Ok(client)
    }

    /// What came of a command is not foreseen while somebody else is at work.
    fn hear_crossed(&mut self, client: &mut Client, tag: &str, command: &Command) -> Done {
        let reply = client.hear(tag, command, None)?;
        self.counts.commands += 1;
        if self.is_sent_away(client, &reply)? {
            return Ok(());
        }
        if let (Command::Search { returns: Some(Returns { save: true, .. }), .. }, Some(selected)) =
            (command, &mut client.selected)
        {
            selected.saved = None;
        }
        if reply.word == "BAD" { Err("answered with BAD".into()) } else { Ok(()) }
    }
}

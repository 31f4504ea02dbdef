//! The end of a run: everybody is asked once more, and every state that was kept is brought up to date.

use super::{Done, Game};
use crate::model::actions::{self, Deed, Dice, Draw};
use crate::model::check;
use crate::model::client::Client;
use crate::model::command::{Command, Opening};
use crate::script::Ground as _;

/// States brought up to date at the end of a run, at most.
const STATES_AT_THE_END: usize = 24;

impl Game {
    /// Asks everybody once more, and goes on from the states that were kept.
    pub(super) fn finish(&mut self) -> Done {
        for seat in 0..self.clients.len() {
            let Some(mut client) = self.clients[seat].take() else { continue };
            self.last_words(&mut client).map_err(|why| format!("in the end, {}: {why}", client.talk.name))?;
            client.talk.disconnect();
        }
        let states = self.states.len();
        let every = states.div_ceil(STATES_AT_THE_END).max(1);
        let chosen: Vec<usize> = (0..states).step_by(every).collect();
        if !chosen.is_empty() {
            self.name_states();
            let seat = self.house.seats.iter().position(|traits| traits.qresync).unwrap_or(0);
            let mut client = self.seated(seat)?;
            for at in chosen {
                let mut dice = Dice::new(at as u64);
                let parameter = actions::resync_parameter(&self.states[at], &mut dice, client.traits.uid_only);
                let name = self.states[at].name.clone();
                let opening = Opening { name, read_only: false, condstore: false, resync: Some((parameter, at)) };
                self.perform(&mut client, &[Command::Select(opening)])?;
            }
            client.talk.disconnect();
        }
        self.ground.finish()
    }

    fn last_words(&mut self, client: &mut Client) -> Done {
        if client.talk.gone {
            return Ok(());
        }
        if client.idling.is_some() {
            let reply = client.done()?;
            self.after_idle(client, &reply)?;
        }
        self.perform(client, &[Command::Noop])?;
        if client.talk.gone || client.selected.is_none() {
            return Ok(());
        }
        let limits = self.house.limits;
        let mut draw = Draw { dice: Dice::new(0), client, states: &[], serial: 0, limits };
        let commands = draw.commands(Deed::Learn);
        self.perform(client, &commands)?;
        check::belief(client, &self.truth, true)
    }
}

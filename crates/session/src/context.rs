//! What a command handler works with: the session's state and services, and the channel to the client.

use std::sync::Arc;

use columba_store::{AccountStore, Mailbox, Snapshot};
use columba_types::{MailboxId, MailboxName, ModSeq, UidSet};
use columba_wire::{AppendPlace, Code, LiteralHead, MessageSet, Numbering, PrintMode, Printer, RawMailbox, Status};

use crate::channel::{Channel, Ended};
use crate::notify::Own;
use crate::progress::Progress;
use crate::reply::{Done, Failure};
use crate::services::{Peer, Services};
use crate::state::{Login, Selected, State, Told};
use crate::subset::within_limit;

/// Lent to a handler for the time of one command.
pub(crate) struct Context<'s, 'c> {
    pub(crate) services: &'s Services,
    pub(crate) peer: &'s mut Peer,
    pub(crate) state: &'s mut State,
    pub(crate) channel: &'s mut Channel<'c>,
    /// What the command has told of flags.
    pub(crate) told: Told,
    /// Of the running command.
    pub(crate) progress: Progress,
    /// What the command changes itself.
    pub(crate) own: Own,
    /// The mailbox that was selected when the command began, if something of it was not told and is followed.
    pub(crate) left: Option<MailboxId>,
    /// The literal of APPEND or REPLACE that the client has announced, and where in the command it stands.
    pub(crate) literal: Option<(LiteralHead, AppendPlace)>,
}

impl<'c> Context<'_, 'c> {
    pub(crate) fn mode(&self) -> PrintMode {
        self.state.enabled.print_mode()
    }

    pub(crate) fn printer(&mut self) -> Printer<'_> {
        let mode = self.mode();
        self.channel.printer(mode)
    }

    /// The login; the command table has seen to it that there is one.
    pub(crate) fn login(&mut self) -> Result<&mut Login, Failure> {
        self.state.login.as_deref_mut().ok_or_else(|| Failure::bad("Log in first"))
    }

    pub(crate) fn mail(&mut self) -> Result<Arc<AccountStore>, Failure> {
        Ok(self.login()?.mail.clone())
    }

    /// The selected mailbox; the command table has seen to it that there is one.
    pub(crate) fn selected(&mut self) -> Result<&mut Selected, Failure> {
        self.login()?.selected.as_deref_mut().ok_or_else(|| Failure::bad("Select a mailbox first"))
    }

    /// The selected mailbox of the store.
    pub(crate) fn mailbox(&mut self) -> Result<Arc<Mailbox>, Failure> {
        Ok(Arc::clone(self.selected()?.mailbox()?))
    }

    /// Takes the selected mailbox in hand, if there is one.
    pub(crate) async fn open_selected(&mut self) -> Result<(), Failure> {
        let Some(login) = self.state.login.as_deref_mut() else { return Ok(()) };
        let Some(selected) = login.selected.as_deref_mut() else { return Ok(()) };
        Ok(selected.open(&login.mail).await?)
    }

    /// The selected mailbox, and where to print, both at once.
    pub(crate) fn selected_and_channel(&mut self) -> Result<(&mut Selected, &mut Channel<'c>), Failure> {
        let selected = self.state.login.as_deref_mut().and_then(|login| login.selected.as_deref_mut());
        Ok((selected.ok_or_else(|| Failure::bad("Select a mailbox first"))?, self.channel))
    }

    /// A name as this client writes names. Normalised to NFC (RFC 9051 §5.1).
    pub(crate) fn mailbox_name(&self, raw: &RawMailbox) -> Result<MailboxName, Failure> {
        let text =
            raw.decode(self.state.enabled.name_form()).map_err(|why| Failure::no(Code::Cannot, why.to_string()))?;
        columba_store::normalise_name(&text).map_err(|why| Failure::no(Code::Cannot, why.to_string()))
    }

    /// The name as the client gave it, where a rev2 client has to learn that it was normalised (RFC 9051 §6.3.9.7).
    pub(crate) fn old_name(&self, raw: &RawMailbox, name: &MailboxName) -> Option<String> {
        let given = raw.decode(self.state.enabled.name_form()).ok()?;
        let same = given == name.as_str() || name.is_inbox();
        (self.state.enabled.rev2 && !same).then_some(given)
    }

    /// The UIDs a command means, among those the client knows of.
    pub(crate) fn resolve(&mut self, numbering: Numbering, set: &MessageSet) -> Result<UidSet, Failure> {
        self.selected()?.resolve(numbering, set)
    }

    /// As many of these messages as one command may be about, and the code that says so if they are not all.
    pub(crate) fn within_limit(&self, uids: UidSet) -> (UidSet, Option<Code>) {
        within_limit(self.services.settings.message_limit, uids)
    }

    /// Ends a command that took messages out of the selected mailbox. A client that wants mod-sequences is told that of the
    /// change (RFC 7162 §3.2.7, §3.2.9; RFC 6851 §4.4; RFC 8508 §4.5): everything up to it is told before the answer.
    pub(crate) fn took_out(&self, text: &'static str, modseq: ModSeq) -> Done {
        match self.state.enabled.condstore {
            true => Done::with(Code::HighestModSeq(modseq), text),
            false => Done::new(text),
        }
    }

    /// Ends a command that was not about all the messages it named. Where its answer has a code already, the limit is told
    /// before it (RFC 9738 §3.1 has this for EXPUNGEISSUED).
    pub(crate) fn limited(&mut self, done: Done, limited: Option<Code>) -> Done {
        match limited {
            None => done,
            Some(code) if done.has_code() => {
                self.printer().untagged(Status::No, Some(&code), "Not all the messages: there are limits");
                done
            }
            Some(code) => Done::with(code, "Done for the newest of the messages, as many as the limit allows"),
        }
    }

    /// The client has given a command that says it wants mod-sequences (RFC 7162 §3.1).
    pub(crate) fn enable_condstore(&mut self) {
        if std::mem::replace(&mut self.state.enabled.condstore, true) {
            return;
        }
        // With a mailbox selected already, it has to be told where it stands.
        if let Ok(complete) = self.selected().map(|selected| selected.complete()) {
            let text = "Everything is told up to here";
            self.printer().untagged(Status::Ok, Some(&Code::HighestModSeq(complete)), text);
        }
    }

    /// Notes what of the selected mailbox is not told, should the command leave it and others than the selected be followed.
    pub(crate) fn note_left(&mut self) {
        let Some(login) = self.state.login.as_deref() else { return };
        let follows = login.notify.as_ref().is_some_and(|notify| notify.follower.is_some());
        let selected = login.selected.as_deref().filter(|selected| follows && selected.has_untold());
        self.left = selected.map(|selected| selected.id);
    }

    /// Notes that the flags of `uids` have been told as `snapshot` has them.
    pub(crate) fn note_told(&mut self, uids: UidSet, snapshot: &Snapshot) {
        self.told = Told { uids, up_to: snapshot.head.highest_modseq, ..Told::default() };
    }

    pub(crate) async fn relieve(&mut self) -> Result<(), Ended> {
        self.channel.relieve().await
    }
}

impl Selected {
    /// The UIDs a message set means, among those the client knows of.
    ///
    /// A sequence number beyond the end is an error (RFC 9051 §9 `seq-number`), a UID that is not there is not (§6.4.9).
    pub(crate) fn resolve(&self, numbering: Numbering, set: &MessageSet) -> Result<UidSet, Failure> {
        let exists = self.view.exists();
        match (numbering, set) {
            (_, MessageSet::Saved) => Ok(self.saved.intersection(&self.view.announced())),
            (Numbering::Seq, MessageSet::Set(set)) => {
                if set.highest_written() > exists || (exists == 0 && set.has_star()) {
                    return Err(Failure::bad(format!("No such message: there are {exists} messages")));
                }
                Ok(self.view.uids_at(&set.resolve(exists)))
            }
            (Numbering::Uid, MessageSet::Set(set)) => {
                let last = self.view.last().map_or(0, |uid| uid.value());
                Ok(set.resolve(last).intersection(&self.view.announced()))
            }
        }
    }
}

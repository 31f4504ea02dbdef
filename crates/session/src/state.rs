//! What a session remembers between commands.

use std::sync::Arc;
use std::time::Duration;

use columba_store::{Account, AccountStore, Mailbox, StoreError, Watch};
use columba_types::{Keyword, MailboxId, ModSeq, UidSet};
use columba_wire::{NameForm, ParseMode, PrintMode};

use crate::notify::Notify;
use crate::reply::Failure;
use crate::services::{Pass, Settings};
use crate::table::PhaseKind;
use crate::view::View;

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) login: Option<Box<Login>>,
    pub(crate) enabled: Enabled,
    /// BAD answers since the last command that was none.
    pub(crate) bad_in_a_row: u32,
    pub(crate) login_failures: u32,
    /// The rules of hiding, by their places, that the client fits by what it said of itself.
    pub(crate) client_fits: Box<[usize]>,
    /// When the time to log in began, counted from the beginning of the connection.
    pub(crate) stranger_since: Duration,
}

impl State {
    pub(crate) fn phase(&self) -> PhaseKind {
        match &self.login {
            None => PhaseKind::NotAuthenticated,
            Some(login) if login.selected.is_none() => PhaseKind::Authenticated,
            Some(_) => PhaseKind::Selected,
        }
    }
}

/// What the client has enabled (RFC 9051 §6.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Enabled {
    pub(crate) rev2: bool,
    pub(crate) utf8_accept: bool,
    /// The client wants mod-sequences (RFC 7162 §3.1).
    pub(crate) condstore: bool,
    /// VANISHED in place of EXPUNGE; never without `condstore` (RFC 7162 §3.2.3).
    pub(crate) qresync: bool,
    /// No sequence numbers (RFC 9586).
    pub(crate) uid_only: bool,
    /// The client is told of annotations that others change: of mailboxes and of the server (RFC 5464 §4.1).
    pub(crate) metadata: bool,
    /// Only of those of the server.
    pub(crate) metadata_server: bool,
}

impl Enabled {
    /// Whether UTF-8 may stand in quoted strings and mailbox names (RFC 9051 §5.1, RFC 9755 §3).
    pub(crate) fn utf8(self) -> bool {
        self.rev2 || self.utf8_accept
    }

    pub(crate) fn print_mode(self) -> PrintMode {
        PrintMode { rev2: self.rev2, utf8: self.utf8(), uid_only: self.uid_only }
    }

    /// Whether the client is told of messages that are gone by their UIDs (RFC 7162 §3.2.10, RFC 9586 §3.4).
    pub(crate) fn vanished(self) -> bool {
        self.qresync || self.uid_only
    }

    pub(crate) fn parse_mode(self) -> ParseMode {
        ParseMode { utf8: self.utf8() }
    }

    pub(crate) fn name_form(self) -> NameForm {
        if self.utf8() { NameForm::Utf8 } else { NameForm::ModifiedUtf7 }
    }
}

/// Proof that somebody has logged in.
pub(crate) struct Login {
    pub(crate) account: Account,
    pub(crate) mail: Arc<AccountStore>,
    pub(crate) selected: Option<Box<Selected>>,
    /// The mailbox that was selected is not any more because another session deleted it.
    pub(crate) deselected: bool,
    /// What the client asked to be told unasked; `None` until it gives NOTIFY for the first time.
    pub(crate) notify: Option<Box<Notify>>,
    /// The change of annotations that the client was told last, or that it does not have to be told.
    pub(crate) metadata_told: u64,
    /// Changes of annotations that the running command made.
    pub(crate) own_metadata: Vec<u64>,
    /// Held, so that the connection counts.
    pub(crate) _pass: Pass,
}

impl Login {
    /// What rings when there may be something to tell: the whole account if other mailboxes are followed, else the
    /// selected one, if anything is to be told of it.
    pub(crate) fn watch(&mut self) -> Option<&mut Watch> {
        let notify = self.notify.as_deref_mut();
        let selected_wanted = notify.as_ref().is_none_or(|notify| notify.selected.messages);
        match notify.and_then(|notify| notify.follower.as_mut()) {
            Some(follower) => Some(follower.watch()),
            None => self.selected.as_deref_mut().filter(|_| selected_wanted).map(|selected| &mut selected.watch),
        }
    }

    /// Whether the client is to be told of annotations that others change, because it enabled that or by NOTIFY.
    pub(crate) fn listens_to_metadata(&self, enabled: Enabled) -> bool {
        let notified = self.notify.as_deref().is_some_and(Notify::wants_metadata);
        enabled.metadata || enabled.metadata_server || notified
    }

    /// Whether there is something to tell between commands too (RFC 5465 §3.1).
    pub(crate) fn is_notified(&self) -> bool {
        let wanted = |notify: &Notify| notify.follower.is_some() || notify.selected.messages && self.selected.is_some();
        self.notify.as_deref().is_some_and(wanted)
    }
}

impl Login {
    /// Whether changes of flags in the selected mailbox are told unasked, as they are unless NOTIFY says otherwise.
    pub(crate) fn sync_tells_flags(&self) -> bool {
        self.notify.as_ref().is_none_or(|notify| notify.selected.messages && notify.selected.flags)
    }

    /// Octets of the largest message that is taken: the account's limit, or else the server's (RFC 7889).
    pub(crate) fn message_bytes(&self, settings: &Settings) -> u64 {
        self.account.message_bytes.unwrap_or(settings.message_bytes)
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("account", &self.account.name).field("selected", &self.selected).finish()
    }
}

/// A mailbox that is selected. Between commands it keeps nothing of the mailbox itself in memory: only which one it is,
/// the bell that rings when it changes, and what the client has been told.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) id: MailboxId,
    pub(crate) watch: Watch,
    /// The mailbox while a command runs.
    open: Open,
    pub(crate) read_only: bool,
    pub(crate) view: View,
    /// The messages that are \Recent for this session alone (RFC 3501 §2.3.2); UIDs of gone ones may linger.
    pub(crate) recent: UidSet,
    /// The saved search result, `$` (RFC 9051 §6.4.4.1); UIDs of gone ones may linger.
    pub(crate) saved: UidSet,
    /// The keywords of the last FLAGS answer.
    pub(crate) keywords: Arc<[Keyword]>,
    /// Changes of flags were not told from here on, because the client does not want them (RFC 5465 §3.1).
    pub(crate) flags_untold: Option<ModSeq>,
}

/// Whether the selected mailbox is at hand.
#[derive(Debug)]
enum Open {
    /// The client idles.
    Resting,
    /// A command may run.
    Ready(Arc<Mailbox>),
    /// Another session deleted it.
    Deleted,
}

impl Selected {
    /// Selects it, for a client that has been told what `view` says.
    pub(crate) fn new(mailbox: Arc<Mailbox>, read_only: bool, view: View, keywords: Arc<[Keyword]>) -> Self {
        let (id, watch) = (mailbox.id(), mailbox.watch());
        let open = Open::Ready(mailbox);
        let (recent, saved) = (UidSet::new(), UidSet::new());
        Self { id, watch, open, read_only, view, recent, saved, keywords, flags_untold: None }
    }

    /// Every change up to here is told.
    pub(crate) fn complete(&self) -> ModSeq {
        self.flags_untold.map_or(self.view.complete(), |untold| untold.min(self.view.complete()))
    }

    /// Whether there is something the client has not been told, though it may have happened long ago.
    pub(crate) fn has_untold(&self) -> bool {
        let behind = self.mailbox().is_ok_and(|mailbox| mailbox.snapshot().head.highest_modseq > self.view.told());
        behind || self.view.has_pending() || self.flags_untold.is_some()
    }

    /// The mailbox, unless it was deleted.
    pub(crate) fn mailbox(&self) -> Result<&Arc<Mailbox>, Failure> {
        match &self.open {
            Open::Ready(mailbox) if !mailbox.is_deleted() => Ok(mailbox),
            _ => Err(Failure::MailboxGone),
        }
    }

    /// Takes the mailbox in hand, loading it if nobody else has it in memory.
    pub(crate) async fn open(&mut self, mail: &Arc<AccountStore>) -> Result<(), StoreError> {
        if !matches!(self.open, Open::Ready(_)) {
            self.open = match mail.mailbox(self.id).await {
                Ok(mailbox) => Open::Ready(mailbox),
                Err(StoreError::NotFound) => Open::Deleted,
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    /// Lets go of the mailbox until the next command or change.
    pub(crate) fn rest(&mut self) {
        self.open = Open::Resting;
    }
}

/// Messages whose flags the running command has told already, as of a state; the sync at its end leaves them out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) uids: UidSet,
    pub(crate) up_to: ModSeq,
    /// Messages the command made \Seen: their flags are told, whether or not the client wants to hear of flags.
    pub(crate) made_seen: UidSet,
}

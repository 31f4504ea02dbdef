//! What a session remembers between commands.

use std::sync::Arc;

use columba_store::{Account, AccountStore, Mailbox};
use columba_types::{Keyword, ModSeq, UidSet};
use columba_wire::{NameForm, ParseMode, PrintMode};

use crate::services::Pass;
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
}

impl Enabled {
    /// Whether UTF-8 may stand in quoted strings and mailbox names (RFC 9051 §5.1, RFC 9755 §3).
    pub(crate) fn utf8(self) -> bool {
        self.rev2 || self.utf8_accept
    }

    pub(crate) fn print_mode(self) -> PrintMode {
        PrintMode { rev2: self.rev2, utf8: self.utf8() }
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
    /// Held, so that the connection counts.
    pub(crate) _pass: Pass,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("account", &self.account.name).field("selected", &self.selected).finish()
    }
}

/// A mailbox that is selected.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) read_only: bool,
    pub(crate) view: View,
    /// The messages that are \Recent for this session alone (RFC 3501 §2.3.2); UIDs of gone ones may linger.
    pub(crate) recent: UidSet,
    /// The saved search result, `$` (RFC 9051 §6.4.4.1); UIDs of gone ones may linger.
    pub(crate) saved: UidSet,
    /// The keywords of the last FLAGS answer.
    pub(crate) keywords: Arc<[Keyword]>,
}

/// Messages whose flags the running command has told already, as of a state; the sync at its end leaves them out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) uids: UidSet,
    pub(crate) up_to: ModSeq,
}

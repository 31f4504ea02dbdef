//! The command table: what each command may do, and when. Dispatch, wrong-state answers, whether expunges may be told
//! and the documentation all come from it.

use columba_wire::{Append, CommandBody, Numbering};

/// The states a connection can be in (RFC 9051 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PhaseKind {
    /// Before login.
    NotAuthenticated,
    /// After login, no mailbox selected.
    Authenticated,
    /// A mailbox is selected.
    Selected,
}

/// When EXPUNGE may be told at the end of a command (RFC 9051 §7.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expunges {
    /// The command takes sequence numbers: never while it runs.
    Never,
    /// Only in its UID form.
    UidForm,
    /// Always.
    Always,
}

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// Its name, in upper case; the UID forms are the same command.
    pub name: &'static str,
    /// Where it may be given.
    pub phases: &'static [PhaseKind],
    /// Whether it has a form that takes message sequence numbers.
    pub sequence_numbers: bool,
    /// Whether EXPUNGE may be told at its end.
    pub expunges: Expunges,
    /// Whether it changes the selected mailbox, so that EXAMINE forbids it.
    pub writes: bool,
    /// Where the command is defined.
    pub defined: &'static str,
}

use Expunges::{Always, Never, UidForm};
use PhaseKind::{Authenticated, NotAuthenticated, Selected};

const ANY: &[PhaseKind] = &[NotAuthenticated, Authenticated, Selected];
const BEFORE_LOGIN: &[PhaseKind] = &[NotAuthenticated];
const LOGGED_IN: &[PhaseKind] = &[Authenticated, Selected];
const SELECTED: &[PhaseKind] = &[Selected];

const fn row(
    name: &'static str,
    phases: &'static [PhaseKind],
    expunges: Expunges,
    defined: &'static str,
) -> CommandSpec {
    CommandSpec { name, phases, sequence_numbers: false, expunges, writes: false, defined }
}

const fn numbered(mut spec: CommandSpec) -> CommandSpec {
    spec.sequence_numbers = true;
    spec
}

const fn writing(mut spec: CommandSpec) -> CommandSpec {
    spec.writes = true;
    spec
}

/// Every command there is.
pub const COMMANDS: &[CommandSpec] = &[
    row("CAPABILITY", ANY, Always, "RFC 9051 §6.1.1"),
    row("NOOP", ANY, Always, "RFC 9051 §6.1.2"),
    row("LOGOUT", ANY, Never, "RFC 9051 §6.1.3"),
    row("ID", ANY, Always, "RFC 2971 §3.1"),
    row("STARTTLS", BEFORE_LOGIN, Never, "RFC 9051 §6.2.1"),
    row("AUTHENTICATE", BEFORE_LOGIN, Never, "RFC 9051 §6.2.2"),
    row("LOGIN", BEFORE_LOGIN, Never, "RFC 9051 §6.2.3"),
    row("ENABLE", LOGGED_IN, Always, "RFC 9051 §6.3.1"),
    row("UNAUTHENTICATE", LOGGED_IN, Never, "RFC 8437 §3"),
    row("COMPRESS", LOGGED_IN, Always, "RFC 4978 §3"),
    row("SELECT", LOGGED_IN, Never, "RFC 9051 §6.3.2"),
    row("EXAMINE", LOGGED_IN, Never, "RFC 9051 §6.3.3"),
    row("CREATE", LOGGED_IN, Always, "RFC 9051 §6.3.4"),
    row("DELETE", LOGGED_IN, Always, "RFC 9051 §6.3.5"),
    row("RENAME", LOGGED_IN, Always, "RFC 9051 §6.3.6"),
    row("SUBSCRIBE", LOGGED_IN, Always, "RFC 9051 §6.3.7"),
    row("UNSUBSCRIBE", LOGGED_IN, Always, "RFC 9051 §6.3.8"),
    row("LIST", LOGGED_IN, Always, "RFC 9051 §6.3.9"),
    row("LSUB", LOGGED_IN, Always, "RFC 3501 §6.3.9"),
    row("NAMESPACE", LOGGED_IN, Always, "RFC 9051 §6.3.10"),
    row("STATUS", LOGGED_IN, Always, "RFC 9051 §6.3.11"),
    row("GETMETADATA", LOGGED_IN, Always, "RFC 5464 §4.2"),
    row("SETMETADATA", LOGGED_IN, Always, "RFC 5464 §4.3"),
    row("APPEND", LOGGED_IN, Always, "RFC 9051 §6.3.12"),
    row("IDLE", LOGGED_IN, Always, "RFC 9051 §6.3.13"),
    row("NOTIFY", LOGGED_IN, Always, "RFC 5465 §3.1"),
    row("CHECK", SELECTED, Always, "RFC 3501 §6.4.1"),
    row("CLOSE", SELECTED, Never, "RFC 9051 §6.4.1"),
    row("UNSELECT", SELECTED, Never, "RFC 9051 §6.4.2"),
    writing(row("EXPUNGE", SELECTED, Always, "RFC 9051 §6.4.3")),
    numbered(row("SEARCH", SELECTED, UidForm, "RFC 9051 §6.4.4")),
    numbered(row("FETCH", SELECTED, UidForm, "RFC 9051 §6.4.5")),
    writing(numbered(row("STORE", SELECTED, UidForm, "RFC 9051 §6.4.6"))),
    row("UIDBATCHES", SELECTED, Always, "RFC 10022 §3.1"),
    numbered(row("COPY", SELECTED, Always, "RFC 9051 §6.4.7")),
    writing(numbered(row("MOVE", SELECTED, Always, "RFC 9051 §6.4.8"))),
    writing(numbered(row("REPLACE", SELECTED, Always, "RFC 8508 §3"))),
];

/// The row of that name, which must be one of the table's.
pub(crate) fn spec(name: &str) -> Option<&'static CommandSpec> {
    COMMANDS.iter().find(|spec| spec.name == name)
}

/// The name of a command, as it stands in the table, and whether it came in its UID form.
pub(crate) fn name_of(body: &CommandBody) -> (&'static str, Numbering) {
    let name = match body {
        CommandBody::Capability => "CAPABILITY",
        CommandBody::Noop => "NOOP",
        CommandBody::Logout => "LOGOUT",
        CommandBody::Id(_) => "ID",
        CommandBody::StartTls => "STARTTLS",
        CommandBody::Authenticate { .. } => "AUTHENTICATE",
        CommandBody::Login { .. } => "LOGIN",
        CommandBody::Enable(_) => "ENABLE",
        CommandBody::Unauthenticate => "UNAUTHENTICATE",
        CommandBody::Compress(_) => "COMPRESS",
        CommandBody::Select { read_only: false, .. } => "SELECT",
        CommandBody::Select { read_only: true, .. } => "EXAMINE",
        CommandBody::Create { .. } => "CREATE",
        CommandBody::Delete { .. } => "DELETE",
        CommandBody::Rename { .. } => "RENAME",
        CommandBody::Subscribe { .. } => "SUBSCRIBE",
        CommandBody::Unsubscribe { .. } => "UNSUBSCRIBE",
        CommandBody::List(_) => "LIST",
        CommandBody::Lsub { .. } => "LSUB",
        CommandBody::Namespace => "NAMESPACE",
        CommandBody::Append(Append { replaced: None, .. }) => "APPEND",
        CommandBody::Append(Append { replaced: Some((numbering, _)), .. }) => return ("REPLACE", *numbering),
        CommandBody::Status { .. } => "STATUS",
        CommandBody::GetMetadata { .. } => "GETMETADATA",
        CommandBody::SetMetadata { .. } => "SETMETADATA",
        CommandBody::Idle => "IDLE",
        CommandBody::Notify(_) => "NOTIFY",
        CommandBody::Check => "CHECK",
        CommandBody::Close => "CLOSE",
        CommandBody::Unselect => "UNSELECT",
        CommandBody::Expunge { uids: None } => "EXPUNGE",
        CommandBody::Expunge { uids: Some(_) } => return ("EXPUNGE", Numbering::Uid),
        CommandBody::Search(search) => return ("SEARCH", search.numbering),
        CommandBody::Fetch { numbering, .. } => return ("FETCH", *numbering),
        CommandBody::Store { numbering, .. } | CommandBody::StoreLabels { numbering, .. } => {
            return ("STORE", *numbering);
        }
        CommandBody::Copy { numbering, .. } => return ("COPY", *numbering),
        CommandBody::Move { numbering, .. } => return ("MOVE", *numbering),
        CommandBody::UidBatches { .. } => "UIDBATCHES",
    };
    (name, Numbering::Seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_writers_need_a_selected_mailbox() {
        for (i, spec) in COMMANDS.iter().enumerate() {
            assert!(COMMANDS[i + 1..].iter().all(|other| other.name != spec.name), "{}", spec.name);
            if spec.writes || spec.sequence_numbers {
                assert_eq!(spec.phases, SELECTED, "{}", spec.name);
            }
        }
    }

    // RFC 9051 §7.5.1: no EXPUNGE while FETCH, STORE or SEARCH is in progress.
    #[test]
    fn fetch_store_and_search_tell_no_expunge() {
        for name in ["FETCH", "STORE", "SEARCH"] {
            assert_eq!(spec(name).map(|spec| spec.expunges), Some(UidForm));
        }
    }
}

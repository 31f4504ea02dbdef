//! LIST, LSUB, STATUS and NAMESPACE responses.

use std::io::Write;

use columba_types::MailboxId;

use super::Printer;
use crate::command::StatusItem;
use crate::mailbox::encode_mailbox;

/// One mailbox of a LIST response (RFC 9051 §7.3.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct ListLine<'a> {
    /// With their backslash.
    pub attributes: &'a [&'a str],
    /// `None` is NIL: there is no hierarchy.
    pub separator: Option<char>,
    /// In UTF-8; empty for the root that `LIST "" ""` asks for.
    pub name: &'a str,
    /// Whether a subscribed mailbox lies below (`CHILDINFO ("SUBSCRIBED")`).
    pub child_info: bool,
    /// The name the client used or knew (`OLDNAME`, RFC 9051 §6.3.9.7).
    pub old_name: Option<&'a str>,
}

/// Namespaces of one kind: prefix and separator.
pub type Namespace<'a> = &'a [(&'a str, char)];

impl StatusItem {
    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
            Self::Deleted => "DELETED",
            Self::HighestModSeq => "HIGHESTMODSEQ",
            Self::Size => "SIZE",
            Self::MailboxId => "MAILBOXID",
            Self::AppendLimit => "APPENDLIMIT",
        }
    }
}

/// What STATUS says of one item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusValue {
    /// A count, a size, a UID.
    Number(u64),
    /// RFC 8474 §4.3
    MailboxId(MailboxId),
}

impl From<u32> for StatusValue {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for StatusValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl Printer<'_> {
    /// `* LIST`
    pub fn list(&mut self, line: &ListLine<'_>) {
        self.list_line("LIST", line);
        if line.child_info || line.old_name.is_some() {
            self.bytes(b" (");
            if line.child_info {
                // RFC 9051 §9: the options are always quoted here.
                self.bytes(b"\"CHILDINFO\" (\"SUBSCRIBED\")");
            }
            if let Some(old_name) = line.old_name {
                self.bytes(if line.child_info { b" \"OLDNAME\" (" } else { b"\"OLDNAME\" (" });
                self.mailbox(old_name);
                self.bytes(b")");
            }
            self.bytes(b")");
        }
        self.line_end();
    }

    /// `* LSUB` (RFC 3501 §7.2.3), which has no extended data.
    pub fn lsub(&mut self, line: &ListLine<'_>) {
        self.list_line("LSUB", line);
        self.line_end();
    }

    /// `* STATUS`
    pub fn status(&mut self, name: &str, items: &[(StatusItem, StatusValue)]) {
        self.bytes(b"* STATUS ");
        self.mailbox(name);
        self.bytes(b" (");
        for (i, (item, value)) in items.iter().enumerate() {
            if i > 0 {
                self.bytes(b" ");
            }
            self.bytes(item.name().as_bytes());
            self.bytes(b" ");
            match value {
                StatusValue::Number(number) => self.decimal(*number),
                // Writing into a Vec cannot fail.
                StatusValue::MailboxId(id) => _ = write!(self.out, "({id})"),
            }
        }
        self.bytes(b")\r\n");
    }

    /// `* NAMESPACE` with the personal, other users' and shared namespaces (RFC 9051 §6.3.10); none is NIL.
    pub fn namespace(&mut self, personal: Namespace<'_>, others: Namespace<'_>, shared: Namespace<'_>) {
        self.bytes(b"* NAMESPACE");
        for namespaces in [personal, others, shared] {
            self.bytes(b" ");
            if namespaces.is_empty() {
                self.bytes(b"NIL");
                continue;
            }
            self.bytes(b"(");
            for (prefix, separator) in namespaces {
                self.bytes(b"(");
                // namespace-descr has a string, never an atom.
                let form = self.strings().name_form();
                self.string(&encode_mailbox(prefix, form));
                self.bytes(b" ");
                self.separator(Some(*separator));
                self.bytes(b")");
            }
            self.bytes(b")");
        }
        self.line_end();
    }

    fn list_line(&mut self, name: &str, line: &ListLine<'_>) {
        self.bytes(b"* ");
        self.bytes(name.as_bytes());
        self.bytes(b" (");
        self.spaced(line.attributes.iter().copied());
        self.bytes(b") ");
        self.separator(line.separator);
        self.bytes(b" ");
        self.mailbox(line.name);
    }

    fn separator(&mut self, separator: Option<char>) {
        match separator {
            Some(separator) => self.string(separator.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.bytes(b"NIL"),
        }
    }
}

//! Response codes: what stands in brackets before the text of OK, NO, BAD and BYE (RFC 9051 §7.1, RFC 5530).

use std::fmt::Write;

use columba_types::limits::QUOTED_STRING_BYTES;
use columba_types::{MailboxId, ModSeq, SeqNum, Uid, UidSet, UidValidity};

use super::strings::decimal;
use crate::command::Tag;

/// A response code.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as in the RFCs")]
pub enum Code {
    Alert,
    AlreadyExists,
    /// RFC 5465 §8, with the names of the events that are supported.
    BadEvent(&'static str),
    /// RFC 4315 §3; the UIDs are never none.
    AppendUid {
        validity: UidValidity,
        uids: UidSet,
    },
    /// RFC 4315 §3: the nth UID of `from` became the nth of `to`, so messages must be copied in rising order of their
    /// UIDs; both sets have the same number of them, never none.
    CopyUid {
        validity: UidValidity,
        from: UidSet,
        to: UidSet,
    },
    AuthenticationFailed,
    AuthorizationFailed,
    /// With the charsets that are supported; none for the plain form.
    BadCharset(Vec<&'static str>),
    /// RFC 4469 §4.1, with the URL as the client sent it.
    BadUrl(Vec<u8>),
    Cannot,
    /// The names, separated by spaces.
    Capability(String),
    ClientBug,
    Closed,
    /// RFC 4978 §3
    CompressionActive,
    ContactAdmin,
    Corruption,
    Expired,
    ExpungeIssued,
    HasChildren,
    /// RFC 7162 §3.1.2.1
    HighestModSeq(ModSeq),
    InUse,
    /// RFC 9585 §4: the command it is about, and how much is done of how much; the latter above the former.
    InProgress {
        tag: Option<Tag>,
        counts: Option<(u32, u32)>,
    },
    Limit,
    /// RFC 8474 §4
    MailboxId(MailboxId),
    /// RFC 5464 §4.2.1: octets of the largest value left out.
    MetadataLongEntries(u64),
    /// RFC 5464 §4.3: octets that a value may have.
    MetadataMaxSize(u64),
    /// RFC 5464 §4.3
    MetadataTooMany,
    /// RFC 9738 §3.1: how many messages one command may be about, and the lowest UID it got to.
    MessageLimit {
        limit: u32,
        lowest: Option<Uid>,
    },
    /// RFC 7162 §3.1.3: sequence numbers or UIDs, as the command had them; never none.
    Modified(UidSet),
    /// RFC 7162 §3.1.2.2
    NoModSeq,
    NonExistent,
    NoPerm,
    NotSaved,
    /// RFC 5465 §5.8
    NotificationOverflow,
    OverQuota,
    Parse,
    /// The flags, separated by spaces, without the parentheses.
    PermanentFlags(String),
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    ServerBug,
    /// RFC 7888 §4, RFC 4469 §4.2
    TooBig,
    /// RFC 10022 §3.1.3.2
    TooFew,
    /// RFC 10022 §3.1.7
    TooMany,
    TryCreate,
    UidNext(Uid),
    UidNotSticky,
    /// RFC 9586 §3
    UidRequired,
    UidValidity(UidValidity),
    Unavailable,
    UnknownCte,
    /// rev1 only (RFC 9051 App. E)
    Unseen(SeqNum),
    /// RFC 6154 §3
    UseAttr,
}

impl Code {
    /// Its name as printed.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Alert => "ALERT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::BadEvent(_) => "BADEVENT",
            Self::AppendUid { .. } => "APPENDUID",
            Self::CopyUid { .. } => "COPYUID",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::BadCharset(_) => "BADCHARSET",
            Self::BadUrl(_) => "BADURL",
            Self::Cannot => "CANNOT",
            Self::Capability(_) => "CAPABILITY",
            Self::ClientBug => "CLIENTBUG",
            Self::Closed => "CLOSED",
            Self::CompressionActive => "COMPRESSIONACTIVE",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::Corruption => "CORRUPTION",
            Self::Expired => "EXPIRED",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::HighestModSeq(_) => "HIGHESTMODSEQ",
            Self::InUse => "INUSE",
            Self::InProgress { .. } => "INPROGRESS",
            Self::Limit => "LIMIT",
            Self::MailboxId(_) => "MAILBOXID",
            Self::MetadataLongEntries(_) | Self::MetadataMaxSize(_) | Self::MetadataTooMany => "METADATA",
            Self::MessageLimit { .. } => "MESSAGELIMIT",
            Self::Modified(_) => "MODIFIED",
            Self::NoModSeq => "NOMODSEQ",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::NotSaved => "NOTSAVED",
            Self::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Self::OverQuota => "OVERQUOTA",
            Self::Parse => "PARSE",
            Self::PermanentFlags(_) => "PERMANENTFLAGS",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TooFew => "TOOFEW",
            Self::TooMany => "TOOMANY",
            Self::TryCreate => "TRYCREATE",
            Self::UidNext(_) => "UIDNEXT",
            Self::UidNotSticky => "UIDNOTSTICKY",
            Self::UidRequired => "UIDREQUIRED",
            Self::UidValidity(_) => "UIDVALIDITY",
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::Unseen(_) => "UNSEEN",
            Self::UseAttr => "USEATTR",
        }
    }

    /// Prints it with its brackets.
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        out.extend_from_slice(self.name().as_bytes());
        match self {
            Self::AppendUid { validity, uids } => {
                number(out, validity.value());
                set(out, uids);
            }
            Self::CopyUid { validity, from, to } => {
                debug_assert_eq!(from.len(), to.len(), "COPYUID pairs its sets");
                number(out, validity.value());
                set(out, from);
                set(out, to);
            }
            Self::BadEvent(events) => list(out, events),
            Self::BadCharset(charsets) if charsets.is_empty() => {}
            Self::BadCharset(charsets) => list(out, &charsets.join(" ")),
            Self::BadUrl(octets) => url(out, octets),
            Self::Capability(names) => {
                out.push(b' ');
                out.extend_from_slice(names.as_bytes());
            }
            Self::HighestModSeq(modseq) => {
                out.push(b' ');
                decimal(out, modseq.0);
            }
            Self::InProgress { tag: None, counts: None } => {}
            Self::InProgress { tag, counts } => {
                // RFC 9585 §4: the tag is quoted; no tag has a character to be escaped.
                let tag = tag.as_ref().map_or("NIL".to_owned(), |tag| format!("\"{tag}\""));
                let counts = counts.map_or("NIL NIL".to_owned(), |(done, goal)| format!("{done} {goal}"));
                list(out, &format!("{tag} {counts}"));
            }
            Self::MetadataLongEntries(octets) => {
                out.extend_from_slice(b" LONGENTRIES ");
                decimal(out, *octets);
            }
            Self::MetadataMaxSize(octets) => {
                out.extend_from_slice(b" MAXSIZE ");
                decimal(out, *octets);
            }
            Self::MetadataTooMany => out.extend_from_slice(b" TOOMANY"),
            Self::MailboxId(id) => {
                let mut text = String::new();
                let _ = write!(text, "{id}");
                list(out, &text);
            }
            Self::MessageLimit { limit, lowest } => {
                number(out, *limit);
                if let Some(uid) = lowest {
                    number(out, uid.value());
                }
            }
            Self::Modified(numbers) => set(out, numbers),
            Self::PermanentFlags(flags) => list(out, flags),
            Self::UidNext(uid) => number(out, uid.value()),
            Self::UidValidity(validity) => number(out, validity.value()),
            Self::Unseen(seq) => number(out, seq.value()),
            _ => {}
        }
        out.push(b']');
    }
}

fn number(out: &mut Vec<u8>, number: u32) {
    out.push(b' ');
    decimal(out, u64::from(number));
}

fn set(out: &mut Vec<u8>, set: &UidSet) {
    out.push(b' ');
    uid_set(out, set);
}

/// In quotes, as RFC 4469's examples have it. What could end the code or the line is percent-encoded, and so never
/// stands in a legal URL; of one that is too long the beginning is told.
fn url(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend_from_slice(b" \"");
    for octet in octets.iter().take(QUOTED_STRING_BYTES / 3) {
        match octet {
            b'"' | b'\\' | b']' | 0..=b' ' | 0x7f.. => {
                // Writing into a Vec cannot fail.
                let _ = std::io::Write::write_fmt(out, format_args!("%{octet:02X}"));
            }
            _ => out.push(*octet),
        }
    }
    out.push(b'"');
}

fn list(out: &mut Vec<u8>, inner: &str) {
    out.extend_from_slice(b" (");
    out.extend_from_slice(inner.as_bytes());
    out.push(b')');
}

/// `1:3,5`; nothing for the empty set.
pub(super) fn uid_set(out: &mut Vec<u8>, set: &UidSet) {
    for (i, &(low, high)) in set.ranges().iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        decimal(out, u64::from(low));
        if high != low {
            out.push(b':');
            decimal(out, u64::from(high));
        }
    }
}

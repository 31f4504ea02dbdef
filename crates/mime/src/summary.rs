//! What is computed once, when a message is delivered, and stored ready to send.

use columba_types::DateTime;
use columba_types::limits::{REFERENCES, STRUCTURE_BYTES};

use crate::address::Address;
use crate::date::parse_date;
use crate::envelope::{self, EnvelopeFields};
use crate::header::is_space;
use crate::print::Printer;
use crate::section::PartTable;
use crate::subject::base_subject;
use crate::walker::Structure;
use crate::words::decode_words;
use crate::{body_structure, charset};

/// Everything of a message that FETCH, SEARCH, SORT and THREAD want without reading the message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// ENVELOPE for a client without UTF-8, `(…)`: never an 8-bit octet.
    pub envelope: Vec<u8>,
    /// ENVELOPE for a client with UTF8=ACCEPT or IMAP4rev2; `None` if it is the same.
    pub envelope_utf8: Option<Vec<u8>>,
    /// BODYSTRUCTURE for a client without UTF-8.
    pub body_structure: Vec<u8>,
    /// BODYSTRUCTURE for a client with UTF-8; `None` if it is the same.
    pub body_structure_utf8: Option<Vec<u8>>,
    /// An encoded [`crate::PartTable`].
    pub parts: Vec<u8>,
    /// The moment in the Date field.
    pub sent: Option<DateTime>,
    /// Subject, decoded.
    pub subject: String,
    /// From, decoded: `Name <mailbox@host>, …`.
    pub from: String,
    /// To, likewise.
    pub to: String,
    /// Cc, likewise.
    pub cc: String,
    /// Bcc, likewise.
    pub bcc: String,
    /// Local part of the first From address: the FROM key of SORT (RFC 5256 §3).
    pub from_mailbox: String,
    /// The TO key of SORT.
    pub to_mailbox: String,
    /// The CC key of SORT.
    pub cc_mailbox: String,
    /// The DISPLAYFROM key of SORT (RFC 5957 §3): the first address' name, decoded, else `mailbox@host`.
    pub display_from: String,
    /// The DISPLAYTO key of SORT.
    pub display_to: String,
    /// Message-ID without angle brackets and quoting.
    pub message_id: Option<String>,
    /// Ids of References, else the first of In-Reply-To; oldest first, `REFERENCES` at most.
    pub references: Vec<String>,
    /// The base subject (RFC 5256 §2.1), its case kept.
    pub base_subject: String,
    /// Whether the subject is that of a reply or forwarded message.
    pub subject_is_reply: bool,
}

/// Computes all of it.
pub fn summarise(structure: &Structure) -> Summary {
    let none = EnvelopeFields::default();
    let fields = structure.parts.first().and_then(|part| part.envelope.as_deref()).unwrap_or(&none);
    let lists = fields.lists();
    let (envelope, envelope_utf8) = both(|printer| {
        fields.print(&lists, printer);
        if printer.out.len() > STRUCTURE_BYTES {
            printer.out.clear();
            printer.raw(envelope::OPAQUE);
        }
    });
    let (body_structure, body_structure_utf8) = both(|printer| body_structure::print(structure, printer));
    let subject = fields.subject.as_deref().map(decode_words).unwrap_or_default();
    let base = base_subject(&subject);
    Summary {
        envelope,
        envelope_utf8,
        body_structure,
        body_structure_utf8,
        parts: PartTable::new(structure).encode(),
        sent: fields.date.as_deref().and_then(parse_date),
        subject,
        from: shown(&lists.from),
        to: shown(&lists.to),
        cc: shown(&lists.cc),
        bcc: shown(&lists.bcc),
        from_mailbox: sort_mailbox(&lists.from),
        to_mailbox: sort_mailbox(&lists.to),
        cc_mailbox: sort_mailbox(&lists.cc),
        display_from: sort_display(&lists.from),
        display_to: sort_display(&lists.to),
        message_id: fields.message_id.as_deref().and_then(|raw| message_ids(raw, 1).pop()),
        references: references(fields),
        base_subject: base.text,
        subject_is_reply: base.is_reply,
    }
}

/// Prints without and with UTF-8; the second only if it differs.
fn both(print: impl Fn(&mut Printer)) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut plain = Printer::new(false);
    print(&mut plain);
    let utf8 = plain.differs.then(|| {
        let mut utf8 = Printer::new(true);
        print(&mut utf8);
        utf8.out
    });
    let utf8 = utf8.filter(|utf8| *utf8 != plain.out);
    (plain.out, utf8)
}

/// A list as text: `Name <mailbox@host>, Group: mailbox@host;`.
fn shown(list: &[Address]) -> String {
    let mut out = String::new();
    let mut first = true;
    for address in list {
        let is_end = address.mailbox.is_none();
        if !first && !is_end {
            out.push_str(", ");
        }
        first = false;
        match (&address.mailbox, &address.host) {
            (None, _) => out.push(';'),
            (Some(group), None) => {
                out.push_str(&decode_words(group));
                out.push_str(": ");
                first = true;
            }
            (Some(_), Some(_)) => match &address.name {
                Some(name) => {
                    out.push_str(&decode_words(name));
                    out.push_str(" <");
                    push_address(address, &mut out);
                    out.push('>');
                }
                None => push_address(address, &mut out),
            },
        }
    }
    out
}

/// `mailbox@host`, or just the mailbox.
fn push_address(address: &Address, out: &mut String) {
    out.push_str(&charset::header_text(address.mailbox.as_deref().unwrap_or_default()));
    if let Some(host) = address.host.as_deref().filter(|host| !host.is_empty()) {
        out.push('@');
        out.push_str(&charset::header_text(host));
    }
}

// RFC 5256 §3: the addr-mailbox of the first address; a group's name stands there too.
fn sort_mailbox(list: &[Address]) -> String {
    list.first().and_then(|address| address.mailbox.as_deref()).map(charset::header_text).unwrap_or_default()
}

// RFC 5957 §3: the display name, else mailbox@host; of a group its name.
fn sort_display(list: &[Address]) -> String {
    let Some(address) = list.first() else { return String::new() };
    match (&address.name, &address.mailbox, &address.host) {
        (Some(name), ..) | (None, Some(name), None) => decode_words(name),
        _ => {
            let mut out = String::new();
            push_address(address, &mut out);
            out
        }
    }
}

// RFC 5256 §3, THREAD=REFERENCES: the ids of References; without any, the first one of In-Reply-To.
fn references(fields: &EnvelopeFields) -> Vec<String> {
    let mut ids = fields.references.as_deref().map(|raw| message_ids(raw, usize::MAX)).unwrap_or_default();
    if ids.len() > REFERENCES {
        ids.drain(1..=ids.len() - REFERENCES);
    }
    if ids.is_empty() {
        ids = fields.in_reply_to.as_deref().map(|raw| message_ids(raw, 1)).unwrap_or_default();
    }
    ids
}

/// The first `count` message ids of a field, without angle brackets.
// RFC 5256 §3: ids are compared after their quoting is removed, so <"a"@b> is <a@b>. What stands between them is ignored.
fn message_ids(raw: &[u8], count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut rest = raw;
    while ids.len() < count
        && let Some(start) = memchr::memchr(b'<', rest)
    {
        let mut id = Vec::new();
        let mut quoted = false;
        let mut bytes = rest.get(start + 1..).unwrap_or_default().iter();
        let mut closed = false;
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => quoted = !quoted,
                b'\\' if quoted => id.extend(bytes.next()),
                b'>' if !quoted => {
                    closed = true;
                    break;
                }
                // What came before was not closed, and is none.
                b'<' if !quoted => id.clear(),
                _ if is_space(*byte) && !quoted => {}
                _ => id.push(*byte),
            }
        }
        rest = bytes.as_slice();
        if closed && !id.is_empty() {
            ids.push(charset::header_text(&id));
        }
    }
    // Some mailers leave the angle brackets out.
    if ids.is_empty() && count == 1 && raw.contains(&b'@') {
        let word = raw.split(|b| is_space(*b)).find(|word| word.contains(&b'@') && !word.contains(&b'<'));
        ids.extend(word.map(charset::header_text));
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walker::walk;

    fn of(header: &str) -> Summary {
        summarise(&walk(format!("{header}\r\n\r\nbody").as_bytes()))
    }

    #[test]
    fn addresses_as_search_and_sort_see_them() {
        let summary =
            of("From: =?utf-8?q?J=C3=B6rg?= <j@x.org>\r\nTo: Team: a@b, \"C, D\" <c@d>;\r\nCc: root\r\nBcc: <e@f>");
        assert_eq!(summary.from, "Jörg <j@x.org>");
        assert_eq!(summary.to, "Team: a@b, C, D <c@d>;");
        assert_eq!((summary.cc.as_str(), summary.bcc.as_str()), ("root", "e@f"));
        assert_eq!([summary.from_mailbox, summary.to_mailbox, summary.cc_mailbox], ["j", "Team", "root"]);
        assert_eq!([summary.display_from, summary.display_to], ["Jörg", "Team"]);
        assert_eq!(of("From: a@b").display_from, "a@b");
    }

    // RFC 5256 §3
    #[test]
    fn ids_are_normalised() {
        let summary = of("Message-ID: <\"a\"@b>\r\nReferences: <1@x> junk <2@\r\n x><3@x\r\nIn-Reply-To: <4@x>");
        assert_eq!(summary.message_id.as_deref(), Some("a@b"));
        assert_eq!(summary.references, ["1@x", "2@x"]);
        assert_eq!(of("In-Reply-To: Your message of <4@x> and <5@x>").references, ["4@x"]);
        assert_eq!(of("References: none\r\nIn-Reply-To: <4@x>").references, ["4@x"]);
        assert_eq!(of("Message-ID: bare@id ").message_id.as_deref(), Some("bare@id"));
        assert_eq!(of("Message-ID: ").message_id, None);
        let many: String = (0..150).map(|n| format!("<{n}@x> ")).collect();
        let kept = of(&format!("References: {many}")).references;
        assert_eq!((kept.len(), kept[0].as_str(), kept[1].as_str(), kept[99].as_str()), (100, "0@x", "51@x", "149@x"));
    }

    #[test]
    fn subjects_and_dates_are_decoded() {
        let summary = of("Subject: Re: =?iso-8859-1?q?Gr=FC=DFe?=\r\nDate: 1 Jan 2001 00:00:00 +0100");
        assert_eq!((summary.subject.as_str(), summary.base_subject.as_str()), ("Re: Grüße", "Grüße"));
        assert!(summary.subject_is_reply);
        assert_eq!(summary.sent.unwrap().to_string(), " 1-Jan-2001 00:00:00 +0100");
        assert_eq!(summary.envelope_utf8, None);
    }

    #[test]
    fn both_forms_only_where_they_differ() {
        let summary = of("Subject: Grüße");
        assert!(summary.envelope.is_ascii());
        assert_eq!(
            summary.envelope_utf8.as_deref(),
            Some("(NIL \"Grüße\" NIL NIL NIL NIL NIL NIL NIL NIL)".as_bytes())
        );
        assert_eq!(summary.body_structure_utf8, None);
        let global = of("Content-Type: message/global");
        assert!(global.body_structure.starts_with(b"(\"message\" \"rfc822\""));
        assert!(global.body_structure_utf8.unwrap().starts_with(b"(\"message\" \"global\""));
    }
}

//! The fields of ENVELOPE as they stand in a header, and ENVELOPE printed (RFC 9051 §7.5.2).

use columba_types::limits::STRUCTURED_FIELD_BYTES;

use crate::address::{Address, parse_addresses};
use crate::content::lower_case;
use crate::header::unfold;
use crate::print::Printer;

/// Raw values of the fields that ENVELOPE and the sort keys need, unfolded and trimmed. `None`: no such field.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EnvelopeFields {
    /// Date
    pub date: Option<Vec<u8>>,
    /// Subject
    pub subject: Option<Vec<u8>>,
    /// From; several fields are joined by commas, here and below.
    pub from: Option<Vec<u8>>,
    /// Sender
    pub sender: Option<Vec<u8>>,
    /// Reply-To
    pub reply_to: Option<Vec<u8>>,
    /// To
    pub to: Option<Vec<u8>>,
    /// Cc
    pub cc: Option<Vec<u8>>,
    /// Bcc
    pub bcc: Option<Vec<u8>>,
    /// In-Reply-To
    pub in_reply_to: Option<Vec<u8>>,
    /// Message-ID
    pub message_id: Option<Vec<u8>>,
    /// References
    pub references: Option<Vec<u8>>,
}

impl EnvelopeFields {
    /// Takes a field if it is one of them. Of several fields with one text the first counts, as for most readers.
    pub(crate) fn take(&mut self, name: &[u8], value: &[u8]) {
        let mut lower = [0; 11];
        let (slot, joins) = match lower_case(name, &mut lower) {
            b"date" => (&mut self.date, false),
            b"subject" => (&mut self.subject, false),
            b"from" => (&mut self.from, true),
            b"sender" => (&mut self.sender, true),
            b"reply-to" => (&mut self.reply_to, true),
            b"to" => (&mut self.to, true),
            b"cc" => (&mut self.cc, true),
            b"bcc" => (&mut self.bcc, true),
            b"in-reply-to" => (&mut self.in_reply_to, false),
            b"message-id" => (&mut self.message_id, false),
            b"references" => (&mut self.references, false),
            _ => return,
        };
        let value = unfold(value);
        match slot {
            None => *slot = Some(value.get(..value.len().min(STRUCTURED_FIELD_BYTES)).unwrap_or_default().to_vec()),
            Some(before) if joins => {
                let room = STRUCTURED_FIELD_BYTES.saturating_sub(before.len() + 2);
                if room > 0 && !value.is_empty() {
                    before.extend_from_slice(b", ");
                    before.extend_from_slice(value.get(..value.len().min(room)).unwrap_or_default());
                }
            }
            Some(_) => {}
        }
    }

    /// Whether a field of that name is one of them; a quick answer for the many that are not.
    pub(crate) fn knows(name: &[u8]) -> bool {
        matches!(name.len(), 2..=4 | 6..=8 | 10 | 11)
            && matches!(
                name.first(),
                Some(
                    b'd' | b'D'
                        | b's'
                        | b'S'
                        | b'f'
                        | b'F'
                        | b'r'
                        | b'R'
                        | b't'
                        | b'T'
                        | b'c'
                        | b'C'
                        | b'b'
                        | b'B'
                        | b'i'
                        | b'I'
                        | b'm'
                        | b'M'
                )
            )
    }

    /// Octets held.
    pub(crate) fn bytes(&self) -> usize {
        let fields = [
            &self.date,
            &self.subject,
            &self.from,
            &self.sender,
            &self.reply_to,
            &self.to,
            &self.cc,
            &self.bcc,
            &self.in_reply_to,
            &self.message_id,
            &self.references,
        ];
        fields.into_iter().flatten().map(Vec::len).sum()
    }

    /// The lists that ENVELOPE shows.
    pub(crate) fn lists(&self) -> Lists {
        Lists {
            from: addresses(self.from.as_deref()),
            sender: addresses(self.sender.as_deref()),
            reply_to: addresses(self.reply_to.as_deref()),
            to: addresses(self.to.as_deref()),
            cc: addresses(self.cc.as_deref()),
            bcc: addresses(self.bcc.as_deref()),
        }
    }

    /// Prints `(date subject from sender reply-to to cc bcc in-reply-to message-id)`.
    pub(crate) fn print(&self, lists: &Lists, printer: &mut Printer) {
        printer.raw("(");
        // RFC 9051 §7.5.2: an absent field is NIL, an empty one is the empty string.
        printer.octets_or_nil(self.date.as_deref());
        printer.raw(" ");
        printer.octets_or_nil(self.subject.as_deref());
        let Lists { from, sender, reply_to, to, cc, bcc } = lists;
        // RFC 9051 §7.5.2: an absent or empty Sender or Reply-To is the same as From.
        let sender = if sender.is_empty() { from } else { sender };
        let reply_to = if reply_to.is_empty() { from } else { reply_to };
        for list in [from, sender, reply_to, to, cc, bcc] {
            printer.raw(" ");
            print_addresses(list, printer);
        }
        printer.raw(" ");
        printer.octets_or_nil(self.in_reply_to.as_deref());
        printer.raw(" ");
        printer.octets_or_nil(self.message_id.as_deref());
        printer.raw(")");
    }
}

/// The address lists of an envelope, parsed.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pub(crate) from: Vec<Address>,
    pub(crate) sender: Vec<Address>,
    pub(crate) reply_to: Vec<Address>,
    pub(crate) to: Vec<Address>,
    pub(crate) cc: Vec<Address>,
    pub(crate) bcc: Vec<Address>,
}

/// The envelope of a message of which nothing is known.
pub(crate) const OPAQUE: &str = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";

fn addresses(field: Option<&[u8]>) -> Vec<Address> {
    field.map(parse_addresses).unwrap_or_default()
}

// RFC 9051 §9 env-from: never an empty list, but NIL.
fn print_addresses(list: &[Address], printer: &mut Printer) {
    if list.is_empty() {
        return printer.raw("NIL");
    }
    printer.raw("(");
    for address in list {
        printer.raw("(");
        for (at, part) in [&address.name, &address.route, &address.mailbox, &address.host].into_iter().enumerate() {
            if at > 0 {
                printer.raw(" ");
            }
            printer.octets_or_nil(part.as_deref());
        }
        printer.raw(")");
    }
    printer.raw(")");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(utf8: bool, fields: &[(&str, &str)]) -> String {
        let mut envelope = EnvelopeFields::default();
        for (name, value) in fields {
            envelope.take(name.as_bytes(), value.as_bytes());
        }
        let mut printer = Printer::new(utf8);
        envelope.print(&envelope.lists(), &mut printer);
        String::from_utf8(printer.out).unwrap()
    }

    // The example of RFC 9051 §8, FETCH ENVELOPE.
    #[test]
    fn the_example_of_the_rfc() {
        let fields = [
            ("Date", " Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"),
            ("From", " Terry Gray <gray@cac.washington.edu>\r\n"),
            ("Subject", " IMAP4rev2 WG mtg summary and minutes\r\n"),
            ("To", " imap@cac.washington.edu\r\n"),
            ("cc", " minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"),
            ("Message-Id", " <B27397-0100000@cac.washington.edu>\r\n"),
        ];
        let terry = r#"(("Terry Gray" NIL "gray" "cac.washington.edu"))"#;
        let expected = format!(
            r#"("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" {terry} {terry} {terry} ((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>")"#
        );
        assert_eq!(printed(false, &fields), expected);
    }

    #[test]
    fn absent_is_nil_and_empty_is_empty() {
        assert_eq!(printed(false, &[]), OPAQUE);
        let fields =
            [("Date", ""), ("Subject", " \r\n"), ("From", ""), ("To", ";"), ("In-Reply-To", ""), ("Message-ID", "")];
        assert_eq!(printed(false, &fields), r#"("" "" NIL NIL NIL NIL NIL NIL "" "")"#);
    }

    #[test]
    fn several_to_fields_are_one_list_and_the_first_subject_counts() {
        let fields = [("To", "a@b"), ("Subject", "x"), ("tO", "c@d"), ("Subject", "y")];
        let expected = r#"(NIL "x" NIL NIL NIL ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL NIL)"#;
        assert_eq!(printed(false, &fields), expected);
    }

    #[test]
    fn utf8_is_quoted_or_encoded() {
        let fields = [("From", "Jörg <jörg@bücher.example>"), ("Sender", "a@b"), ("Reply-To", "a@b")];
        let utf8 = printed(true, &fields);
        assert!(utf8.starts_with(r#"(NIL NIL (("Jörg" NIL "jörg" "bücher.example"))"#), "{utf8}");
        let encoded = printed(false, &fields);
        assert!(
            encoded.starts_with(
                r#"(NIL NIL (("=?UTF-8?Q?J=C3=B6rg?=" NIL "=?UTF-8?Q?j=C3=B6rg?=" "=?UTF-8?Q?b=C3=BCcher=2Eexample?=")"#
            ),
            "{encoded}"
        );
        assert!(encoded.is_ascii());
    }
}

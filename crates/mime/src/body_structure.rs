//! BODYSTRUCTURE printed (RFC 9051 §7.5.2), and BODY made from it.
//!
//! Decisions: types, subtypes and names of parameters are lower-cased, known encodings upper-cased, all else is as sent.
//! `message/global` is shown as `message/rfc822` to clients without UTF-8, whose grammar (RFC 3501 §9) allows an
//! envelope there only. A message or multipart that could not be entered is `application/octet-stream`, or text where it
//! is a multipart without boundary.

use columba_types::limits::STRUCTURE_BYTES;

use crate::content::{Content, Parameters};
use crate::envelope;
use crate::print::Printer;
use crate::walker::{Kind, Part, Structure};

/// Prints the BODYSTRUCTURE of a whole message; an opaque text if it would be too long.
pub(crate) fn print(structure: &Structure, printer: &mut Printer) {
    let mut open: Vec<(usize, &Part)> = Vec::new();
    for (index, part) in structure.parts.iter().enumerate() {
        close_until(part.parent, &mut open, printer);
        match part.kind {
            Kind::Leaf => print_leaf(part, printer),
            Kind::Multipart => printer.raw("("),
            Kind::Message => begin_message(part, structure.parts.get(index + 1), printer),
        }
        if part.kind != Kind::Leaf {
            open.push((index, part));
        }
        if printer.out.len() > STRUCTURE_BYTES {
            return print_opaque(structure, printer);
        }
    }
    close_until(None, &mut open, printer);
    if printer.out.len() > STRUCTURE_BYTES {
        print_opaque(structure, printer);
    }
}

fn print_opaque(structure: &Structure, printer: &mut Printer) {
    let body = structure.parts.first().map_or(0..0, |part| part.body.clone());
    printer.out.clear();
    printer.raw(r#"("text" "plain" ("charset" "us-ascii") NIL NIL "8BIT" "#);
    printer.number(body.end - body.start);
    printer.raw(" ");
    printer.number(structure.parts.first().map_or(0, |part| part.lines));
    printer.raw(" NIL NIL NIL NIL)");
}

/// Ends the parts that `parent` is not in.
fn close_until(parent: Option<u32>, open: &mut Vec<(usize, &Part)>, printer: &mut Printer) {
    while let Some((_, part)) = open.pop_if(|(index, _)| parent.is_none_or(|parent| parent as usize != *index)) {
        match part.kind {
            // body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
            Kind::Multipart => {
                printer.raw(" ");
                printer.text(&part.content.subtype);
                printer.raw(" ");
                print_parameters(&part.content.parameters, printer);
            }
            Kind::Message | Kind::Leaf => {
                printer.raw(" ");
                printer.number(part.lines);
                printer.raw(" ");
                printer.text_or_nil(part.content.md5.as_deref());
            }
        }
        print_extensions(&part.content, printer);
    }
}

// body-type-msg = media-message SP body-fields SP envelope SP body SP body-fld-lines
fn begin_message(part: &Part, inner: Option<&Part>, printer: &mut Printer) {
    let global = part.content.subtype == "global";
    printer.differs |= global;
    printer.raw(if global && printer.utf8() { r#"("message" "global" "# } else { r#"("message" "rfc822" "# });
    print_fields(part, &part.content.parameters, printer);
    printer.raw(" ");
    match inner.and_then(|inner| inner.envelope.as_deref()) {
        Some(envelope) => envelope.print(&envelope.lists(), printer),
        None => printer.raw(envelope::OPAQUE),
    }
    printer.raw(" ");
}

fn print_leaf(part: &Part, printer: &mut Printer) {
    let content = &part.content;
    let charset;
    let (media_type, subtype, parameters) = match content.media_type.as_str() {
        "multipart" if content.parameter("boundary").is_none_or(str::is_empty) => {
            charset = Content::default().parameters;
            ("text", "plain", &charset)
        }
        "multipart" => ("application", "octet-stream", &content.parameters),
        "message" if content.is_message() => ("application", "octet-stream", &content.parameters),
        other => (other, content.subtype.as_str(), &content.parameters),
    };
    printer.raw("(");
    printer.text(media_type);
    printer.raw(" ");
    printer.text(subtype);
    printer.raw(" ");
    print_fields(part, parameters, printer);
    // RFC 9051 §7.5.2: a text also has its lines.
    if media_type == "text" {
        printer.raw(" ");
        printer.number(part.lines);
    }
    printer.raw(" ");
    printer.text_or_nil(content.md5.as_deref());
    print_extensions(content, printer);
}

// body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP body-fld-octets
fn print_fields(part: &Part, parameters: &Parameters, printer: &mut Printer) {
    let content = &part.content;
    print_parameters(parameters, printer);
    printer.raw(" ");
    printer.text_or_nil(content.id.as_deref());
    printer.raw(" ");
    printer.text_or_nil(content.description.as_deref());
    printer.raw(" ");
    match content.encoding.name() {
        Some(name) => printer.text(name),
        None => printer.text(content.unknown_encoding.as_deref().unwrap_or("X-UNKNOWN")),
    }
    printer.raw(" ");
    printer.number(part.body.end - part.body.start);
}

// RFC 9051 §9 body-fld-param: NIL, never an empty list.
fn print_parameters(parameters: &Parameters, printer: &mut Printer) {
    if parameters.is_empty() {
        return printer.raw("NIL");
    }
    for (at, (name, value)) in parameters.iter().enumerate() {
        printer.raw(if at == 0 { "(" } else { " " });
        printer.text(name);
        printer.raw(" ");
        printer.text(value);
    }
    printer.raw(")");
}

// [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]], and the end of the body.
fn print_extensions(content: &Content, printer: &mut Printer) {
    match &content.disposition {
        Some(disposition) => {
            printer.raw(" (");
            printer.text(&disposition.kind);
            printer.raw(" ");
            print_parameters(&disposition.parameters, printer);
            printer.raw(") ");
        }
        None => printer.raw(" NIL "),
    }
    match content.language.as_slice() {
        [] => printer.raw("NIL"),
        [tag] => printer.text(tag),
        tags => {
            for (at, tag) in tags.iter().enumerate() {
                printer.raw(if at == 0 { "(" } else { " " });
                printer.text(tag);
            }
            printer.raw(")");
        }
    }
    printer.raw(" ");
    printer.text_or_nil(content.location.as_deref());
    printer.raw(")");
}

/// BODY, the non-extensible form, from a BODYSTRUCTURE that this crate printed (RFC 9051 §7.5.2).
///
/// Of octets that are no such thing it makes no sense, but it neither fails nor makes them longer.
pub fn without_extensions(body_structure: &[u8]) -> Vec<u8> {
    let mut scan = Scan { rest: body_structure, out: Vec::with_capacity(body_structure.len()) };
    let mut open: Vec<Open> = Vec::new();
    // Each turn reads one body or goes on with the one around it.
    loop {
        if scan.rest.starts_with(b"((") {
            scan.copy(1);
            open.push(Open::Multipart);
            continue;
        }
        if scan.rest.starts_with(b"(") {
            scan.copy(1);
            let is_message = scan.starts_with_ignoring_case(br#""message" "rfc822""#)
                || scan.starts_with_ignoring_case(br#""message" "global""#);
            let is_text = scan.starts_with_ignoring_case(br#""text""#);
            // Type, subtype and the five basic fields; then the envelope or the lines.
            scan.copy_items(7 + usize::from(is_message || is_text));
            if is_message {
                scan.copy_space();
                open.push(Open::Message);
                continue;
            }
            scan.end_body();
        }
        match open.last() {
            Some(Open::Multipart) if scan.rest.starts_with(b"(") => continue,
            // The subtype, or the lines.
            Some(_) => {
                scan.copy_space();
                scan.copy_items(1);
                scan.end_body();
                open.pop();
            }
            None => return scan.out,
        }
    }
}

enum Open {
    Multipart,
    Message,
}

/// Copies items of a list and passes over others.
struct Scan<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
}

impl Scan<'_> {
    fn starts_with_ignoring_case(&self, start: &[u8]) -> bool {
        self.rest.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
    }

    fn copy(&mut self, length: usize) {
        let (head, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.out.extend_from_slice(head);
        self.rest = rest;
    }

    fn copy_space(&mut self) {
        self.copy(usize::from(self.rest.starts_with(b" ")));
    }

    /// Copies so many items with the spaces between them.
    fn copy_items(&mut self, count: usize) {
        for at in 0..count {
            if at > 0 {
                self.copy_space();
            }
            self.copy(item_length(self.rest));
        }
    }

    /// Passes over what is left of a body, and closes it.
    fn end_body(&mut self) {
        while !self.rest.is_empty() && !self.rest.starts_with(b")") {
            let skipped = item_length(self.rest).max(1);
            self.rest = self.rest.get(skipped..).unwrap_or_default();
        }
        self.copy(1);
    }
}

/// Length of the item at the start: a string, a number, NIL, or a whole list. Zero at the end of a list.
fn item_length(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0usize);
    while let Some(byte) = rest.get(at) {
        match byte {
            b'(' => (at, depth) = (at + 1, depth + 1),
            b')' if depth == 0 => return at,
            b')' => (at, depth) = (at + 1, depth - 1),
            b' ' if depth == 0 => return at,
            b'"' => at += quoted_length(rest.get(at..).unwrap_or_default()),
            b'{' => at += literal_length(rest.get(at..).unwrap_or_default()),
            _ => at += 1,
        }
        if depth == 0 && matches!(byte, b'"' | b'{' | b')') {
            break;
        }
    }
    at.min(rest.len())
}

fn quoted_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    rest.len()
}

fn literal_length(rest: &[u8]) -> usize {
    let digits = rest.iter().skip(1).take_while(|b| b.is_ascii_digit()).take(18).count();
    let text = rest.get(1..1 + digits).and_then(|digits| std::str::from_utf8(digits).ok());
    let length = text.and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    (digits + 4).saturating_add(length).min(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walker::walk;
    use proptest::prelude::*;

    fn printed(message: &str) -> String {
        let mut printer = Printer::new(true);
        print(&walk(message.as_bytes()), &mut printer);
        String::from_utf8(printer.out).unwrap()
    }

    fn body(message: &str) -> String {
        String::from_utf8(without_extensions(printed(message).as_bytes())).unwrap()
    }

    // RFC 9051 §7.5.2: the shape of its first example.
    #[test]
    fn a_text() {
        let message = "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n1\r\n2\r\n";
        assert_eq!(body(message), r#"("text" "plain" ("charset" "US-ASCII") NIL NIL "7BIT" 6 2)"#);
        assert_eq!(printed(message), r#"("text" "plain" ("charset" "US-ASCII") NIL NIL "7BIT" 6 2 NIL NIL NIL NIL)"#);
    }

    #[test]
    fn every_extension_is_there() {
        let message = "Content-Type: image/png; name=a\r\nContent-ID: <i>\r\nContent-Description: d\r\n\
                       Content-Transfer-Encoding: base64\r\nContent-MD5: m\r\nContent-Disposition: inline\r\n\
                       Content-Language: de, en\r\nContent-Location: l\r\n\r\nAAAA";
        let start = r#"("image" "png" ("name" "a") "<i>" "d" "BASE64" 4"#;
        assert_eq!(printed(message), format!(r#"{start} "m" ("inline" NIL) ("de" "en") "l")"#));
        assert_eq!(body(message), format!("{start})"));
    }

    #[test]
    fn multiparts_and_messages_nest() {
        let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
                       Subject: (\"\r\n\r\ny\r\n\r\n--b--\r\n";
        let text = r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT""#;
        let message_fields = r#"("message" "rfc822" NIL NIL NIL "7BIT" 18 (NIL "(\"" NIL NIL NIL NIL NIL NIL NIL NIL)"#;
        assert_eq!(body(message), format!(r#"({text} 1 0){message_fields} {text} 3 1) 3) "mixed")"#));
        let extensions = "NIL NIL NIL NIL)";
        assert_eq!(
            printed(message),
            format!(
                r#"({text} 1 0 {extensions}{message_fields} {text} 3 1 {extensions} 3 {extensions} "mixed" ("boundary" "b") NIL NIL NIL)"#
            )
        );
    }

    #[test]
    fn what_cannot_be_entered_is_valid_syntax() {
        assert_eq!(
            body("Content-Type: multipart/mixed\r\n\r\nx"),
            r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT" 1 0)"#
        );
        assert_eq!(
            body("Content-Type: multipart/mixed; boundary=b\r\n\r\nx"),
            r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT" 1 0) "mixed")"#
        );
        assert_eq!(
            body("Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n--b--\r\ny"),
            r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT" 0 0) "mixed")"#
        );
        assert_eq!(
            body("Content-Type: message/rfc822; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA"),
            r#"("application" "octet-stream" ("name" "a") NIL NIL "BASE64" 4)"#
        );
    }

    #[test]
    fn literals_are_passed_over() {
        let stored = b"(\"text\" \"plain\" (\"a\" {3}\r\n)\"() NIL NIL \"7BIT\" 1 0 {2}\r\n() NIL NIL NIL)";
        assert_eq!(without_extensions(stored), b"(\"text\" \"plain\" (\"a\" {3}\r\n)\"() NIL NIL \"7BIT\" 1 0)");
    }

    proptest! {
        #[test]
        fn any_octets_do(octets: Vec<u8>, text in "[()\"\\\\{}019 a]{0,60}") {
            prop_assert!(without_extensions(&octets).len() <= octets.len());
            prop_assert!(without_extensions(text.as_bytes()).len() <= text.len());
        }
    }
}

//! The grammar of what FETCH answers with: ENVELOPE and BODYSTRUCTURE are checked wherever they come, expected or not
//! (RFC 9051 §7.5.2, §9). Values are not looked at.

use super::response::{Node, Response};
use super::text::Sym;

type Shape = Result<(), String>;

/// Checks the items of a FETCH response; anything else is in order.
pub(crate) fn check(response: &Response) -> Shape {
    let Response::Data(nodes) = response else { return Ok(()) };
    let [_, _, name, Node::List(items)] = nodes.as_slice() else { return Ok(()) };
    if !is_word(name, "FETCH") && !is_word(name, "UIDFETCH") {
        return Ok(());
    }
    if items.is_empty() || items.len() % 2 != 0 {
        return Err("FETCH items are pairs of a name and a value, one at least".into());
    }
    for pair in items.chunks(2) {
        let [name, value] = pair else { continue };
        let checked = match name {
            name if is_word(name, "ENVELOPE") => envelope(value),
            name if is_word(name, "BODYSTRUCTURE") => body(value, true),
            name if is_word(name, "BODY") => body(value, false),
            _ => Ok(()),
        };
        checked.map_err(|why| format!("{why} (RFC 9051 §9)"))?;
    }
    Ok(())
}

fn is_word(node: &Node, word: &str) -> bool {
    matches!(node, Node::Atom(text) if text.iter().copied_octets().eq(word.bytes()))
}

/// Octets of symbols that are all octets, as those of a received word are.
trait CopiedOctets {
    fn copied_octets(self) -> impl Iterator<Item = u8>;
}

impl<'a, I: Iterator<Item = &'a Sym>> CopiedOctets for I {
    fn copied_octets(self) -> impl Iterator<Item = u8> {
        self.filter_map(|sym| if let Sym::Octet(octet) = sym { Some(*octet) } else { None })
    }
}

fn is_nil(node: &Node) -> bool {
    is_word(node, "NIL")
}

fn string(node: &Node, what: &str) -> Shape {
    if matches!(node, Node::Str(_)) { Ok(()) } else { Err(format!("{what} has to be a string")) }
}

fn nstring(node: &Node, what: &str) -> Shape {
    if is_nil(node) { Ok(()) } else { string(node, what).map_err(|_| format!("{what} has to be a string or NIL")) }
}

fn number(node: &Node, what: &str) -> Shape {
    let digits = matches!(node, Node::Atom(text) if text.iter().copied_octets().all(|o| o.is_ascii_digit()));
    if digits { Ok(()) } else { Err(format!("{what} has to be a number")) }
}

// envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP env-cc SP env-bcc SP
//            env-in-reply-to SP env-message-id ")"
fn envelope(node: &Node) -> Shape {
    let Node::List(fields) = node else { return Err("an envelope is a list".into()) };
    let [date, subject, lists @ .., in_reply_to, message_id] = fields.as_slice() else {
        return Err("an envelope has ten fields".into());
    };
    if lists.len() != 6 {
        return Err("an envelope has ten fields".into());
    }
    nstring(date, "the date")?;
    nstring(subject, "the subject")?;
    lists.iter().try_for_each(addresses)?;
    nstring(in_reply_to, "in-reply-to")?;
    nstring(message_id, "the message id")
}

// env-from = "(" 1*address ")" / nil; address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
fn addresses(node: &Node) -> Shape {
    match node {
        nil if is_nil(nil) => Ok(()),
        Node::List(list) if !list.is_empty() => list.iter().try_for_each(|address| match address {
            Node::List(parts) if parts.len() == 4 => {
                parts.iter().try_for_each(|part| nstring(part, "an address's part"))
            }
            _ => Err("an address has four parts".into()),
        }),
        _ => Err("a list of addresses is not empty, or NIL".into()),
    }
}

/// Deeper than any limit of the server; a structure nested deeper is wrong, not a reason to overflow.
const DEEPEST: usize = 250;

fn body(node: &Node, extensible: bool) -> Shape {
    body_at(node, extensible, 0)
}

// body = "(" (body-type-1part / body-type-mpart) ")"
fn body_at(node: &Node, extensible: bool, depth: usize) -> Shape {
    let Node::List(fields) = node else { return Err("a body is a list".into()) };
    if depth > DEEPEST {
        return Err("bodies are nested too deep".into());
    }
    match fields.first() {
        Some(Node::List(_)) => multipart(fields, extensible, depth),
        _ => single(fields, extensible, depth),
    }
}

// body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
fn multipart(fields: &[Node], extensible: bool, depth: usize) -> Shape {
    let bodies = fields.iter().take_while(|field| matches!(field, Node::List(_))).count();
    fields[..bodies].iter().try_for_each(|part| body_at(part, extensible, depth + 1))?;
    let [subtype, extensions @ ..] = &fields[bodies..] else { return Err("a multipart has a subtype".into()) };
    string(subtype, "a subtype")?;
    match (extensible, extensions) {
        (false, []) => Ok(()),
        (true, [params, disposition, language, location]) => {
            parameters(params)?;
            tail(disposition, language, location)
        }
        _ => Err("a multipart in BODYSTRUCTURE has four fields after its subtype, in BODY none".into()),
    }
}

// body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]
fn single(fields: &[Node], extensible: bool, depth: usize) -> Shape {
    let [kind, subtype, params, id, description, encoding, octets, rest @ ..] = fields else {
        return Err("a body has seven fields at least".into());
    };
    string(kind, "a media type")?;
    string(subtype, "a subtype")?;
    parameters(params)?;
    nstring(id, "a content id")?;
    nstring(description, "a description")?;
    string(encoding, "an encoding")?;
    number(octets, "a size")?;
    let kind = lower(kind);
    let message = kind == "message" && matches!(lower(subtype).as_str(), "rfc822" | "global");
    let extensions = match rest {
        [lines, rest @ ..] if kind == "text" => {
            number(lines, "a number of lines")?;
            rest
        }
        [inner, structure, lines, rest @ ..] if message && matches!(inner, Node::List(_)) => {
            envelope(inner)?;
            body_at(structure, extensible, depth + 1)?;
            number(lines, "a number of lines")?;
            rest
        }
        _ if kind == "text" => return Err("a text has a number of lines".into()),
        _ if message => return Err("a message has an envelope, a body and a number of lines".into()),
        rest => rest,
    };
    match (extensible, extensions) {
        (false, []) => Ok(()),
        (true, [md5, disposition, language, location]) => {
            nstring(md5, "an MD5")?;
            tail(disposition, language, location)
        }
        _ => Err("a body in BODYSTRUCTURE has four extension fields, in BODY none".into()),
    }
}

// body-fld-dsp = "(" string SP body-fld-param ")" / nil; body-fld-lang = nstring / "(" string *(SP string) ")"
fn tail(disposition: &Node, language: &Node, location: &Node) -> Shape {
    match disposition {
        nil if is_nil(nil) => {}
        Node::List(parts) => match parts.as_slice() {
            [kind, params] => {
                string(kind, "a disposition")?;
                parameters(params)?;
            }
            _ => return Err("a disposition has two fields".into()),
        },
        _ => return Err("a disposition is a list or NIL".into()),
    }
    match language {
        Node::List(languages) if !languages.is_empty() => languages.iter().try_for_each(|l| string(l, "a language"))?,
        other => nstring(other, "a language")?,
    }
    nstring(location, "a location")
}

// body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
fn parameters(node: &Node) -> Shape {
    match node {
        nil if is_nil(nil) => Ok(()),
        Node::List(list) if !list.is_empty() && list.len() % 2 == 0 => {
            list.iter().try_for_each(|value| string(value, "a parameter"))
        }
        _ => Err("parameters are pairs of strings, or NIL".into()),
    }
}

fn lower(node: &Node) -> String {
    match node {
        Node::Str(text) => String::from_utf8_lossy(&text.iter().copied_octets().collect::<Vec<u8>>()).to_lowercase(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{response, text};
    use super::*;

    fn checked(item: &str) -> Shape {
        let line = format!("* 1 FETCH ({item})");
        check(&response::parse(&text::received(line.as_bytes()), true)?)
    }

    #[test]
    fn takes_what_the_grammar_takes() {
        let text = r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 1 NIL NIL NIL NIL)"#;
        let envelope = r#"(NIL "" ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL NIL "<x>")"#;
        let message = format!(r#"("message" "rfc822" NIL NIL NIL "7bit" 5 {envelope} {text} 1 NIL NIL NIL NIL)"#);
        for good in [
            format!("BODYSTRUCTURE {text}"),
            format!("BODYSTRUCTURE ({text}{message} \"mixed\" (\"boundary\" \"b\") (\"inline\" NIL) (\"de\") NIL)"),
            format!("ENVELOPE {envelope}"),
            r#"BODY ("image" "gif" NIL NIL NIL "base64" 8)"#.to_owned(),
        ] {
            assert_eq!(checked(&good), Ok(()), "{good}");
        }
    }

    #[test]
    fn refuses_what_it_does_not() {
        for bad in [
            r#"BODY ("text" "plain" () NIL NIL "7bit" 5 1)"#,
            r#"BODY ("text" "plain" NIL NIL NIL NIL 5 1)"#,
            r#"BODY ("text" "plain" NIL NIL NIL "7bit" 5)"#,
            r#"BODYSTRUCTURE ("text" "plain" NIL NIL NIL "7bit" 5 1)"#,
            r#"BODYSTRUCTURE ("image" "gif" NIL NIL NIL "7bit" 5 NIL "inline" NIL NIL)"#,
            r#"BODY ("message" "rfc822" NIL NIL NIL "7bit" 5)"#,
            r#"ENVELOPE (NIL NIL () NIL NIL NIL NIL NIL NIL NIL)"#,
            r#"ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL)"#,
            r#"ENVELOPE (NIL NIL ((NIL NIL "a")) NIL NIL NIL NIL NIL NIL NIL)"#,
            "",
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }
}

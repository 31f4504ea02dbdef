//! Checks printed ENVELOPE and BODYSTRUCTURE against the grammar of RFC 9051 §9, written apart from the printer.

#![allow(clippy::unwrap_used)]

/// What a printed item is.
#[derive(Debug, PartialEq)]
pub(crate) enum Item {
    Nil,
    Number(u64),
    String(Vec<u8>),
    List(Vec<Item>),
}

use Item::{List, Nil, Number};

impl Item {
    fn is_string(&self) -> bool {
        matches!(self, Item::String(_))
    }

    fn is_nstring(&self) -> bool {
        *self == Nil || self.is_string()
    }

    fn is_text(&self, text: &str) -> bool {
        matches!(self, Item::String(s) if s.eq_ignore_ascii_case(text.as_bytes()))
    }
}

/// Reads exactly one item; panics with the place of the mistake.
pub(crate) fn parse(octets: &[u8], utf8: bool) -> Item {
    assert!(utf8 || octets.is_ascii(), "8-bit octets for a client without UTF-8");
    assert!(std::str::from_utf8(octets).is_ok());
    assert!(!octets.contains(&0), "RFC 9051 §4.3: no NUL");
    let mut rest = octets;
    let item = item(&mut rest);
    assert!(rest.is_empty(), "left over: {}", rest.escape_ascii());
    item
}

fn item(rest: &mut &[u8]) -> Item {
    match rest[0] {
        b'(' => {
            *rest = &rest[1..];
            let mut list = Vec::new();
            while rest[0] != b')' {
                let between = !list.is_empty();
                // Bodies and addresses follow each other without a space; all else has exactly one.
                if between && rest[0] == b' ' {
                    *rest = &rest[1..];
                } else {
                    assert!(
                        !between || (rest[0] == b'(' && matches!(list.last(), Some(List(_)))),
                        "a space is missing"
                    );
                }
                list.push(item(rest));
            }
            *rest = &rest[1..];
            assert!(!list.is_empty(), "RFC 9051 §9 never has an empty list");
            List(list)
        }
        b'"' => {
            let mut text = Vec::new();
            let mut at = 1;
            while rest[at] != b'"' {
                assert!(!matches!(rest[at], b'\r' | b'\n'));
                if rest[at] == b'\\' {
                    at += 1;
                    assert!(matches!(rest[at], b'"' | b'\\'));
                }
                text.push(rest[at]);
                at += 1;
            }
            *rest = &rest[at + 1..];
            Item::String(text)
        }
        b'{' => {
            let end = rest.iter().position(|b| *b == b'}').unwrap();
            let length: usize = std::str::from_utf8(&rest[1..end]).unwrap().parse().unwrap();
            assert_eq!(&rest[end + 1..end + 3], b"\r\n");
            let text = rest[end + 3..end + 3 + length].to_vec();
            *rest = &rest[end + 3 + length..];
            Item::String(text)
        }
        b'0'..=b'9' => {
            let end = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
            let number = std::str::from_utf8(&rest[..end]).unwrap().parse().unwrap();
            *rest = &rest[end..];
            Number(number)
        }
        _ => {
            assert!(rest.starts_with(b"NIL"), "no item: {}", rest.escape_ascii());
            *rest = &rest[3..];
            Nil
        }
    }
}

/// envelope = "(" env-date SP env-subject SP 6 address lists SP env-in-reply-to SP env-message-id ")"
pub(crate) fn check_envelope(envelope: &Item) {
    let List(fields) = envelope else { panic!("no list") };
    assert_eq!(fields.len(), 10);
    for at in [0, 1, 8, 9] {
        assert!(fields[at].is_nstring());
    }
    for list in &fields[2..8] {
        let List(list) = list else {
            assert_eq!(*list, Nil);
            continue;
        };
        let mut in_group = false;
        for address in list {
            let List(parts) = address else { panic!("no address") };
            assert!(parts.len() == 4 && parts.iter().all(Item::is_nstring));
            // RFC 9051 §7.5.2: groups begin, end, and do not nest.
            match (&parts[2], &parts[3]) {
                (Nil, Nil) => assert!(std::mem::replace(&mut in_group, false)),
                (_, Nil) => assert!(!std::mem::replace(&mut in_group, true)),
                (mailbox, _) => assert_ne!(*mailbox, Nil),
            }
        }
        assert!(!in_group);
    }
}

/// body, with its extension data or without.
pub(crate) fn check_body(body: &Item, extended: bool) {
    let List(items) = body else { panic!("no body: {body:?}") };
    let children = items.iter().take_while(|item| matches!(item, List(_))).count();
    let rest = if children > 0 {
        items[..children].iter().for_each(|child| check_body(child, extended));
        assert!(items[children].is_string());
        let rest = &items[children + 1..];
        if extended {
            check_parameters(&rest[0]);
            &rest[1..]
        } else {
            rest
        }
    } else {
        let rest = check_single(items, extended);
        if extended {
            assert!(rest[0].is_nstring());
            &rest[1..]
        } else {
            rest
        }
    };
    if !extended {
        return assert_eq!(rest, []);
    }
    assert_eq!(rest.len(), 3);
    match &rest[0] {
        Nil => {}
        List(disposition) => {
            assert!(disposition.len() == 2 && disposition[0].is_string());
            check_parameters(&disposition[1]);
        }
        other => panic!("no disposition: {other:?}"),
    }
    match &rest[1] {
        List(tags) => assert!(tags.iter().all(Item::is_string)),
        other => assert!(other.is_nstring()),
    }
    assert!(rest[2].is_nstring());
}

/// body-type-basic, body-type-msg or body-type-text; what follows it.
fn check_single(items: &[Item], extended: bool) -> &[Item] {
    assert!(items[0].is_string() && items[1].is_string());
    check_parameters(&items[2]);
    assert!(items[3].is_nstring() && items[4].is_nstring() && items[5].is_string());
    assert!(matches!(items[6], Number(_)));
    assert!(!items[0].is_text("multipart"));
    if items[0].is_text("message") && (items[1].is_text("rfc822") || items[1].is_text("global")) {
        check_envelope(&items[7]);
        check_body(&items[8], extended);
        assert!(matches!(items[9], Number(_)));
        &items[10..]
    } else if items[0].is_text("text") {
        assert!(matches!(items[7], Number(_)));
        &items[8..]
    } else {
        &items[7..]
    }
}

fn check_parameters(parameters: &Item) {
    let List(list) = parameters else { return assert_eq!(*parameters, Nil) };
    assert!(list.len().is_multiple_of(2) && list.iter().all(Item::is_string));
}

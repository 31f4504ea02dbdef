//! LIST in its basic and extended form, and LSUB.

use super::cursor::{Cursor, Parsed};
use super::mailbox::status_items;
use super::metadata::entry_names;
use crate::command::{CommandBody, List, ListReturn, ListSelection};

// list            = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
pub(super) fn list(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mut list = List::default();
    c.space()?;
    if c.peek() == Some(b'(') {
        list.extended = true;
        list.selection = selection(c)?;
        c.space()?;
    }
    list.reference = c.mailbox()?;
    c.space()?;
    // mbox-or-pat     = list-mailbox / patterns
    // patterns        = "(" list-mailbox *(SP list-mailbox) ")"      (RFC 5258 §6)
    if c.peek() == Some(b'(') {
        list.extended = true;
        list.patterns = c.full_list("expected a list of patterns", Cursor::list_mailbox)?;
    } else {
        list.patterns.push(c.list_mailbox()?);
    }
    if c.rest().len() > 1 && c.take(b' ') {
        list.extended = true;
        list.returns = returns(c)?;
    }
    Ok(CommandBody::List(list))
}

// list-select-opts =  "(" [list-select-opt *(SP list-select-opt)] ")"
fn selection(c: &mut Cursor<'_>) -> Parsed<ListSelection> {
    let at = c.place();
    let mut selection = ListSelection::default();
    let options = c.list("expected a list of selection options", |c| {
        let at = c.place();
        Ok(match c.name().as_str() {
            "SUBSCRIBED" => ListSelection { subscribed: true, ..ListSelection::default() },
            "REMOTE" => ListSelection { remote: true, ..ListSelection::default() },
            "RECURSIVEMATCH" => ListSelection { recursive_match: true, ..ListSelection::default() },
            "SPECIAL-USE" => ListSelection { special_use: true, ..ListSelection::default() },
            // RFC 9051 §6.3.9: an unknown option is BAD.
            _ => return c.fail_at(at, "unknown LIST selection option"),
        })
    })?;
    for option in options {
        selection.subscribed |= option.subscribed;
        selection.remote |= option.remote;
        selection.recursive_match |= option.recursive_match;
        selection.special_use |= option.special_use;
    }
    // RFC 9051 §6.3.9.1: RECURSIVEMATCH modifies a base option; SPECIAL-USE is one too (RFC 6154 §6).
    if selection.recursive_match && !selection.subscribed && !selection.special_use {
        return c.fail_at(at, "RECURSIVEMATCH needs SUBSCRIBED or SPECIAL-USE");
    }
    Ok(selection)
}

// list-return-opts =  "RETURN" SP "(" [list-return-opt *(SP list-return-opt)] ")"
// return-option    =  "SUBSCRIBED" / "CHILDREN" / status-option / "SPECIAL-USE" /
//                     "METADATA" SP "(" entry *(SP entry) ")"            (RFC 9590 §6)
fn returns(c: &mut Cursor<'_>) -> Parsed<ListReturn> {
    if !c.take_name("RETURN") {
        return c.fail("expected RETURN or the end of the command");
    }
    c.space()?;
    let options = c.list("expected a list of return options", |c| {
        let at = c.place();
        let mut option = ListReturn::default();
        match c.name().as_str() {
            "SUBSCRIBED" => option.subscribed = true,
            "CHILDREN" => option.children = true,
            "SPECIAL-USE" => option.special_use = true,
            "STATUS" => {
                c.space()?;
                option.status = Some(status_items(c)?);
            }
            "METADATA" => {
                c.space()?;
                option.metadata = Some(entry_names(c)?);
            }
            _ => return c.fail_at(at, "unknown LIST return option"),
        }
        Ok(option)
    })?;
    let mut returns = ListReturn::default();
    for option in options {
        returns.subscribed |= option.subscribed;
        returns.children |= option.children;
        returns.special_use |= option.special_use;
        returns.status = option.status.or(returns.status);
        returns.metadata = option.metadata.or(returns.metadata);
    }
    Ok(returns)
}

// lsub            = "LSUB" SP mailbox SP list-mailbox        (RFC 3501 §9)
pub(super) fn lsub(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    let reference = c.mailbox()?;
    c.space()?;
    let pattern = c.list_mailbox()?;
    Ok(CommandBody::Lsub { reference, pattern })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, ok};
    use super::*;
    use crate::command::StatusItem;
    use crate::mailbox::RawMailbox;

    fn parsed(text: &str) -> List {
        match ok(text) {
            CommandBody::List(list) => list,
            other => panic!("{other:?}"),
        }
    }

    fn raw(name: &str) -> RawMailbox {
        RawMailbox(name.into())
    }

    // RFC 3501 §6.3.8
    #[test]
    fn the_basic_form() {
        let list = parsed("LIST \"\" %/*");
        assert_eq!(list, List { patterns: vec![raw("%/*")], ..List::default() });
        assert_eq!(parsed("LIST ~/Mail {1}\r\n% ").reference, raw("~/Mail"));
        assert_eq!(parsed("LIST \"\" \"\"").patterns, [raw("")]);
        for wrong in ["LIST", "LIST \"\"", "LIST * *", "LIST \"\" (", "LIST \"\" * x"] {
            bad(wrong);
        }
        let lsub = CommandBody::Lsub { reference: raw(""), pattern: raw("INBOX.%") };
        assert_eq!(ok("LSUB \"\" INBOX.%"), lsub);
        bad("LSUB \"\" (a b)");
    }

    // RFC 9051 §6.3.9, RFC 5258 §3, RFC 6154 §2, RFC 5819 §2
    #[test]
    fn the_extended_form() {
        let list = parsed("LIST (subscribed REMOTE) \"\" (a \"b c\") RETURN (children Status (UNSEEN SIZE))");
        assert!(list.extended);
        assert_eq!(list.patterns, [raw("a"), raw("b c")]);
        assert_eq!(list.selection, ListSelection { subscribed: true, remote: true, ..ListSelection::default() });
        let status = Some(vec![StatusItem::Unseen, StatusItem::Size]);
        assert_eq!(list.returns, ListReturn { children: true, status, ..ListReturn::default() });
        for extended in ["LIST () \"\" *", "LIST \"\" (*)", "LIST \"\" * RETURN ()", "LIST (SPECIAL-USE) \"\" *"] {
            assert!(parsed(extended).extended, "{extended}");
        }
        assert!(parsed("LIST \"\" % RETURN (SPECIAL-USE SUBSCRIBED)").returns.special_use);
    }

    // guide §6.22: RECURSIVEMATCH alone is BAD, unknown options are BAD.
    #[test]
    fn options_are_validated() {
        assert!(parsed("LIST (RECURSIVEMATCH SUBSCRIBED) \"\" *").selection.recursive_match);
        assert!(parsed("LIST (SPECIAL-USE RECURSIVEMATCH) \"\" *").selection.recursive_match);
        for wrong in [
            "LIST (RECURSIVEMATCH) \"\" *",
            "LIST (REMOTE RECURSIVEMATCH) \"\" *",
            "LIST (X) \"\" *",
            "LIST (SUBSCRIBED  REMOTE) \"\" *",
            "LIST (SUBSCRIBED)\"\" *",
            "LIST \"\" ()",
            "LIST \"\" * RETURN (X)",
            "LIST \"\" * RETURN (STATUS)",
            "LIST \"\" * RETURN (STATUS ())",
            "LIST \"\" * RETURN (METADATA)",
            "LIST \"\" * RETURN (METADATA ())",
            "LIST \"\" * RETURN (METADATA /private/comment)",
            "LIST \"\" * RETURN (METADATA (/private/*))",
            "LIST \"\" * RETURN",
            "LIST \"\" * RETURNS ()",
        ] {
            bad(wrong);
        }
    }
}

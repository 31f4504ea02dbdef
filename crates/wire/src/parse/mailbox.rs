//! Commands about one mailbox or two: SELECT, EXAMINE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS.

use super::cursor::{Cursor, Parsed};
use crate::command::{CommandBody, StatusItem};
use crate::mailbox::RawMailbox;

/// `SP mailbox`, all that DELETE, SUBSCRIBE and UNSUBSCRIBE have.
pub(super) fn one(c: &mut Cursor<'_>) -> Parsed<RawMailbox> {
    c.space()?;
    c.mailbox()
}

// select          = "SELECT" SP mailbox
// examine         = "EXAMINE" SP mailbox
pub(super) fn select(c: &mut Cursor<'_>, read_only: bool) -> Parsed<CommandBody> {
    let mailbox = one(c)?;
    if c.rest().starts_with(b" (") {
        return c.fail("no select parameter is supported");
    }
    Ok(CommandBody::Select { mailbox, read_only })
}

// create          = "CREATE" SP mailbox [create-params]                      (RFC 4466 §6)
// create-param    =/ "USE" SP "(" [use-attr *(SP use-attr)] ")"              (RFC 6154 §6)
pub(super) fn create(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mailbox = one(c)?;
    let mut special_use = None;
    if c.rest().starts_with(b" (") {
        c.space()?;
        c.expect(b'(', "expected (")?;
        if !c.take_name("USE") {
            return c.fail("the only parameter of CREATE is USE");
        }
        c.space()?;
        special_use = Some(c.list("expected a list of special uses", use_attr)?);
        c.expect(b')', "expected )")?;
    }
    Ok(CommandBody::Create { mailbox, special_use })
}

// use-attr = "\All" / … / use-attr-ext ; use-attr-ext = "\" atom
fn use_attr(c: &mut Cursor<'_>) -> Parsed<String> {
    c.expect(b'\\', "expected a special use, which begins with a backslash")?;
    Ok(format!("\\{}", c.atom("expected the name of a special use")?))
}

// rename          = "RENAME" SP mailbox SP mailbox
pub(super) fn rename(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let (from, to) = (one(c)?, one(c)?);
    Ok(CommandBody::Rename { from, to })
}

// status          = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
pub(super) fn status(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mailbox = one(c)?;
    c.space()?;
    let items = status_items(c)?;
    Ok(CommandBody::Status { mailbox, items })
}

// status-att      = "MESSAGES" / "UIDNEXT" / "UIDVALIDITY" / "UNSEEN" / "DELETED" / "SIZE" / "RECENT" (RFC 3501)
pub(super) fn status_items(c: &mut Cursor<'_>) -> Parsed<Vec<StatusItem>> {
    c.full_list("expected a list of status items", |c| {
        let at = c.place();
        Ok(match c.name().as_str() {
            "MESSAGES" => StatusItem::Messages,
            "RECENT" => StatusItem::Recent,
            "UIDNEXT" => StatusItem::UidNext,
            "UIDVALIDITY" => StatusItem::UidValidity,
            "UNSEEN" => StatusItem::Unseen,
            "DELETED" => StatusItem::Deleted,
            "SIZE" => StatusItem::Size,
            _ => return c.fail_at(at, "unknown status item"),
        })
    })
}

//! Commands about one mailbox or two: SELECT, EXAMINE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS.

use super::cursor::{Cursor, Parsed};
use columba_types::{NumSet, UidValidity};

use super::set::message_set;
use crate::command::{CommandBody, MessageSet, Qresync, SelectParameters, StatusItem};
use crate::mailbox::RawMailbox;

/// `SP mailbox`, all that DELETE, SUBSCRIBE and UNSUBSCRIBE have.
pub(super) fn one(c: &mut Cursor<'_>) -> Parsed<RawMailbox> {
    c.space()?;
    c.mailbox()
}

// select          = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"]       (RFC 4466 §6)
// examine         = "EXAMINE" SP mailbox [SP "(" select-param *(SP select-param) ")"]
pub(super) fn select(c: &mut Cursor<'_>, read_only: bool) -> Parsed<CommandBody> {
    let mailbox = one(c)?;
    let mut parameters = SelectParameters::default();
    if c.rest().starts_with(b" (") {
        c.space()?;
        c.expect(b'(', "expected (")?;
        loop {
            select_parameter(c, &mut parameters)?;
            if c.take(b')') {
                break;
            }
            c.space()?;
        }
    }
    Ok(CommandBody::Select { mailbox, read_only, parameters })
}

// select-param    =/ "CONDSTORE" / "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids]
//                    [SP seq-match-data] ")"                                               (RFC 7162 §7)
fn select_parameter(c: &mut Cursor<'_>, parameters: &mut SelectParameters) -> Parsed<()> {
    let at = c.place();
    match c.name().as_str() {
        "CONDSTORE" if !parameters.condstore => parameters.condstore = true,
        "QRESYNC" if parameters.qresync.is_none() => {
            c.space()?;
            parameters.qresync = Some(qresync(c)?);
        }
        "CONDSTORE" | "QRESYNC" => return c.fail_at(at, "the parameter was given already"),
        _ => return c.fail_at(at, "unknown select parameter"),
    }
    Ok(())
}

fn qresync(c: &mut Cursor<'_>) -> Parsed<Qresync> {
    c.expect(b'(', "expected (")?;
    let at = c.place();
    let Some(uid_validity) = UidValidity::new(c.nz_number()?) else { return c.fail_at(at, "expected UIDVALIDITY") };
    c.space()?;
    let modseq = c.modseq()?;
    let (mut known, mut matches) = (None, None);
    if !c.take(b')') {
        c.space()?;
        if c.peek() != Some(b'(') {
            known = Some(set_without_star(c)?);
        }
        if known.is_none() || c.take(b' ') {
            matches = Some(seq_match_data(c)?);
        }
        c.expect(b')', "expected )")?;
    }
    Ok(Qresync { uid_validity, modseq, known, matches })
}

// seq-match-data  =  "(" known-sequence-set SP known-uid-set ")"
fn seq_match_data(c: &mut Cursor<'_>) -> Parsed<(NumSet, NumSet)> {
    c.expect(b'(', "expected (")?;
    let seqs = set_without_star(c)?;
    c.space()?;
    let uids = set_without_star(c)?;
    c.expect(b')', "expected )")?;
    Ok((seqs, uids))
}

fn set_without_star(c: &mut Cursor<'_>) -> Parsed<NumSet> {
    let at = c.place();
    match message_set(c)? {
        MessageSet::Set(set) if !set.has_star() => Ok(set),
        _ => c.fail_at(at, "expected numbers, without * or $"),
    }
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
//                   / "HIGHESTMODSEQ" (RFC 7162) / "MAILBOXID" (RFC 8474 §7) /
//                   "APPENDLIMIT" (RFC 7889 §5)
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
            "HIGHESTMODSEQ" => StatusItem::HighestModSeq,
            "MAILBOXID" => StatusItem::MailboxId,
            "APPENDLIMIT" => StatusItem::AppendLimit,
            _ => return c.fail_at(at, "unknown status item"),
        })
    })
}

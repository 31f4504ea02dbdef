//! NOTIFY: which mailboxes, and what to tell of them. That two events go together, and which belong to which mailboxes,
//! is grammar here (RFC 5465 §5, §8); which of them are supported is not known.

use columba_types::limits::{LIST_ITEMS, NOTIFY_MAILBOXES};

use super::cursor::{Cursor, Name, Parsed};
use super::fetch::fetch_att;
use crate::command::{CommandBody, EventGroup, MailboxFilter, NotifyEvent, NotifySet};
use crate::mailbox::RawMailbox;

// notify          = "NOTIFY" SP (notify-set / notify-none)
// notify-set      = "SET" [status-indicator] SP event-groups
// event-groups    = event-group *(SP event-group)
pub(super) fn notify(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    if c.take_name("NONE") {
        return Ok(CommandBody::Notify(None));
    }
    if !c.take_name("SET") {
        return c.fail("expected SET or NONE");
    }
    c.space()?;
    let status = c.take_name("STATUS");
    if status {
        c.space()?;
    }
    let mut groups = Vec::new();
    loop {
        let at = c.place();
        let group = event_group(c)?;
        // RFC 5465 §6.1: only one of SELECTED and SELECTED-DELAYED.
        if group.is_about_selected() && groups.iter().any(EventGroup::is_about_selected) {
            return c.fail_at(at, "SELECTED or SELECTED-DELAYED can be given only once");
        }
        groups.push(group);
        if matches!(c.rest(), [] | [b' ']) {
            return Ok(CommandBody::Notify(Some(NotifySet { status, groups })));
        }
        if groups.len() >= LIST_ITEMS {
            return c.fail("the list has too many items");
        }
        c.space()?;
    }
}

// event-group     = "(" filter-mailboxes SP events ")"
fn event_group(c: &mut Cursor<'_>) -> Parsed<EventGroup> {
    c.expect(b'(', "expected ( and mailboxes")?;
    let mailboxes = filter_mailboxes(c)?;
    c.space()?;
    let at = c.place();
    let events = events(c)?;
    c.expect(b')', "expected )")?;
    let group = EventGroup { mailboxes, events };
    match group.mistake() {
        None => Ok(group),
        Some(mistake) => c.fail_at(at, mistake),
    }
}

// filter-mailboxes-selected = "selected" / "selected-delayed"
// filter-mailboxes-other    = "inboxes" / "personal" / "subscribed" /
//                             ( "subtree" SP one-or-more-mailbox ) / ( "mailboxes" SP one-or-more-mailbox )
fn filter_mailboxes(c: &mut Cursor<'_>) -> Parsed<MailboxFilter> {
    let at = c.place();
    Ok(match c.name().as_str() {
        "SELECTED" => MailboxFilter::Selected,
        "SELECTED-DELAYED" => MailboxFilter::SelectedDelayed,
        "INBOXES" => MailboxFilter::Inboxes,
        "PERSONAL" => MailboxFilter::Personal,
        "SUBSCRIBED" => MailboxFilter::Subscribed,
        "SUBTREE" => MailboxFilter::Subtree(one_or_more_mailbox(c)?),
        "MAILBOXES" => MailboxFilter::Mailboxes(one_or_more_mailbox(c)?),
        _ => {
            let names = "SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE or MAILBOXES";
            return c.fail_at(at, format!("expected {names}"));
        }
    })
}

// one-or-more-mailbox = mailbox / many-mailboxes
// many-mailboxes      = "(" mailbox *(SP mailbox) ")"
fn one_or_more_mailbox(c: &mut Cursor<'_>) -> Parsed<Vec<RawMailbox>> {
    c.space()?;
    if c.peek() != Some(b'(') {
        return Ok(vec![c.mailbox()?]);
    }
    let at = c.place();
    let mailboxes = c.list_up_to(NOTIFY_MAILBOXES, "expected a list of mailboxes", Cursor::mailbox)?;
    if mailboxes.is_empty() { c.fail_at(at, "the list cannot be empty") } else { Ok(mailboxes) }
}

// events          = ( "(" event *(SP event) ")" ) / "NONE"
/// The examples of RFC 5465 §3.1 leave the parentheses out, which is no less clear.
fn events(c: &mut Cursor<'_>) -> Parsed<Vec<NotifyEvent>> {
    if c.peek() == Some(b'(') {
        return c.full_list("expected a list of events", event);
    }
    if c.take_name("NONE") {
        return Ok(Vec::new());
    }
    let mut events = vec![event(c)?];
    while c.take(b' ') {
        if events.len() >= LIST_ITEMS {
            return c.fail("the list has too many items");
        }
        events.push(event(c)?);
    }
    Ok(events)
}

// event           = message-event / mailbox-event / user-event / event-ext
// message-event   = ( "MessageNew" [SP "(" fetch-att *(SP fetch-att) ")" ] ) / "MessageExpunge" / …
// event-ext       = atom
fn event(c: &mut Cursor<'_>) -> Parsed<NotifyEvent> {
    let atom = c.atom("expected an event")?;
    Ok(match Name::new(atom.as_bytes()).as_str() {
        "MESSAGENEW" => {
            let items = c.rest().starts_with(b" (") && c.take(b' ');
            NotifyEvent::MessageNew(match items {
                true => c.full_list("expected a list of items", fetch_att)?,
                false => Vec::new(),
            })
        }
        "MESSAGEEXPUNGE" => NotifyEvent::MessageExpunge,
        "FLAGCHANGE" => NotifyEvent::FlagChange,
        "ANNOTATIONCHANGE" => NotifyEvent::AnnotationChange,
        "MAILBOXNAME" => NotifyEvent::MailboxName,
        "SUBSCRIPTIONCHANGE" => NotifyEvent::SubscriptionChange,
        "MAILBOXMETADATACHANGE" => NotifyEvent::MailboxMetadataChange,
        "SERVERMETADATACHANGE" => NotifyEvent::ServerMetadataChange,
        _ => NotifyEvent::Other(atom.to_owned()),
    })
}

impl EventGroup {
    /// Whether it is about the selected mailbox.
    pub fn is_about_selected(&self) -> bool {
        matches!(self.mailboxes, MailboxFilter::Selected | MailboxFilter::SelectedDelayed)
    }

    fn mistake(&self) -> Option<&'static str> {
        use NotifyEvent::*;
        let has = |wanted: fn(&NotifyEvent) -> bool| self.events.iter().any(wanted);
        let of_mailboxes = |event: &NotifyEvent| {
            matches!(event, MailboxName | SubscriptionChange | MailboxMetadataChange | ServerMetadataChange)
        };
        let fetches = |event: &NotifyEvent| matches!(event, MessageNew(items) if !items.is_empty());
        let new = has(|event| matches!(event, MessageNew(_)));
        let expunge = has(|event| matches!(event, MessageExpunge));
        if new != expunge {
            // RFC 5465 §5
            return Some("MessageNew and MessageExpunge go together");
        }
        if !new && has(|event| matches!(event, FlagChange | AnnotationChange)) {
            return Some("FlagChange and AnnotationChange need MessageNew and MessageExpunge");
        }
        if self.is_about_selected() && has(of_mailboxes) {
            return Some("of the selected mailbox only message events can be told");
        }
        if !self.is_about_selected() && has(fetches) {
            return Some("items can be fetched of messages in the selected mailbox only");
        }
        None
    }
}

impl NotifyEvent {
    /// As printed.
    pub fn name(&self) -> &str {
        match self {
            Self::MessageNew(_) => "MessageNew",
            Self::MessageExpunge => "MessageExpunge",
            Self::FlagChange => "FlagChange",
            Self::AnnotationChange => "AnnotationChange",
            Self::MailboxName => "MailboxName",
            Self::SubscriptionChange => "SubscriptionChange",
            Self::MailboxMetadataChange => "MailboxMetadataChange",
            Self::ServerMetadataChange => "ServerMetadataChange",
            Self::Other(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, ok};
    use super::*;
    use crate::command::FetchItem;

    fn groups(text: &str) -> Vec<EventGroup> {
        match ok(&format!("NOTIFY SET {text}")) {
            CommandBody::Notify(Some(set)) => set.groups,
            other => panic!("{other:?}"),
        }
    }

    // RFC 5465 §8
    #[test]
    fn filters_and_events() {
        use NotifyEvent::*;
        assert_eq!(ok("NOTIFY none"), CommandBody::Notify(None));
        let raw = |name: &str| RawMailbox(name.into());
        let both = || vec![MessageNew(vec![]), MessageExpunge];
        let group = |mailboxes, events| EventGroup { mailboxes, events };
        let set = groups("(mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))");
        let named = group(MailboxFilter::Mailboxes(vec![raw("INBOX")]), both());
        assert_eq!(set, [named, group(MailboxFilter::Personal, vec![SubscriptionChange])]);
        let items = vec![FetchItem::Uid, FetchItem::Flags];
        let selected = group(MailboxFilter::Selected, vec![MessageNew(items), MessageExpunge]);
        assert_eq!(groups("(selected (Messagenew (uid flags) messageExpunge))"), [selected]);
        let subtree = group(MailboxFilter::Subtree(vec![raw("a"), raw("b c")]), vec![]);
        assert_eq!(groups("(Subtree (a \"b c\") NONE)"), [subtree]);
        let odd = group(MailboxFilter::Inboxes, vec![Other("None-such".into()), MailboxMetadataChange]);
        assert_eq!(groups("(inboxes (None-such MailboxMetadataChange))"), [odd]);
        assert_eq!(groups("(selected-delayed NONE) (subscribed (MailboxName))").len(), 2);
        let status = ok("NOTIFY SET STATUS (personal NONE)");
        assert!(matches!(status, CommandBody::Notify(Some(NotifySet { status: true, .. }))));
    }

    // RFC 5465 §3.1, as its examples are written.
    #[test]
    fn events_without_parentheses() {
        let set = groups("(selected MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)");
        assert_eq!(set[0].events.len(), 2);
        assert_eq!(groups("(subtree Lists MessageExpunge MessageNew FlagChange)")[0].events.len(), 3);
    }

    // RFC 5465 §5, §6.1, §8; guide §4 point 53
    #[test]
    fn what_does_not_go_together_is_bad() {
        for wrong in [
            "(selected (MessageNew))",
            "(selected (MessageExpunge))",
            "(selected (FlagChange))",
            "(selected (AnnotationChange))",
            "(selected (MessageNew FlagChange))",
            "(mailboxes INBOX (MessageNew MessageExpunge)) (personal (FlagChange))",
            "(selected (MessageNew MessageExpunge MailboxName))",
            "(selected-delayed (SubscriptionChange))",
            "(personal (MessageNew (UID) MessageExpunge))",
            "(selected NONE) (selected-delayed NONE)",
            "(selected NONE) (selected NONE)",
        ] {
            bad(format!("NOTIFY SET {wrong}"));
        }
    }

    #[test]
    fn bad_syntax() {
        for wrong in [
            "NOTIFY",
            "NOTIFY ",
            "NOTIFY SET",
            "NOTIFY SET STATUS",
            "NOTIFY SET STATUS ",
            "NOTIFY NONE x",
            "NOTIFY SET selected NONE",
            "NOTIFY SET (selected)",
            "NOTIFY SET (selected )",
            "NOTIFY SET (selected ())",
            "NOTIFY SET (selected (NONE NONE)",
            "NOTIFY SET (everything NONE)",
            "NOTIFY SET (mailboxes NONE)",
            "NOTIFY SET (mailboxes () NONE)",
            "NOTIFY SET (mailboxes (a b NONE)",
            "NOTIFY SET (selected (MessageNew () MessageExpunge))",
            "NOTIFY SET (selected (MessageNew (NOTHING) MessageExpunge))",
            "NOTIFY SET (selected (MessageNew(UID) MessageExpunge))",
            "NOTIFY SET (selected NONE)(personal NONE)",
            "NOTIFY SET (selected NONE)  (personal NONE)",
            "NOTIFY SET (selected (MessageNew  MessageExpunge))",
        ] {
            bad(wrong);
        }
    }

    // limits::NOTIFY_MAILBOXES
    #[test]
    fn mailboxes_are_bounded() {
        let many = |n| format!("NOTIFY SET (mailboxes ({}) NONE)", vec!["m"; n].join(" "));
        ok(&many(NOTIFY_MAILBOXES));
        assert!(bad(many(NOTIFY_MAILBOXES + 1)).contains("too many items"));
    }
}

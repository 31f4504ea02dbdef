//! The groups of NOTIFY, as a client writes them.

use super::command::Writer;
use crate::command::{EventGroup, MailboxFilter, NotifyEvent};

impl Writer<'_> {
    pub(super) fn event_group(&mut self, group: &EventGroup) {
        let (name, mailboxes) = match &group.mailboxes {
            MailboxFilter::Selected => ("(selected", None),
            MailboxFilter::SelectedDelayed => ("(selected-delayed", None),
            MailboxFilter::Inboxes => ("(inboxes", None),
            MailboxFilter::Personal => ("(personal", None),
            MailboxFilter::Subscribed => ("(subscribed", None),
            MailboxFilter::Subtree(mailboxes) => ("(subtree ", Some(mailboxes)),
            MailboxFilter::Mailboxes(mailboxes) => ("(mailboxes ", Some(mailboxes)),
        };
        self.text(name);
        if let Some(mailboxes) = mailboxes {
            self.list(mailboxes, Self::mailbox);
        }
        self.text(" ");
        match group.events.is_empty() {
            true => self.text("NONE"),
            false => self.list(&group.events, Self::event),
        }
        self.text(")");
    }

    fn event(&mut self, event: &NotifyEvent) {
        self.text(event.name());
        if let NotifyEvent::MessageNew(items) = event
            && !items.is_empty()
        {
            self.text(" ");
            self.list(items, Self::fetch_item);
        }
    }
}

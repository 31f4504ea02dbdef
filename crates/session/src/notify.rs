//! What a client asked to be told unasked (NOTIFY, RFC 5465): which mailboxes, which events, how far it has been told.
//! How it is told is the matter of `news`.

use columba_store::{Follower, Tree, UidSpan};
use columba_types::{MailboxId, MailboxName, UidSet, limits};
use columba_wire::{Code, EventGroup, FetchItem, MailboxFilter, NameForm, NotifyEvent, NotifySet};

use crate::reply::Failure;

/// The events that are supported, for BADEVENT.
const SUPPORTED: &str = "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange \
                         ServerMetadataChange";

/// One client's NOTIFY. Without groups it is NOTIFY NONE.
#[derive(Debug, Default)]
pub(crate) struct Notify {
    pub(crate) selected: SelectedEvents,
    groups: Vec<Group>,
    /// `None` where no group wants anything.
    pub(crate) follower: Option<Follower>,
}

/// What to tell of the selected mailbox, whichever it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct SelectedEvents {
    /// New and expunged messages, which go together.
    pub(crate) messages: bool,
    pub(crate) flags: bool,
    /// Whether EXPUNGE has to wait for a command that allows it (RFC 5465 §6.1.2).
    pub(crate) delayed: bool,
    /// What to fetch of new messages.
    pub(crate) items: Vec<FetchItem>,
}

/// Some other mailboxes, and what to tell of them.
#[derive(Debug)]
struct Group {
    mailboxes: Filter,
    events: Events,
}

#[derive(Debug)]
enum Filter {
    /// All: there are no other namespaces yet. INBOXES too, for mail may be delivered to any of them (RFC 5465 §6.3).
    Personal,
    Subscribed,
    /// Sorted.
    Subtree(Vec<MailboxName>),
    /// Sorted.
    Mailboxes(Vec<MailboxName>),
}

/// Events of mailboxes that are not selected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Events {
    pub(crate) messages: bool,
    pub(crate) flags: bool,
    pub(crate) names: bool,
    pub(crate) subscriptions: bool,
    pub(crate) metadata: bool,
    /// Of the server, whatever the mailboxes of the group (RFC 5465 §5.7).
    pub(crate) server_metadata: bool,
}

impl Events {
    fn union(self, other: Self) -> Self {
        Self {
            messages: self.messages || other.messages,
            flags: self.flags || other.flags,
            names: self.names || other.names,
            subscriptions: self.subscriptions || other.subscriptions,
            metadata: self.metadata || other.metadata,
            server_metadata: self.server_metadata || other.server_metadata,
        }
    }
}

impl Notify {
    /// What a command asks for.
    ///
    /// # Errors
    /// An event that is not supported; more than can be kept.
    pub(crate) fn new(set: &NotifySet, form: NameForm) -> Result<Self, Failure> {
        if set.groups.iter().flat_map(|group| &group.events).any(|event| !is_supported(event)) {
            // RFC 5465 §3.1: NO, not BAD.
            return Err(Failure::no(Code::BadEvent(SUPPORTED), "Not every one of these events is supported"));
        }
        let mut notify = Self::default();
        for group in &set.groups {
            match Filter::new(&group.mailboxes, form) {
                Some(mailboxes) => notify.groups.push(Group { mailboxes, events: events(group) }),
                None => notify.selected = SelectedEvents::new(group),
            }
        }
        match notify.is_too_much() {
            true => Err(Failure::no(Code::NotificationOverflow, "That is more than one connection can follow")),
            false => Ok(notify),
        }
    }

    fn is_too_much(&self) -> bool {
        let names = || self.groups.iter().flat_map(|group| group.mailboxes.names());
        let octets: usize = names().map(|name| name.as_str().len()).sum();
        self.groups.len() > limits::NOTIFY_GROUPS
            || names().count() > limits::NOTIFY_MAILBOXES
            || octets > limits::NOTIFY_NAME_BYTES
            || self.selected.items.iter().map(octets_of).sum::<usize>() > limits::NOTIFY_FETCH_BYTES
    }

    /// Whether anything is wanted of mailboxes that are not selected.
    pub(crate) fn follows(&self) -> bool {
        self.groups.iter().any(|group| group.events != Events::default())
    }

    /// Whether changes of the server's annotations are wanted.
    pub(crate) fn wants_server_metadata(&self) -> bool {
        self.groups.iter().any(|group| group.events.server_metadata)
    }

    /// Whether any changes of annotations are.
    pub(crate) fn wants_metadata(&self) -> bool {
        self.groups.iter().any(|group| group.events.metadata || group.events.server_metadata)
    }

    /// What is wanted of the mailbox of that name: all that any group wants (RFC 5465 §6).
    pub(crate) fn events_of(&self, name: &MailboxName, tree: &Tree) -> Events {
        let subscribed = tree.get(name).is_some_and(|entry| entry.subscribed);
        self.events_if(name, subscribed)
    }

    /// The same, were it subscribed or were it not.
    pub(crate) fn events_if(&self, name: &MailboxName, subscribed: bool) -> Events {
        let matching = self.groups.iter().filter(|group| group.mailboxes.matches(name, subscribed));
        matching.fold(Events::default(), |events, group| events.union(group.events))
    }
}

fn is_supported(event: &NotifyEvent) -> bool {
    match event {
        NotifyEvent::MessageNew(_)
        | NotifyEvent::MessageExpunge
        | NotifyEvent::FlagChange
        | NotifyEvent::MailboxName
        | NotifyEvent::SubscriptionChange
        | NotifyEvent::MailboxMetadataChange
        | NotifyEvent::ServerMetadataChange => true,
        NotifyEvent::AnnotationChange | NotifyEvent::Other(_) => false,
    }
}

fn events(group: &EventGroup) -> Events {
    let has = |wanted: fn(&NotifyEvent) -> bool| group.events.iter().any(wanted);
    Events {
        messages: has(|event| matches!(event, NotifyEvent::MessageNew(_))),
        flags: has(|event| matches!(event, NotifyEvent::FlagChange)),
        names: has(|event| matches!(event, NotifyEvent::MailboxName)),
        subscriptions: has(|event| matches!(event, NotifyEvent::SubscriptionChange)),
        metadata: has(|event| matches!(event, NotifyEvent::MailboxMetadataChange)),
        server_metadata: has(|event| matches!(event, NotifyEvent::ServerMetadataChange)),
    }
}

/// About how much an item takes.
fn octets_of(item: &FetchItem) -> usize {
    use columba_wire::SectionText::{HeaderFields, HeaderFieldsNot};
    let names = match item {
        FetchItem::BodySection { section, .. } => match &section.text {
            HeaderFields(names) | HeaderFieldsNot(names) => names.iter().map(|name| name.len() + 24).sum(),
            _ => 0,
        },
        _ => 0,
    };
    names + size_of::<FetchItem>()
}

impl SelectedEvents {
    fn new(group: &EventGroup) -> Self {
        let Events { messages, flags, .. } = events(group);
        let mut items = Vec::new();
        for event in &group.events {
            if let NotifyEvent::MessageNew(wanted) = event {
                items = wanted.iter().cloned().map(peeking).collect();
            }
        }
        Self { messages, flags, delayed: group.mailboxes == MailboxFilter::SelectedDelayed, items }
    }
}

/// Nothing becomes \Seen by being told of, whatever a client asks for (RFC 5465 §5.2 advises it not to).
fn peeking(item: FetchItem) -> FetchItem {
    match item {
        FetchItem::BodySection { section, partial, .. } => FetchItem::BodySection { section, partial, peek: true },
        FetchItem::Binary { part, partial, .. } => FetchItem::Binary { part, partial, peek: true },
        other => other,
    }
}

impl Filter {
    /// `None` for the selected mailbox.
    fn new(filter: &MailboxFilter, form: NameForm) -> Option<Self> {
        // RFC 5465 §3.1: a name that is no mailbox's is ignored; it may become one.
        let names = |raws: &[columba_wire::RawMailbox]| {
            let name = |raw: &columba_wire::RawMailbox| columba_store::normalise_name(&raw.decode(form).ok()?).ok();
            let mut names: Vec<MailboxName> = raws.iter().filter_map(name).collect();
            names.sort_unstable();
            names.dedup();
            names.shrink_to_fit();
            names
        };
        Some(match filter {
            MailboxFilter::Selected | MailboxFilter::SelectedDelayed => return None,
            MailboxFilter::Inboxes | MailboxFilter::Personal => Self::Personal,
            MailboxFilter::Subscribed => Self::Subscribed,
            MailboxFilter::Subtree(raws) => Self::Subtree(names(raws)),
            MailboxFilter::Mailboxes(raws) => Self::Mailboxes(names(raws)),
        })
    }

    fn names(&self) -> &[MailboxName] {
        match self {
            Self::Personal | Self::Subscribed => &[],
            Self::Subtree(names) | Self::Mailboxes(names) => names,
        }
    }

    fn matches(&self, name: &MailboxName, subscribed: bool) -> bool {
        match self {
            Self::Personal => true,
            Self::Subscribed => subscribed,
            Self::Mailboxes(names) => names.binary_search(name).is_ok(),
            Self::Subtree(names) => {
                let is_named = |name: &MailboxName| names.binary_search(name).is_ok();
                is_named(name) || name.ancestors().any(|above| is_named(&above))
            }
        }
    }
}

/// What the running command does itself, and is therefore not told of (RFC 5465 §5).
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    messages: Vec<(MailboxId, Change, UidSet)>,
    names: Vec<MailboxName>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Arrived,
    Expunged,
}

impl Own {
    /// Messages it made.
    pub(crate) fn arrived(&mut self, mailbox: MailboxId, uids: &UidSet) {
        self.messages.push((mailbox, Change::Arrived, uids.clone()));
    }

    /// Messages it expunged.
    pub(crate) fn expunged(&mut self, mailbox: MailboxId, uids: &UidSet) {
        self.messages.push((mailbox, Change::Expunged, uids.clone()));
    }

    /// A name it made, took away, gave to a mailbox or subscribed.
    pub(crate) fn named(&mut self, name: &MailboxName) {
        self.names.push(name.clone());
    }

    fn of(&self, mailbox: MailboxId, change: Change) -> UidSet {
        let those = self.messages.iter().filter(|(id, kind, _)| *id == mailbox && *kind == change);
        those.fold(UidSet::new(), |all, (_, _, uids)| all.union(uids))
    }

    /// All it made there.
    pub(crate) fn arrivals(&self, mailbox: MailboxId) -> UidSet {
        self.of(mailbox, Change::Arrived)
    }

    /// All it expunged there.
    pub(crate) fn expunges(&self, mailbox: MailboxId) -> UidSet {
        self.of(mailbox, Change::Expunged)
    }

    /// What of a span somebody else made.
    pub(crate) fn others_arrivals(&self, mailbox: MailboxId, span: Option<UidSpan>) -> bool {
        span.is_some_and(|span| !span.is_of(&self.arrivals(mailbox)))
    }

    /// What of a span somebody else expunged.
    pub(crate) fn others_expunges(&self, mailbox: MailboxId, span: Option<UidSpan>) -> bool {
        span.is_some_and(|span| !span.is_of(&self.expunges(mailbox)))
    }

    /// Whether a change of one of these names is its own; each is so once.
    pub(crate) fn take_name<'n>(&mut self, names: impl IntoIterator<Item = &'n MailboxName>) -> bool {
        let at = names.into_iter().find_map(|name| self.names.iter().position(|own| own == name));
        at.map(|at| self.names.swap_remove(at)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use columba_wire::{CommandBody, ParseMode, parse_command};

    fn notify(text: &str) -> Result<Notify, Failure> {
        let command = parse_command(format!("a NOTIFY SET {text}").as_bytes(), ParseMode::default()).unwrap();
        let CommandBody::Notify(Some(set)) = command.body else { panic!("{text}") };
        Notify::new(&set, NameForm::ModifiedUtf7)
    }

    fn events(notify: &Notify, name: &str, subscribed: bool) -> Events {
        notify.events_if(&MailboxName::new(name).unwrap(), subscribed)
    }

    // RFC 5465 §6
    #[test]
    fn filters_match_by_name() {
        let groups = [
            "(subtree (a \"b c\") (MessageNew MessageExpunge))",
            "(mailboxes (inbox \"a/%\" x) (MailboxName))",
            "(subscribed (SubscriptionChange))",
        ];
        let notify = notify(&groups.join(" ")).unwrap();
        let messages = Events { messages: true, ..Events::default() };
        let names = Events { names: true, ..Events::default() };
        let none = Events::default();
        assert_eq!(events(&notify, "a", false), messages);
        assert_eq!(events(&notify, "b c/d/e", false), messages);
        assert_eq!(events(&notify, "ab", false), none);
        assert_eq!(events(&notify, "b", false), none);
        // RFC 5465 §6.6: no wildcard is expanded.
        assert_eq!(events(&notify, "a/b", false), messages);
        assert_eq!(events(&notify, "a/%", false), messages.union(names));
        assert_eq!(events(&notify, "INBOX", false), names);
        assert_eq!(events(&notify, "x", true), Events { subscriptions: true, ..names });
        assert_eq!(events(&notify, "x/y", false), none);
        assert!(notify.follows());
    }

    // limits::NOTIFY_GROUPS, NOTIFY_MAILBOXES, NOTIFY_NAME_BYTES, NOTIFY_FETCH_BYTES
    #[test]
    fn what_is_kept_is_bounded() {
        let overflows = |text: &str| {
            let failure = notify(text).err();
            matches!(failure, Some(Failure::No(Some(Code::NotificationOverflow), _)))
        };
        let groups = |n| vec!["(personal (MailboxName))"; n].join(" ");
        assert!(!overflows(&groups(limits::NOTIFY_GROUPS)) && overflows(&groups(limits::NOTIFY_GROUPS + 1)));
        let half = |prefix: &str, n: usize| {
            let names: Vec<String> = (0..n).map(|i| format!("{prefix}{i}")).collect();
            format!("(mailboxes ({}) (MailboxName))", names.join(" "))
        };
        let most = limits::NOTIFY_MAILBOXES;
        assert!(!overflows(&half("m", most)));
        assert!(overflows(&format!("{} {}", half("m", most), half("n", 1))));
        assert!(overflows(&half(&"m".repeat(90), limits::NOTIFY_NAME_BYTES / 90)));
        let fields = |n: usize| {
            format!("(selected (MessageNew (BODY.PEEK[HEADER.FIELDS ({})]) MessageExpunge))", vec!["x"; n].join(" "))
        };
        assert!(!overflows(&fields(100)) && overflows(&fields(1000)));
    }

    // RFC 5465 §3.1: NO [BADEVENT], and nothing is changed.
    #[test]
    fn unsupported_events_are_named() {
        for event in ["X-NEW", "MailboxNames"] {
            let failure = notify(&format!("(personal (MailboxName {event}))")).err();
            assert!(matches!(failure, Some(Failure::No(Some(Code::BadEvent(_)), _))), "{event}");
        }
        assert!(notify("(selected (MessageNew MessageExpunge AnnotationChange))").is_err());
        assert!(!notify("(selected NONE) (personal NONE)").unwrap().follows());
    }
}

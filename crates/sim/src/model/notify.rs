//! What a client asks of NOTIFY (RFC 5465), and what follows for what it may expect to be told. Who tells it is not known
//! here.

use super::actions::Dice;

/// NOTIFY SET; without any part NOTIFY NONE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Notify {
    /// Whether the state of all is told first (RFC 5465 §3.1, STATUS).
    pub(super) status: bool,
    /// What is to be told of the selected mailbox; without it nothing is.
    pub(super) selected: Option<Mine>,
    /// What is to be told of others.
    pub(super) others: Option<(Filter, Others)>,
}

/// What is to be told of the selected mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mine {
    /// Expunges only while a command runs that may tell them (RFC 5465 §6.1.2).
    pub(super) delayed: bool,
    pub(super) flags: bool,
    /// Whether new messages are fetched at once (RFC 5465 §5.2).
    pub(super) items: bool,
}

/// Of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Others {
    pub(super) flags: bool,
    pub(super) names: bool,
}

/// Which others (RFC 5465 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Personal,
    Inboxes,
    Subscribed,
    Subtree(&'static [&'static str]),
    Mailboxes(&'static [&'static str]),
}

const FILTERS: [Filter; 9] = [
    Filter::Personal,
    Filter::Personal,
    Filter::Inboxes,
    Filter::Subscribed,
    Filter::Subscribed,
    Filter::Subtree(&["Work", "x"]),
    Filter::Subtree(&["INBOX"]),
    Filter::Mailboxes(&["inbox", "Archive", "nowhere"]),
    Filter::Mailboxes(&["Work", "y"]),
];

/// What a client is told of its selected mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sees {
    pub(super) messages: bool,
    pub(super) flags: bool,
}

impl Notify {
    pub(super) const NONE: Self = Self { status: false, selected: None, others: None };

    pub(super) fn draw(dice: &mut Dice) -> Self {
        if dice.once_in(8) {
            return Self::NONE;
        }
        let mine = |dice: &mut Dice| Mine { delayed: dice.once_in(3), flags: !dice.once_in(4), items: dice.once_in(2) };
        let selected = (!dice.once_in(6)).then(|| mine(dice));
        let others = if dice.once_in(5) { None } else { dice.pick(&FILTERS) };
        let others = others.map(|filter| (filter, Others { flags: !dice.once_in(4), names: dice.once_in(2) }));
        Self { status: dice.once_in(2) && (selected.is_some() || others.is_some()), selected, others }
    }

    pub(super) fn written(self) -> String {
        let mut groups = Vec::new();
        if let Some(mine) = self.selected {
            let filter = if mine.delayed { "selected-delayed" } else { "selected" };
            let items = if mine.items { " (UID FLAGS)" } else { "" };
            let flags = if mine.flags { " FlagChange" } else { "" };
            groups.push(format!("({filter} (MessageNew{items} MessageExpunge{flags}))"));
        }
        if let Some((filter, others)) = self.others {
            let flags = if others.flags { " FlagChange" } else { "" };
            let names = if others.names { " MailboxName" } else { "" };
            groups.push(format!("({} (MessageNew MessageExpunge{flags}{names}))", filter.written()));
        }
        match groups.is_empty() {
            true => "NOTIFY NONE".into(),
            false => format!("NOTIFY SET {}{}", if self.status { "STATUS " } else { "" }, groups.join(" ")),
        }
    }

    /// Whether the messages of that mailbox, which is not selected, are told of.
    pub(super) fn covers(self, name: &str, subscribed: bool) -> bool {
        self.others.is_some_and(|(filter, _)| filter.matches(name, subscribed))
    }

    /// Whether it may be told of, by its name alone.
    pub(super) fn may_cover(self, name: &str) -> bool {
        self.covers(name, true) || self.covers(name, false)
    }

    /// Whether changes of flags there are told.
    pub(super) fn wants_flags_of_others(self) -> bool {
        self.others.is_some_and(|(_, others)| others.flags)
    }

    pub(super) fn sees(self) -> Sees {
        Sees { messages: self.selected.is_some(), flags: self.selected.is_some_and(|mine| mine.flags) }
    }

    /// Whether anything may be told between commands.
    pub(super) fn attends(self) -> bool {
        self.selected.is_some() || self.others.is_some()
    }
}

impl Filter {
    fn written(self) -> String {
        match self {
            Self::Personal => "personal".into(),
            Self::Inboxes => "inboxes".into(),
            Self::Subscribed => "subscribed".into(),
            Self::Subtree([one]) => format!("subtree {one}"),
            Self::Subtree(names) => format!("subtree ({})", names.join(" ")),
            Self::Mailboxes([one]) => format!("mailboxes {one}"),
            Self::Mailboxes(names) => format!("mailboxes ({})", names.join(" ")),
        }
    }

    fn matches(self, name: &str, subscribed: bool) -> bool {
        let same = |named: &&str| named.eq_ignore_ascii_case(name) && (*named == name || name == "INBOX");
        match self {
            // RFC 5465 §6.3: mail may be delivered to any of them here.
            Self::Personal | Self::Inboxes => true,
            Self::Subscribed => subscribed,
            Self::Subtree(names) => {
                let below = |named: &&str| name.strip_prefix(named).is_some_and(|rest| rest.starts_with('/'));
                names.iter().any(|named| same(named) || below(named))
            }
            Self::Mailboxes(names) => names.iter().any(same),
        }
    }
}

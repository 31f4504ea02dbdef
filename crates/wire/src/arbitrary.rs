//! Every command there can be, for property tests: what the parser may give, and nothing else.

use columba_types::{
    Date, DateTime, EntryName, Flag, Keyword, ModSeq, NumRange, NumSet, SetNum, SystemFlags, UidValidity,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::command::*;
use crate::mailbox::RawMailbox;

/// Octets of an astring: atoms, what must be quoted, what must be a literal; never NUL.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-zA-Z0-9&/.-]{1,8}".prop_map(String::into_bytes),
        "(NIL|nil|\"|\\\\|[ (){}%*\\]+~a]){0,6}".prop_map(String::into_bytes),
        "[äö日📥 x]{0,5}".prop_map(String::into_bytes),
        vec(1u8.., 0..9),
    ]
}

fn atom() -> impl Strategy<Value = String> {
    "[A-Z0-9$+,./:;<=>?@^_`|}~#!&'-]{1,9}"
}

fn mailbox() -> impl Strategy<Value = RawMailbox> {
    octets().prop_map(RawMailbox)
}

fn tag() -> impl Strategy<Value = Tag> {
    "[a-zA-Z0-9.\\]~#-]{1,7}".prop_map(|tag| Tag(tag.into()))
}

fn num() -> impl Strategy<Value = SetNum> {
    prop_oneof![Just(SetNum::Star), (1u32..20).prop_map(SetNum::Num), (1u32..).prop_map(SetNum::Num)]
}

fn set() -> impl Strategy<Value = MessageSet> {
    let range = (num(), num(), any::<bool>())
        .prop_map(|(start, end, one)| NumRange { start, end: if one { start } else { end } });
    prop_oneof![Just(MessageSet::Saved), vec(range, 1..5).prop_map(|ranges| MessageSet::Set(NumSet(ranges)))]
}

fn one_uid() -> impl Strategy<Value = MessageSet> {
    option::of(1u32..).prop_map(|uid| match uid {
        Some(uid) => {
            let uid = SetNum::Num(uid);
            MessageSet::Set(NumSet(vec![NumRange { start: uid, end: uid }]))
        }
        None => MessageSet::Saved,
    })
}

fn gm_label() -> impl Strategy<Value = GmLabel> {
    prop_oneof!["[A-Za-z]{1,8}".prop_map(GmLabel::System), mailbox().prop_map(GmLabel::Name)]
}

fn modseq() -> impl Strategy<Value = ModSeq> {
    prop_oneof![0..9u64, 0..=i64::MAX as u64].prop_map(ModSeq)
}

fn partial_range() -> impl Strategy<Value = PartialRange> {
    (1u32.., 1u32.., any::<bool>()).prop_map(|(first, last, from_end)| PartialRange { first, last, from_end })
}

/// Numbers as written, without `*`.
fn plain_set() -> impl Strategy<Value = NumSet> {
    let range = (1u32.., 1u32.., any::<bool>()).prop_map(|(start, end, one)| NumRange {
        start: SetNum::Num(start),
        end: SetNum::Num(if one { start } else { end }),
    });
    vec(range, 1..4).prop_map(NumSet)
}

fn select_parameters() -> impl Strategy<Value = SelectParameters> {
    let matches = option::of((plain_set(), plain_set()));
    let qresync =
        (1u32.., modseq(), option::of(plain_set()), matches).prop_map(|(uid_validity, modseq, known, matches)| {
            Qresync { uid_validity: UidValidity::new(uid_validity).unwrap(), modseq, known, matches }
        });
    (any::<bool>(), option::of(qresync)).prop_map(|(condstore, qresync)| SelectParameters { condstore, qresync })
}

fn fetch_modifiers() -> impl Strategy<Value = FetchModifiers> {
    (option::of(modseq()), any::<bool>(), option::of(partial_range())).prop_map(|(changed_since, vanished, partial)| {
        FetchModifiers { changed_since, vanished: vanished && changed_since.is_some(), partial }
    })
}

fn flag() -> impl Strategy<Value = Flag> {
    prop_oneof![
        select(SystemFlags::ALL.to_vec()).prop_map(|(flag, _)| Flag::System(flag)),
        keyword().prop_map(Flag::Keyword),
    ]
}

fn keyword() -> impl Strategy<Value = Keyword> {
    atom().prop_map(|atom| Keyword::new(&atom).unwrap())
}

fn date() -> impl Strategy<Value = Date> {
    (-719_528i64..=2_932_896).prop_map(Date::from_days_since_epoch)
}

fn numbering() -> impl Strategy<Value = Numbering> {
    select(vec![Numbering::Seq, Numbering::Uid])
}

fn entry_name() -> impl Strategy<Value = EntryName> {
    "/(private|Shared)/(comment|a b|vendor/[a-z]{1,4}/[a-z\"\\\\(){]{1,4})"
        .prop_map(|text| EntryName::new(&text).unwrap())
}

fn metadata() -> impl Strategy<Value = CommandBody> {
    let depth = select(vec![MetadataDepth::Zero, MetadataDepth::One, MetadataDepth::Infinity]);
    let options = (option::of(0u32..), option::of(depth));
    let options = options.prop_map(|(max_size, depth)| MetadataOptions { max_size, depth });
    let value = option::of(prop_oneof![octets(), vec(any::<u8>(), 0..9)]);
    prop_oneof![
        (mailbox(), options, vec(entry_name(), 1..4))
            .prop_map(|(mailbox, options, entries)| CommandBody::GetMetadata { mailbox, options, entries }),
        (mailbox(), vec((entry_name(), value), 1..4))
            .prop_map(|(mailbox, entries)| CommandBody::SetMetadata { mailbox, entries }),
    ]
}

fn status_items() -> impl Strategy<Value = Vec<StatusItem>> {
    use StatusItem::*;
    let sizes = [Size, HighestModSeq, MailboxId, AppendLimit];
    vec(select([&[Messages, Recent, UidNext, UidValidity, Unseen, Deleted], &sizes[..]].concat()), 1..4)
}

fn search_key() -> impl Strategy<Value = SearchKey> {
    let leaf = prop_oneof![
        select(vec![SearchKey::All, SearchKey::New, SearchKey::Old, SearchKey::Recent, SearchKey::SaveDateSupported]),
        ("[a-zA-Z0-9_-]{1,9}", any::<bool>()).prop_map(|(id, email)| if email {
            SearchKey::EmailId(id)
        } else {
            SearchKey::ThreadId(id)
        }),
        flag().prop_map(SearchKey::Flag),
        set().prop_map(SearchKey::Seq),
        set().prop_map(SearchKey::Uid),
        (0..8usize, octets(), octets()).prop_map(|(kind, text, other)| match kind {
            0 => SearchKey::Bcc(text),
            1 => SearchKey::Body(text),
            2 => SearchKey::Cc(text),
            3 => SearchKey::From(text),
            4 => SearchKey::Subject(text),
            5 => SearchKey::Text(text),
            6 => SearchKey::To(text),
            _ => SearchKey::Header(text, other),
        }),
        (0..9usize, date()).prop_map(|(kind, date)| match kind {
            6 => SearchKey::SavedBefore(date),
            7 => SearchKey::SavedOn(date),
            8 => SearchKey::SavedSince(date),
            0 => SearchKey::Before(date),
            1 => SearchKey::On(date),
            2 => SearchKey::Since(date),
            3 => SearchKey::SentBefore(date),
            4 => SearchKey::SentOn(date),
            _ => SearchKey::SentSince(date),
        }),
        (0..=i64::MAX as u64, any::<bool>()).prop_map(|(n, larger)| if larger {
            SearchKey::Larger(n)
        } else {
            SearchKey::Smaller(n)
        }),
        (1u32.., any::<bool>()).prop_map(|(n, old)| if old { SearchKey::Older(n) } else { SearchKey::Younger(n) }),
        modseq().prop_map(SearchKey::ModSeq),
        (any::<u64>(), any::<bool>()).prop_map(|(id, thread)| if thread {
            SearchKey::GmThrId(id)
        } else {
            SearchKey::GmMsgId(id)
        }),
        gm_label().prop_map(SearchKey::GmLabels),
        octets().prop_map(SearchKey::GmRaw),
        (one_uid(), any::<bool>()).prop_map(|(uid, after)| if after {
            SearchKey::UidAfter(uid)
        } else {
            SearchKey::UidBefore(uid)
        }),
    ];
    leaf.boxed().prop_recursive(6, 24, 4, |key| {
        prop_oneof![
            vec(key.clone(), 2..4).prop_map(SearchKey::And),
            key.clone().prop_map(|key| SearchKey::Not(Box::new(key))),
            (key.clone(), key).prop_map(|(one, other)| SearchKey::Or(Box::new(one), Box::new(other))),
        ]
    })
}

fn search() -> impl Strategy<Value = CommandBody> {
    let returns = (any::<[bool; 5]>(), option::of(partial_range())).prop_map(|(flags, partial)| {
        let [min, max, all, count, save] = flags;
        let all = partial.is_none() && (all || !(min || max || count || save));
        SearchReturn { min, max, all, count, save, partial }
    });
    (numbering(), option::of(returns), option::of(octets()), search_key().boxed())
        .prop_map(|(numbering, returns, charset, key)| CommandBody::Search(Search { numbering, returns, charset, key }))
}

fn fetch_item() -> impl Strategy<Value = FetchItem> {
    let part = || vec(1u32..50, 0..4);
    let partial = || {
        let partial = (0..=i64::MAX as u64, 1..=i64::MAX as u64);
        option::of(partial.prop_map(|(offset, length)| Partial { offset, length }))
    };
    let section = (part(), vec(octets(), 1..4), 0..6usize).prop_map(|(part, names, kind)| {
        let text = match kind {
            0 => SectionText::Header,
            1 => SectionText::HeaderFields(names),
            2 => SectionText::HeaderFieldsNot(names),
            3 => SectionText::Text,
            4 if !part.is_empty() => SectionText::Mime,
            _ => SectionText::All,
        };
        Section { part, text }
    });
    use FetchItem::*;
    prop_oneof![
        select(vec![
            Uid,
            Flags,
            InternalDate,
            Rfc822Size,
            Envelope,
            Body,
            BodyStructure,
            ModSeq,
            GmMsgId,
            GmThrId,
            GmLabels
        ]),
        select(vec![Rfc822, Rfc822Header, Rfc822Text, EmailId, ThreadId, SaveDate]),
        (section, partial(), any::<bool>()).prop_map(|(section, partial, peek)| BodySection { section, partial, peek }),
        (part(), partial(), any::<bool>()).prop_map(|(part, partial, peek)| Binary { part, partial, peek }),
        part().prop_map(|part| BinarySize { part }),
        any::<bool>().prop_map(|lazy| Preview { lazy }),
    ]
}

fn returned() -> impl Strategy<Value = (Option<Vec<StatusItem>>, Option<Vec<EntryName>>)> {
    (option::of(status_items()), option::of(vec(entry_name(), 1..3)))
}

fn list() -> impl Strategy<Value = CommandBody> {
    let basic = (mailbox(), mailbox()).prop_map(|(reference, pattern)| List {
        reference,
        patterns: vec![pattern],
        ..List::default()
    });
    let extended = (any::<[bool; 4]>(), mailbox(), vec(mailbox(), 1..4), any::<[bool; 3]>(), returned()).prop_map(
        |([subscribed, remote, recursive_match, special_use], reference, patterns, returns, (status, metadata))| List {
            extended: true,
            selection: ListSelection {
                subscribed,
                remote,
                recursive_match: recursive_match && (subscribed || special_use),
                special_use,
            },
            reference,
            patterns,
            returns: ListReturn {
                subscribed: returns[0],
                children: returns[1],
                special_use: returns[2],
                status,
                metadata,
            },
        },
    );
    prop_oneof![basic, extended].prop_map(CommandBody::List)
}

fn notify() -> impl Strategy<Value = CommandBody> {
    use NotifyEvent::*;
    let other = || "X-[A-Z0-9$+.-]{0,8}".prop_map(Other);
    let message_events = (option::of(any::<[bool; 2]>()), option::of(other())).prop_map(|(messages, other)| {
        let with = |wanted: bool, event| wanted.then_some(event);
        let [flags, annotations] = messages.unwrap_or_default();
        let both = messages.is_some().then(|| [MessageExpunge, MessageNew(Vec::new())]);
        let changes = [with(flags, FlagChange), with(annotations, AnnotationChange), other];
        both.into_iter().flatten().chain(changes.into_iter().flatten()).collect::<Vec<_>>()
    });
    let items = vec(fetch_item().boxed(), 0..3);
    let selected = (message_events.clone().boxed(), items, any::<bool>()).prop_map(|(mut events, items, delayed)| {
        events.iter_mut().filter(|event| matches!(event, MessageNew(_))).for_each(|e| *e = MessageNew(items.clone()));
        let mailboxes = if delayed { MailboxFilter::SelectedDelayed } else { MailboxFilter::Selected };
        EventGroup { mailboxes, events }
    });
    let filter = prop_oneof![
        select(vec![MailboxFilter::Inboxes, MailboxFilter::Personal, MailboxFilter::Subscribed]),
        vec(mailbox(), 1..3).prop_map(MailboxFilter::Subtree),
        vec(mailbox(), 1..3).prop_map(MailboxFilter::Mailboxes),
    ];
    let mailbox_events =
        vec(select(vec![MailboxName, SubscriptionChange, MailboxMetadataChange, ServerMetadataChange]), 0..3);
    let group = (filter, message_events.boxed(), mailbox_events).prop_map(|(mailboxes, mut events, more)| {
        events.extend(more);
        EventGroup { mailboxes, events }
    });
    let set = (any::<bool>(), option::of(selected), vec(group, 0..3)).prop_filter_map(
        "a group at least",
        |(status, selected, groups)| {
            let groups: Vec<EventGroup> = selected.into_iter().chain(groups).collect();
            (!groups.is_empty()).then_some(NotifySet { status, groups })
        },
    );
    option::of(set).prop_map(CommandBody::Notify)
}

fn date_time() -> impl Strategy<Value = DateTime> {
    (date(), 0u8..24, 0u8..60, 0u8..60, -719i16..=719)
        .prop_map(|(date, hour, minute, second, zone)| DateTime::from_local(date, hour, minute, second, zone).unwrap())
}

fn append() -> impl Strategy<Value = CommandBody> {
    let message = (vec(flag(), 0..3), option::of(date_time()), vec(octets(), 1..4)).prop_map(|(flags, date, urls)| {
        let mut parts = vec![AppendPart::Begin { flags, date }];
        parts.extend(urls.into_iter().map(AppendPart::Url));
        parts.push(AppendPart::End);
        parts
    });
    (option::of((numbering(), num())), mailbox(), vec(message, 1..4)).prop_map(|(replaced, mailbox, mut messages)| {
        if replaced.is_some() {
            messages.truncate(1);
        }
        CommandBody::Append(Append { replaced, mailbox, parts: messages.concat() })
    })
}

fn connection_body() -> impl Strategy<Value = CommandBody> {
    use CommandBody::*;
    prop_oneof![
        select(vec![Capability, Noop, Logout, StartTls, Namespace, Idle, Check, Close, Unselect, Unauthenticate]),
        option::of(vec((octets(), option::of(octets())), 0..3)).prop_map(Id),
        ("[A-Z0-9-]{1,9}", option::of("=|[A-Za-z0-9+/]{1,9}={0,2}")).prop_map(|(mechanism, initial)| {
            Authenticate { mechanism, initial: initial.map(|text| Secret(text.into_bytes())) }
        }),
        (octets(), octets()).prop_map(|(user, password)| Login { user, password: Secret(password) }),
        vec(atom(), 1..4).prop_map(Enable),
        "[A-Z0-9-]{1,9}".prop_map(Compress),
        notify().boxed(),
    ]
}

fn mailbox_body() -> impl Strategy<Value = CommandBody> {
    use CommandBody::*;
    let uses = option::of(vec("\\\\[A-Za-z]{1,6}", 0..3));
    prop_oneof![
        (mailbox(), any::<bool>(), select_parameters()).prop_map(|(mailbox, read_only, parameters)| Select {
            mailbox,
            read_only,
            parameters
        }),
        (mailbox(), uses).prop_map(|(mailbox, special_use)| Create { mailbox, special_use }),
        mailbox().prop_map(|mailbox| Delete { mailbox }),
        (mailbox(), mailbox()).prop_map(|(from, to)| Rename { from, to }),
        mailbox().prop_map(|mailbox| Subscribe { mailbox }),
        mailbox().prop_map(|mailbox| Unsubscribe { mailbox }),
        list().boxed(),
        (mailbox(), mailbox()).prop_map(|(reference, pattern)| Lsub { reference, pattern }),
        append().boxed(),
        (mailbox(), status_items()).prop_map(|(mailbox, items)| Status { mailbox, items }),
        metadata().boxed(),
    ]
}

fn message_body() -> impl Strategy<Value = CommandBody> {
    use CommandBody::*;
    let action = select(vec![StoreAction::Replace, StoreAction::Add, StoreAction::Remove]);
    prop_oneof![
        option::of(set()).prop_map(|uids| Expunge { uids }),
        search().boxed(),
        (numbering(), set(), vec(fetch_item().boxed(), 1..5), fetch_modifiers()).prop_map(
            |(numbering, set, items, modifiers)| {
                let uid = numbering == Numbering::Uid;
                let (vanished, partial) = (modifiers.vanished && uid, modifiers.partial.filter(|_| uid));
                Fetch { numbering, set, items, modifiers: FetchModifiers { vanished, partial, ..modifiers } }
            }
        ),
        (numbering(), set(), option::of(modseq()), action, any::<bool>(), vec(flag(), 0..4)).prop_map(
            |(numbering, set, unchanged_since, action, silent, flags)| Store {
                numbering,
                set,
                unchanged_since,
                action,
                silent,
                flags
            }
        ),
        (numbering(), set(), select(vec![StoreAction::Replace, StoreAction::Add, StoreAction::Remove]), any::<bool>())
            .prop_flat_map(|(numbering, set, action, silent)| {
                vec(gm_label(), 0..4).prop_map(move |labels| StoreLabels {
                    numbering,
                    set: set.clone(),
                    action,
                    silent,
                    labels,
                })
            }),
        (1u32.., option::of((1u32.., 1u32..))).prop_map(|(size, batches)| UidBatches { size, batches }),
        (numbering(), set(), mailbox()).prop_map(|(numbering, set, mailbox)| Copy { numbering, set, mailbox }),
        (numbering(), set(), mailbox()).prop_map(|(numbering, set, mailbox)| Move { numbering, set, mailbox }),
    ]
}

/// Any command.
pub(crate) fn command() -> impl Strategy<Value = Command> {
    let body = prop_oneof![connection_body().boxed(), mailbox_body().boxed(), message_body().boxed()];
    (tag(), body).prop_map(|(tag, body)| Command { tag, body })
}

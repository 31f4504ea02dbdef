//! What a client can say, as types. The parser makes these, the session acts on them, the printer writes them back.
//! Names of mailboxes stay raw here, because what they mean depends on what the session has enabled.

use std::fmt;

use columba_types::{Date, DateTime, EntryName, Flag, ModSeq, NumSet, SetNum, UidValidity};

use crate::mailbox::RawMailbox;

/// A tag: what the client calls its command (RFC 9051 §2.2.1). ASCII, without `+`.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Tag(pub Box<str>);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Octets that must not be printed in a log: a password or an initial response.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One complete command.
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// What the answer has to carry.
    pub tag: Tag,
    /// What is asked.
    pub body: CommandBody,
}

/// Whether numbers of a command are message sequence numbers or UIDs (`UID FETCH` and its kin, RFC 9051 §6.4.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Numbering {
    /// Message sequence numbers.
    Seq,
    /// Unique identifiers.
    Uid,
}

/// What messages a command is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MessageSet {
    /// Numbers as written.
    Set(NumSet),
    /// `$`, the saved result (RFC 9051 §6.4.4.1).
    Saved,
}

/// Names and values of the ID command (RFC 2971 §3.3).
pub type IdFields = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Every command of both revisions.
#[derive(Clone, PartialEq, Debug)]
pub enum CommandBody {
    // any state
    /// RFC 9051 §6.1.1
    Capability,
    /// RFC 9051 §6.1.2
    Noop,
    /// RFC 9051 §6.1.3
    Logout,
    /// RFC 2971; `None` for `ID NIL`. A value may be NIL.
    Id(Option<IdFields>),
    // not authenticated
    /// RFC 9051 §6.2.1
    StartTls,
    /// RFC 9051 §6.2.2. The mechanism is in upper case; the initial response is as sent, still base64, `=` for empty.
    Authenticate { mechanism: String, initial: Option<Secret> },
    /// RFC 9051 §6.2.3
    Login { user: Vec<u8>, password: Secret },
    // authenticated
    /// RFC 9051 §6.3.1; names in upper case.
    Enable(Vec<String>),
    /// RFC 8437 §3
    Unauthenticate,
    /// RFC 4978 §3; the mechanism in upper case.
    Compress(String),
    /// RFC 9051 §6.3.2 and §6.3.3. EXAMINE is SELECT with `read_only`.
    Select { mailbox: RawMailbox, read_only: bool, parameters: SelectParameters },
    /// RFC 9051 §6.3.4; `special_use` of RFC 6154 §3 (`USE (\Sent)`), names as written.
    Create { mailbox: RawMailbox, special_use: Option<Vec<String>> },
    /// RFC 9051 §6.3.5
    Delete { mailbox: RawMailbox },
    /// RFC 9051 §6.3.6
    Rename { from: RawMailbox, to: RawMailbox },
    /// RFC 9051 §6.3.7
    Subscribe { mailbox: RawMailbox },
    /// RFC 9051 §6.3.8
    Unsubscribe { mailbox: RawMailbox },
    /// RFC 9051 §6.3.9
    List(List),
    /// RFC 3501 §6.3.9
    Lsub { reference: RawMailbox, pattern: RawMailbox },
    /// RFC 9051 §6.3.10
    Namespace,
    /// APPEND or REPLACE whose octets are all named by URLs (RFC 4469), so that the command is whole without a literal
    /// that is streamed.
    Append(Append),
    /// RFC 9051 §6.3.11; never empty.
    Status { mailbox: RawMailbox, items: Vec<StatusItem> },
    /// RFC 5464 §4.2; the empty name is the server.
    GetMetadata { mailbox: RawMailbox, options: MetadataOptions, entries: Vec<EntryName> },
    /// RFC 5464 §4.3; `None` takes the entry away.
    SetMetadata { mailbox: RawMailbox, entries: Vec<(EntryName, Option<Vec<u8>>)> },
    /// RFC 9051 §6.3.13: DONE is not part of it, the session reads it.
    Idle,
    /// RFC 5465 §3.1; `None` for NOTIFY NONE.
    Notify(Option<NotifySet>),
    // selected
    /// RFC 3501 §6.4.1
    Check,
    /// RFC 9051 §6.4.1
    Close,
    /// RFC 9051 §6.4.2
    Unselect,
    /// RFC 9051 §6.4.3; with a set it is UID EXPUNGE (§6.4.9).
    Expunge { uids: Option<MessageSet> },
    /// RFC 9051 §6.4.4
    Search(Search),
    /// RFC 9051 §6.4.5
    Fetch { numbering: Numbering, set: MessageSet, items: FetchItems, modifiers: FetchModifiers },
    /// RFC 9051 §6.4.6; `unchanged_since` of RFC 7162 §3.1.3, 0 allowed.
    Store {
        numbering: Numbering,
        set: MessageSet,
        unchanged_since: Option<ModSeq>,
        action: StoreAction,
        silent: bool,
        flags: Vec<Flag>,
    },
    /// X-GM-EXT-1: changes the labels of messages, which are the mailboxes they are in.
    StoreLabels { numbering: Numbering, set: MessageSet, action: StoreAction, silent: bool, labels: Vec<GmLabel> },
    /// RFC 9051 §6.4.7
    Copy { numbering: Numbering, set: MessageSet, mailbox: RawMailbox },
    /// RFC 9051 §6.4.8
    Move { numbering: Numbering, set: MessageSet, mailbox: RawMailbox },
    /// RFC 10022 §3.1: messages of one batch, and which batches, first and last, as written; neither is zero.
    UidBatches { size: u32, batches: Option<(u32, u32)> },
}

/// Parameters of SELECT and EXAMINE (RFC 4466 §2.1).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SelectParameters {
    /// RFC 7162 §3.1.8
    pub condstore: bool,
    /// RFC 7162 §3.2.5
    pub qresync: Option<Qresync>,
}

/// What a client knew of a mailbox when it was connected last (RFC 7162 §3.2.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Qresync {
    /// Which life of the name it knew.
    pub uid_validity: UidValidity,
    /// Up to which change. 0 is not in the grammar; clients that know nothing send it.
    pub modseq: ModSeq,
    /// The UIDs it is interested in; without `*`.
    pub known: Option<NumSet>,
    /// A sample of sequence numbers, and the UIDs they had; without `*`.
    pub matches: Option<(NumSet, NumSet)>,
}

/// Modifiers of FETCH (RFC 4466 §2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FetchModifiers {
    /// RFC 7162 §3.1.4.1; 0 is not in the grammar, and sent by iPhones.
    pub changed_since: Option<ModSeq>,
    /// RFC 7162 §3.2.6
    pub vanished: bool,
    /// RFC 9394 §3.3
    pub partial: Option<PartialRange>,
}

/// Some of the results, counted from 1 at the lowest UID, or, `from_end`, from -1 at the highest (RFC 9394 §3.1).
/// The numbers are as written, never zero; either may be the higher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "described above")]
pub struct PartialRange {
    pub first: u32,
    pub last: u32,
    pub from_end: bool,
}

/// APPEND (RFC 9051 §6.3.12, RFC 3502, RFC 4469) or REPLACE (RFC 8508).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Append {
    /// The message that goes when the new one comes: then it is REPLACE. `*` is the last one.
    pub replaced: Option<(Numbering, SetNum)>,
    /// Where to.
    pub mailbox: RawMailbox,
    /// What it begins with. After [`AppendPart::Octets`] more may follow.
    pub parts: Vec<AppendPart>,
}

/// A piece of APPEND or REPLACE, in the order they came. A message is a `Begin`, its octets, and an `End`.
#[derive(Clone, PartialEq, Debug)]
pub enum AppendPart {
    /// A message begins.
    Begin {
        /// Without \Recent, which a client may not set and which is dropped.
        flags: Vec<Flag>,
        /// INTERNALDATE to be; `None` for now.
        date: Option<DateTime>,
    },
    /// The octets of the announced literal are of the message, or all of it. Always the last part that was read.
    Octets,
    /// What a URL names is of the message (RFC 4469 §3); as sent, to be read by [`crate::parse_message_url`].
    Url(Vec<u8>),
    /// The message is complete.
    End,
}

/// A label of X-GM-EXT-1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GmLabel {
    /// `\Inbox` and its kin, without the backslash, as written.
    System(String),
    /// The name of a mailbox.
    Name(RawMailbox),
}

/// What a flag change does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreAction {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// LIST with everything of RFC 9051 §6.3.9.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct List {
    /// Whether anything of the extended form was used: selection options, a list of patterns, or RETURN.
    pub extended: bool,
    /// What to select by.
    pub selection: ListSelection,
    /// The reference name.
    pub reference: RawMailbox,
    /// One pattern in the basic form, any number in the extended one.
    pub patterns: Vec<RawMailbox>,
    /// What to return.
    pub returns: ListReturn,
}

/// LIST selection options (RFC 9051 §6.3.9.1, RFC 6154 §2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub struct ListSelection {
    pub subscribed: bool,
    pub remote: bool,
    pub recursive_match: bool,
    pub special_use: bool,
}

/// LIST return options (RFC 9051 §6.3.9.2, §6.3.9.8, RFC 6154 §2).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub struct ListReturn {
    pub subscribed: bool,
    pub children: bool,
    pub special_use: bool,
    pub status: Option<Vec<StatusItem>>,
    /// RFC 9590 §3; never empty.
    pub metadata: Option<Vec<EntryName>>,
}

/// Options of GETMETADATA (RFC 5464 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MetadataOptions {
    /// Octets above which values are left out.
    pub max_size: Option<u32>,
    /// `None` means the same as zero.
    pub depth: Option<MetadataDepth>,
}

/// How far below an entry (RFC 5464 §4.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub enum MetadataDepth {
    Zero,
    One,
    Infinity,
}

/// STATUS items of both revisions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    Size,
    /// RFC 7162 §3.1.7
    HighestModSeq,
    /// RFC 8474 §4.3
    MailboxId,
    /// RFC 7889 §3.1
    AppendLimit,
}

/// NOTIFY SET (RFC 5465 §8): what a client wants to be told unasked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotifySet {
    /// Whether a STATUS of every mailbox is wanted at once.
    pub status: bool,
    /// Never empty; at most one is about the selected mailbox.
    pub groups: Vec<EventGroup>,
}

/// Some mailboxes, and what to tell of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventGroup {
    /// Which.
    pub mailboxes: MailboxFilter,
    /// MessageNew and MessageExpunge only together, flag changes only with both (RFC 5465 §5). Empty for NONE.
    pub events: Vec<NotifyEvent>,
}

/// Which mailboxes a group is about (RFC 5465 §6).
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub enum MailboxFilter {
    Selected,
    SelectedDelayed,
    Inboxes,
    Personal,
    Subscribed,
    /// These and all below them; never empty.
    Subtree(Vec<RawMailbox>),
    /// Never empty; no wildcards (RFC 5465 §6.6).
    Mailboxes(Vec<RawMailbox>),
}

/// What may happen to a mailbox (RFC 5465 §5).
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub enum NotifyEvent {
    /// With what to fetch of a new message, which only groups about the selected mailbox may have.
    MessageNew(FetchItems),
    MessageExpunge,
    FlagChange,
    AnnotationChange,
    MailboxName,
    SubscriptionChange,
    MailboxMetadataChange,
    ServerMetadataChange,
    /// One we never heard of, as written.
    Other(String),
}

/// SEARCH (RFC 9051 §6.4.4).
#[derive(Clone, PartialEq, Debug)]
pub struct Search {
    /// What numbers the result holds.
    pub numbering: Numbering,
    /// `None` without RETURN; an empty `RETURN ()` arrives as ALL.
    pub returns: Option<SearchReturn>,
    /// As written.
    pub charset: Option<Vec<u8>>,
    /// Criteria; several keys are one [`SearchKey::And`].
    pub key: SearchKey,
}

/// SEARCH return options (RFC 9051 §6.4.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub struct SearchReturn {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    pub save: bool,
    /// RFC 9394 §3.1; never with `all`.
    pub partial: Option<PartialRange>,
}

/// One search criterion (RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 5032). Strings are octets in the command's charset.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub enum SearchKey {
    /// All of them; empty never.
    And(Vec<SearchKey>),
    Or(Box<SearchKey>, Box<SearchKey>),
    Not(Box<SearchKey>),
    All,
    /// A flag that must be set; UNSEEN and its kin are `Not` of it.
    Flag(Flag),
    /// rev1 only
    New,
    /// rev1 only
    Old,
    /// rev1 only
    Recent,
    /// Sequence numbers, also in UID SEARCH.
    Seq(MessageSet),
    Uid(MessageSet),
    Bcc(Vec<u8>),
    Body(Vec<u8>),
    Cc(Vec<u8>),
    From(Vec<u8>),
    /// Field name and substring; an empty substring asks whether the field is there.
    Header(Vec<u8>, Vec<u8>),
    Subject(Vec<u8>),
    Text(Vec<u8>),
    To(Vec<u8>),
    Before(Date),
    On(Date),
    Since(Date),
    SentBefore(Date),
    SentOn(Date),
    SentSince(Date),
    Larger(u64),
    Smaller(u64),
    /// Seconds, RFC 5032.
    Older(u32),
    /// Seconds, RFC 5032.
    Younger(u32),
    /// RFC 7162 §3.1.5; 0 allowed. The name of a metadata item, which may come with it, is dropped: one mod-sequence
    /// covers them all.
    ModSeq(ModSeq),
    /// RFC 9738 §3.2: one UID, or `$`.
    UidAfter(MessageSet),
    /// RFC 9738 §3.2: one UID, or `$`.
    UidBefore(MessageSet),
    /// X-GM-EXT-1: a message, as a number.
    GmMsgId(u64),
    /// X-GM-EXT-1: a conversation, as a number.
    GmThrId(u64),
    /// X-GM-EXT-1: messages that are in that mailbox too.
    GmLabels(GmLabel),
    /// X-GM-EXT-1: what one would write into the search field of the web page.
    GmRaw(Vec<u8>),
    /// An objectid as written, whether or not it can be one of ours (RFC 8474 §6).
    EmailId(String),
    /// Likewise.
    ThreadId(String),
    /// RFC 8514 §4.3
    SavedBefore(Date),
    /// RFC 8514 §4.3
    SavedOn(Date),
    /// RFC 8514 §4.3
    SavedSince(Date),
    /// RFC 8514 §4.3
    SaveDateSupported,
}

impl SearchKey {
    /// Whether message sequence numbers are among the criteria. Recursion is bounded by limits::NESTING_DEPTH.
    pub fn has_sequence_numbers(&self) -> bool {
        self.any(&|key| matches!(key, Self::Seq(MessageSet::Set(_))))
    }

    /// Whether anything of X-GM-EXT-1 is among the criteria.
    pub fn has_gm(&self) -> bool {
        self.any(&|key| matches!(key, Self::GmMsgId(_) | Self::GmThrId(_) | Self::GmLabels(_) | Self::GmRaw(_)))
    }

    /// Whether MODSEQ is among the criteria, so that the answer has to have it (RFC 7162 §3.1.5).
    pub fn has_modseq(&self) -> bool {
        self.any(&|key| matches!(key, Self::ModSeq(_)))
    }

    /// All the keys that hold no other one, and those that do.
    pub fn each(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        match self {
            Self::And(keys) => keys.iter().for_each(|key| key.each(visit)),
            Self::Or(one, other) => {
                one.each(visit);
                other.each(visit);
            }
            Self::Not(key) => key.each(visit),
            _ => {}
        }
    }

    fn any(&self, test: &dyn Fn(&Self) -> bool) -> bool {
        let mut found = false;
        self.each(&mut |key| found |= test(key));
        found
    }
}

/// What FETCH asks for; macros are already spelled out into items.
pub type FetchItems = Vec<FetchItem>;

/// One FETCH item (RFC 9051 §6.4.5, RFC 3501 §6.4.5).
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub enum FetchItem {
    Uid,
    Flags,
    InternalDate,
    /// RFC822.SIZE
    Rfc822Size,
    /// RFC 7162 §3.1.4.2
    ModSeq,
    /// X-GM-EXT-1
    GmMsgId,
    /// X-GM-EXT-1
    GmThrId,
    /// X-GM-EXT-1
    GmLabels,
    Envelope,
    /// BODY without a section: the structure without extension data.
    Body,
    BodyStructure,
    /// `BODY[section]<partial>`; `peek` for BODY.PEEK.
    BodySection {
        section: Section,
        partial: Option<Partial>,
        peek: bool,
    },
    /// `BINARY[part]<partial>`
    Binary {
        part: Vec<u32>,
        partial: Option<Partial>,
        peek: bool,
    },
    /// `BINARY.SIZE[part]`
    BinarySize {
        part: Vec<u32>,
    },
    /// rev1; `BODY[]` under the name RFC822
    Rfc822,
    /// rev1; `BODY.PEEK[HEADER]` under the name RFC822.HEADER
    Rfc822Header,
    /// rev1; `BODY[TEXT]` under the name RFC822.TEXT
    Rfc822Text,
    /// RFC 8474 §5.3
    EmailId,
    /// RFC 8474 §5.3
    ThreadId,
    /// RFC 8514 §4.2
    SaveDate,
    /// RFC 8970 §3.1; `lazy`: only if it is at hand (§4.1).
    Preview {
        lazy: bool,
    },
}

/// `<offset.length>` of FETCH (RFC 9051 §6.4.5); the length is never zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub struct Partial {
    pub offset: u64,
    pub length: u64,
}

/// A section specification (RFC 9051 §6.4.5.1): part numbers, then what of the part. Empty part and [`SectionText::All`] is `BODY[]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Part numbers from the outside in, none zero.
    pub part: Vec<u32>,
    /// What of that part.
    pub text: SectionText,
}

/// What of a part a section names.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub enum SectionText {
    /// The part itself (its body), or the whole message where there is no part number.
    All,
    Header,
    /// Field names as written.
    HeaderFields(Vec<Vec<u8>>),
    HeaderFieldsNot(Vec<Vec<u8>>),
    Text,
    /// Only with part numbers.
    Mime,
}

//! FETCH and UID FETCH (RFC 9051 §6.4.5, RFC 3501 §6.4.5). Answers are printed message by message and sent as they
//! grow; no answer is ever held whole.

mod body;
mod packed;
mod preview;

use std::sync::Arc;

use bytes::Bytes;
use columba_store::{AccountStore, FlagAction, FlagChange, Mailbox, Message, Record, Snapshot, StoreError};
use columba_types::{DateTime, Flag, ModSeq, SystemFlags, ThreadId, UidSet, limits};
use columba_wire::{Code, FetchItem, FetchModifiers, MessageSet, Numbering, PrintMode, Printer, Section, SectionText};
use tracing::{error, warn};

use self::body::Piece;
pub(super) use self::body::{SectionOctets, read_chunk, section_octets};
use self::packed::PackedItems;
pub(super) use self::packed::pages_at_once;
use crate::context::Context;
use crate::gmail::{self, Labels};
use crate::reply::{Done, Failure, Outcome};
use crate::state::Selected;
use crate::subset::within;
use crate::sync::{fetch_flags, tell_vanished};

/// What is asked of every message.
struct Wanted<'a> {
    items: &'a [FetchItem],
    /// Whether the UID comes unasked, because the command is UID FETCH (RFC 9051 §6.4.9).
    with_uid: bool,
    mode: PrintMode,
}

impl Wanted<'_> {
    /// Whether anything needs more than the message's record.
    fn needs_message(&self) -> bool {
        !self.items.iter().all(in_record)
    }

    /// Whether anything needs what was worked out when the message arrived: its envelope, its structure, where its parts are.
    fn needs_summary(&self) -> bool {
        !self.items.iter().all(|item| in_record(item) || is_whole_message(item))
    }

    /// Whether messages are sent whole, or nearly so.
    fn reads_whole(&self) -> bool {
        self.items.iter().any(|item| is_whole_message(item) || *item == FetchItem::Rfc822Text)
    }

    /// Whether an answer has items before those that are octets of the message.
    fn prints_before_pieces(&self) -> bool {
        let octets = |item: &FetchItem| {
            matches!(
                item,
                FetchItem::BodySection { .. }
                    | FetchItem::Binary { .. }
                    | FetchItem::BinarySize { .. }
                    | FetchItem::Rfc822
                    | FetchItem::Rfc822Header
                    | FetchItem::Rfc822Text
            )
        };
        self.with_uid || !self.items.iter().all(octets)
    }

    /// Whether it makes messages \Seen (RFC 9051 §6.4.5).
    fn sets_seen(&self) -> bool {
        self.items.iter().any(|item| match item {
            FetchItem::BodySection { peek, .. } | FetchItem::Binary { peek, .. } => !peek,
            FetchItem::Rfc822 | FetchItem::Rfc822Text => true,
            _ => false,
        })
    }
}

/// Whether a message's record has it.
fn in_record(item: &FetchItem) -> bool {
    use FetchItem::{EmailId, Flags, GmMsgId, InternalDate, ModSeq, Rfc822Size, SaveDate, Uid};
    matches!(item, Uid | Flags | InternalDate | Rfc822Size | ModSeq | EmailId | SaveDate | GmMsgId)
}

/// Whether it is all octets of a message, as they are.
fn is_whole_message(item: &FetchItem) -> bool {
    match item {
        FetchItem::BodySection { section: Section { part, text: SectionText::All }, partial, .. } => {
            part.is_empty() && partial.is_none()
        }
        FetchItem::Rfc822 => true,
        _ => false,
    }
}

/// What became of it.
#[derive(Default)]
struct Fetched {
    /// Messages to be made \Seen.
    unseen: UidSet,
    /// Messages that another session expunged, and that are not remembered any more.
    gone: bool,
    /// What the tagged answer has to say of some message.
    failure: Option<Failure>,
    /// Messages done, and messages in all.
    done: u64,
    goal: u64,
}

pub(super) async fn fetch(
    context: &mut Context<'_, '_>,
    numbering: Numbering,
    set: MessageSet,
    mut items: Vec<FetchItem>,
    modifiers: FetchModifiers,
) -> Outcome {
    let enabled = context.state.enabled;
    if modifiers.vanished && !enabled.qresync {
        // RFC 7162 §3.2.6
        return Err(Failure::bad("UID FETCH: QRESYNC has to be enabled before VANISHED"));
    }
    if modifiers.changed_since.is_some() && !items.contains(&FetchItem::ModSeq) {
        // RFC 7162 §3.1.4.1
        items.push(FetchItem::ModSeq);
    }
    let of_gm = |item: &FetchItem| matches!(item, FetchItem::GmMsgId | FetchItem::GmThrId | FetchItem::GmLabels);
    if items.iter().any(of_gm) && !context.peer.x_gm_ext_1 {
        return Err(Failure::bad("FETCH: unknown FETCH item"));
    }
    if items.contains(&FetchItem::ModSeq) {
        context.enable_condstore();
    }
    let mut uids = context.resolve(numbering, &set)?;
    if let Some(range) = modifiers.partial {
        let limit = context.services.settings.message_limit.filter(|limit| range.last.abs_diff(range.first) >= *limit);
        if let Some(limit) = limit {
            // RFC 9738 §3.1: refused at once.
            let text = format!("One command can fetch {limit} messages: ask for a shorter range");
            return Err(Failure::no(Code::MessageLimit { limit, lowest: None }, text));
        }
        uids = within(range, &uids);
    }
    // RFC 9586 §3.3: a UIDFETCH has the UID at its front.
    let with_uid = numbering == Numbering::Uid && !enabled.uid_only && !items.contains(&FetchItem::Uid);
    let wanted = Wanted { items: &items, with_uid, mode: context.mode() };
    let selected = context.selected()?;
    let (mailbox, read_only) = (Arc::clone(selected.mailbox()?), selected.read_only);
    let snapshot = mailbox.snapshot();
    let mut result = Fetched::default();
    if let Some(since) = modifiers.changed_since {
        if modifiers.vanished {
            tell_gone(context, &snapshot, &set, since).await?;
        }
        let changed = snapshot.changed_since(since).map(|record| record.uid);
        uids = changed.filter(|uid| uids.contains(uid.value())).collect();
    }
    let (uids, limited) = context.within_limit(uids);
    let ghosts = ghosts(&mailbox, &snapshot, &uids, &mut result);
    if wanted.needs_message() {
        let mail = context.mail()?;
        result.goal = uids.len();
        match PackedItems::of(&wanted) {
            Some(packed) => packed.fetch(context, &mail, &snapshot, &wanted, &uids, &mut result).await?,
            None => {
                let records: Vec<Record> = snapshot.records_in(&uids).copied().collect();
                fetch_messages(context, &mail, &snapshot, &wanted, &records, &mut result).await?;
            }
        }
        fetch_messages(context, &mail, &snapshot, &wanted, &ghosts, &mut result).await?;
    } else {
        let none = Labels::default();
        for record in snapshot.records_in(&uids).chain(&ghosts) {
            let (selected, channel) = context.selected_and_channel()?;
            let read = Read { summary: None, labels: &none, goes_on: false };
            print(selected, &snapshot, record, &read, &wanted, &mut channel.printer(wanted.mode));
            channel.relieve().await?;
        }
    }
    // A client that wants mod-sequences has not been told of a change before it has that, too.
    if items.contains(&FetchItem::Flags) && (!enabled.condstore || items.contains(&FetchItem::ModSeq)) {
        context.note_told(uids, &snapshot);
    }
    if wanted.sets_seen() && !read_only {
        context.working(|| None, set_seen(&mailbox, &result.unseen)).await??;
        context.told.made_seen = result.unseen;
    }
    match result.failure {
        Some(failure) => Err(failure),
        None if result.gone => {
            Err(Failure::no(Code::ExpungeIssued, "Some of the messages have been expunged by another session"))
        }
        None => Ok(context.limited(Done::new("Fetched"), limited)),
    }
}

/// Messages the client has just been told of, by one who asked for that with NOTIFY (RFC 5465 §5.2). What cannot be read
/// is left out: nobody waits for the answer.
pub(crate) async fn fetch_new(
    context: &mut Context<'_, '_>,
    uids: &UidSet,
    items: &[FetchItem],
) -> Result<(), Failure> {
    let with_uid = !context.state.enabled.uid_only && !items.contains(&FetchItem::Uid);
    let wanted = Wanted { items, with_uid, mode: context.mode() };
    let mail = context.mail()?;
    let snapshot = context.mailbox()?.snapshot();
    let records: Vec<Record> = snapshot.records_in(uids).copied().collect();
    fetch_messages(context, &mail, &snapshot, &wanted, &records, &mut Fetched::default()).await
}

/// VANISHED (EARLIER) for the UIDs of the set that are no message's any more, before any FETCH (RFC 7162 §3.2.6). Those that
/// the client still counts among its messages vanish by the sync at the end.
async fn tell_gone(
    context: &mut Context<'_, '_>,
    snapshot: &Snapshot,
    set: &MessageSet,
    since: ModSeq,
) -> Result<(), Failure> {
    let mode = context.mode();
    let (selected, channel) = context.selected_and_channel()?;
    let asked = match set {
        MessageSet::Saved => selected.saved.clone(),
        // `*` is the last message there is or was, so that 1:* covers those that went at the end.
        MessageSet::Set(set) => {
            set.resolve(selected.view.seen_to()).intersection(&UidSet::range(1, selected.view.seen_to()))
        }
    };
    let gone = match snapshot.expunged_since(since) {
        Some(gone) => gone.intersection(&asked),
        None => asked,
    };
    let gone = gone.difference(&snapshot.uids()).difference(&selected.view.announced());
    Ok(tell_vanished(channel, mode, true, &gone).await?)
}

/// Messages the client knows of that are gone, as far as the mailbox remembers them.
fn ghosts(mailbox: &Mailbox, snapshot: &Snapshot, uids: &UidSet, result: &mut Fetched) -> Vec<Record> {
    let there: u64 = snapshot.records_in(uids).count() as u64;
    if there == uids.len() {
        return Vec::new();
    }
    let missing = uids.difference(&snapshot.uids());
    let ghosts: Vec<Record> = missing.uids().filter_map(|uid| mailbox.ghost(uid)).collect();
    result.gone = (ghosts.len() as u64) < missing.len();
    ghosts
}

/// Messages of which more than the record is asked: read together, while those before are sent.
async fn fetch_messages(
    context: &mut Context<'_, '_>,
    mail: &Arc<AccountStore>,
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    records: &[Record],
    result: &mut Fetched,
) -> Result<(), Failure> {
    let ask = |records: &[Record]| {
        let ids = records.iter().map(|record| record.message).collect();
        mail.messages_soon(ids, wanted.needs_summary())
    };
    let mut batches = records.chunks(limits::PAGE_RECORDS);
    let mut next = batches.next().map(|batch| (batch, ask(batch)));
    while let Some((batch, messages)) = next {
        let messages = messages.await?;
        next = batches.next().map(|batch| (batch, ask(batch)));
        fetch_batch(context, mail, snapshot, wanted, (batch, messages), result).await?;
    }
    Ok(())
}

async fn fetch_batch(
    context: &mut Context<'_, '_>,
    mail: &Arc<AccountStore>,
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    (records, mut messages): (&[Record], Vec<Option<Arc<Message>>>),
    result: &mut Fetched,
) -> Result<(), Failure> {
    for (at, record) in records.iter().enumerate() {
        context.tick(result.done, result.goal).await?;
        result.done += 1;
        let coming = messages.get_mut(at..).unwrap_or_default();
        if wanted.reads_whole() && coming.first().is_some_and(is_not_read) {
            mail.read_ahead(coming).await;
        }
        let message = coming.first_mut().and_then(Option::take);
        fetch_message(context, mail, snapshot, wanted, (record, message), result).await?;
    }
    Ok(())
}

/// One message; `None` if it is gone for good.
async fn fetch_message(
    context: &mut Context<'_, '_>,
    mail: &Arc<AccountStore>,
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    (record, message): (&Record, Option<Arc<Message>>),
    result: &mut Fetched,
) -> Result<(), Failure> {
    let Some(mut message) = message else {
        result.gone = true;
        return Ok(());
    };
    let pieces = match read(mail, &mut message, wanted).await {
        Ok(pieces) => pieces,
        Err(failure @ Failure::No(Some(Code::UnknownCte | Code::Parse), _)) => {
            result.failure = Some(failure);
            return Ok(());
        }
        Err(Failure::No(Some(Code::Corruption), text)) => {
            // One damaged message does not keep the others from being fetched.
            error!(message = %message.id, %text, "a message cannot be read");
            result.failure = Some(Failure::no(Code::Corruption, "Some of the messages are damaged"));
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    let labels = match wanted.items.contains(&FetchItem::GmLabels) {
        true => gmail::labels(mail, snapshot.head.mailbox, record.message).await?,
        false => Labels::default(),
    };
    let (selected, channel) = context.selected_and_channel()?;
    let summary = Some(Summary::of(&message, wanted.mode));
    let read = Read { summary, labels: &labels, goes_on: !pieces.is_empty() };
    if !print(selected, snapshot, record, &read, wanted, &mut channel.printer(wanted.mode)) {
        return Ok(());
    }
    // Large pieces go out here, in the middle of the answer that `print` began.
    body::send(channel, mail, &message, pieces, wanted.mode, !wanted.prints_before_pieces()).await?;
    channel.relieve().await?;
    note_read(wanted, record, result);
    Ok(())
}

/// Its octets were sent.
fn note_read(wanted: &Wanted<'_>, record: &Record, result: &mut Fetched) {
    if wanted.sets_seen() && !record.flags.system.contains(SystemFlags::SEEN) {
        result.unseen.insert(record.uid.value());
    }
}

fn is_not_read(message: &Option<Arc<Message>>) -> bool {
    message.as_ref().is_some_and(|message| message.octets.is_none())
}

/// What has to be read from the octets of a message before its answer begins.
async fn read(
    mail: &Arc<AccountStore>,
    message: &mut Arc<Message>,
    wanted: &Wanted<'_>,
) -> Result<Vec<Piece>, Failure> {
    if wanted.items.contains(&FetchItem::Preview { lazy: false }) {
        preview::work_out(mail, message).await?;
    }
    body::pieces(mail, message, wanted.items, wanted.mode).await
}

/// What was worked out when a message arrived, as this client reads it.
#[derive(Clone, Copy)]
struct Summary<'a> {
    envelope: &'a [u8],
    structure: &'a [u8],
    thread: ThreadId,
    preview: Option<&'a [u8]>,
}

impl<'a> Summary<'a> {
    fn of(message: &'a Message, mode: PrintMode) -> Self {
        let summary = &message.summary;
        let in_utf8 = |ascii: &'a Bytes, utf8: &'a Option<Bytes>| -> &'a [u8] {
            match utf8 {
                Some(utf8) if mode.utf8 => utf8,
                _ => ascii,
            }
        };
        Self {
            envelope: in_utf8(&summary.envelope, &summary.envelope_utf8),
            structure: in_utf8(&summary.body_structure, &summary.body_structure_utf8),
            thread: message.thread,
            preview: summary.preview.as_deref().map(str::as_bytes),
        }
    }
}

/// What was read of a message beside its record.
struct Read<'a> {
    summary: Option<Summary<'a>>,
    labels: &'a Labels,
    /// Whether items follow that are octets of the message, and then the end.
    goes_on: bool,
}

/// One FETCH answer, or all of it but those items that are octets of the message; `false` if the client does not know of
/// the message, and nothing was printed.
fn print(
    selected: &Selected,
    snapshot: &Snapshot,
    record: &Record,
    read: &Read<'_>,
    wanted: &Wanted<'_>,
    printer: &mut Printer<'_>,
) -> bool {
    let Some(seq) = selected.view.seq(record.uid) else { return false };
    printer.fetch_begin(seq, record.uid);
    if wanted.with_uid {
        printer.fetch_uid(record.uid);
    }
    for item in wanted.items {
        match item {
            FetchItem::Uid => printer.fetch_uid(record.uid),
            FetchItem::Flags => fetch_flags(selected, snapshot, record, printer, wanted.mode),
            FetchItem::InternalDate => printer.fetch_internal_date(record.internal_date),
            FetchItem::Rfc822Size => printer.fetch_size(record.size),
            FetchItem::ModSeq => printer.fetch_modseq(record.modseq),
            FetchItem::EmailId => printer.fetch_email_id(record.message),
            FetchItem::GmMsgId => printer.fetch_gm_number(b"X-GM-MSGID", record.message.0),
            FetchItem::GmLabels => {
                let Labels { system, names } = read.labels;
                printer.fetch_gm_labels(system.iter().copied(), names.iter().map(|name| name.as_str()));
            }
            FetchItem::SaveDate => printer.fetch_save_date(DateTime::utc(record.saved_secs)),
            _ => {
                if let Some(summary) = &read.summary {
                    print_summary(summary, item, printer);
                }
            }
        }
    }
    if !read.goes_on {
        printer.fetch_end();
    }
    true
}

/// What was worked out when the message arrived.
fn print_summary(summary: &Summary<'_>, item: &FetchItem, printer: &mut Printer<'_>) {
    match item {
        FetchItem::Envelope => printer.fetch_raw(b"ENVELOPE", summary.envelope),
        FetchItem::BodyStructure => printer.fetch_raw(b"BODYSTRUCTURE", summary.structure),
        FetchItem::Body => printer.fetch_raw(b"BODY", &columba_mime::without_extensions(summary.structure)),
        FetchItem::ThreadId => printer.fetch_thread_id(summary.thread),
        FetchItem::GmThrId => printer.fetch_gm_number(b"X-GM-THRID", summary.thread.0),
        // RFC 8970 §3.2: NIL only where LAZY allows it; otherwise it has been worked out.
        FetchItem::Preview { .. } => printer.fetch_nstring(b"PREVIEW", summary.preview),
        _ => {}
    }
}

/// The client has read them (RFC 9051 §6.4.5). The change is told by the sync at the command's end. A store that can't
/// take it is no reason to call the fetch failed: the client has got what it asked for.
async fn set_seen(mailbox: &Mailbox, uids: &UidSet) -> Result<(), Failure> {
    if uids.is_empty() {
        return Ok(());
    }
    let change = FlagChange { action: FlagAction::Add, flags: vec![Flag::System(SystemFlags::SEEN)] };
    match mailbox.store(uids, change, None).await {
        Ok(_) => Ok(()),
        Err(error @ StoreError::Indeterminate(_)) => Err(error.into()),
        Err(error) => {
            warn!(%error, "messages could not be marked as seen");
            Ok(())
        }
    }
}

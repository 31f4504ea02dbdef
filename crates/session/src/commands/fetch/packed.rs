//! FETCH of many messages by their packs: what is asked of a page's messages is taken from a few values, the next ones on
//! their way meanwhile. Messages that packs know nothing of are read one by one; the answers are the same octets.

use std::sync::Arc;

use columba_mime::FieldNames;
use columba_store::{
    AccountStore, BoxFuture, OpenPack, PackColumn, PackedTexts, PagePacks, PageRange, Record, Snapshot, StoreError,
};
use columba_types::{MessageId, ThreadId, UidSet, limits};
use columba_wire::{FetchItem, Partial, PrintMode, SectionText, section_name};

use super::body::window;
use super::{Fetched, Read, Summary, Wanted, fetch_message, fetch_messages, note_read, print};
use crate::channel::Channel;
use crate::context::Context;
use crate::gmail::Labels;
use crate::reply::Failure;

/// What a FETCH asks for, where packs can have all of it.
pub(super) struct PackedItems {
    columns: Vec<PackColumn>,
    /// The items that are octets of the message, in their order.
    headers: Vec<HeaderItem>,
}

/// A header, or fields of it.
struct HeaderItem {
    /// As it is answered.
    name: Vec<u8>,
    /// Those fields, or with `true` those that have other names; `None`: all of it.
    fields: Option<(FieldNames, bool)>,
    partial: Option<Partial>,
}

impl HeaderItem {
    fn new(item: &FetchItem, mode: PrintMode) -> Option<Self> {
        let (section, partial) = match item {
            FetchItem::BodySection { section, partial, .. } if section.part.is_empty() => (section, *partial),
            FetchItem::Rfc822Header => {
                return Some(Self { name: b"RFC822.HEADER".to_vec(), fields: None, partial: None });
            }
            _ => return None,
        };
        let fields = match &section.text {
            SectionText::Header => None,
            SectionText::HeaderFields(names) => Some((FieldNames::new(names), false)),
            SectionText::HeaderFieldsNot(names) => Some((FieldNames::new(names), true)),
            SectionText::All | SectionText::Text | SectionText::Mime => return None,
        };
        Some(Self { name: section_name(section, partial.map(|p| p.offset), mode), fields, partial })
    }

    /// Whether the fields that clients ask for most are enough.
    fn is_common(&self) -> bool {
        self.fields.as_ref().is_some_and(|(names, not)| !not && names.are_common())
    }
}

/// Messages that are neighbours, and where they are read from.
enum Stretch {
    Packed(Vec<Record>),
    Single(Vec<Record>),
}

/// Some stretches, and the packs of those that have any, on their way.
type Ahead<'a> = (Vec<Stretch>, BoxFuture<'a, Result<Vec<PagePacks>, StoreError>>);

/// What is read into again and again.
struct Room {
    packs: Vec<OpenPack>,
    fields: Vec<u8>,
}

impl PackedItems {
    /// `None` if something is asked for that packs never have.
    pub(super) fn of(wanted: &Wanted<'_>) -> Option<Self> {
        let mut columns = Vec::new();
        let mut headers = Vec::new();
        for item in wanted.items {
            use FetchItem::{EmailId, Flags, GmMsgId, InternalDate, ModSeq, Rfc822Size, SaveDate, Uid};
            let utf8 = wanted.mode.utf8;
            match item {
                Uid | Flags | InternalDate | Rfc822Size | ModSeq | EmailId | SaveDate | GmMsgId => {}
                FetchItem::Envelope => {
                    columns.push(PackColumn::Envelope);
                    columns.extend(utf8.then_some(PackColumn::EnvelopeUtf8));
                }
                FetchItem::BodyStructure | FetchItem::Body => {
                    columns.push(PackColumn::Structure);
                    columns.extend(utf8.then_some(PackColumn::StructureUtf8));
                }
                FetchItem::ThreadId | FetchItem::GmThrId => columns.push(PackColumn::Texts),
                FetchItem::Preview { .. } => columns.push(PackColumn::Preview),
                _ => headers.push(HeaderItem::new(item, wanted.mode)?),
            }
        }
        match headers.iter().all(HeaderItem::is_common) {
            true if headers.is_empty() => {}
            true => columns.push(PackColumn::Fields),
            false => columns.push(PackColumn::Header),
        }
        columns.sort_unstable();
        columns.dedup();
        Some(Self { columns, headers })
    }

    /// Answers for all of `uids` that are there, in their order.
    pub(super) async fn fetch(
        &self,
        context: &mut Context<'_, '_>,
        mail: &Arc<AccountStore>,
        snapshot: &Snapshot,
        wanted: &Wanted<'_>,
        uids: &UidSet,
        result: &mut Fetched,
    ) -> Result<(), Failure> {
        let mut room = Room { packs: Vec::new(), fields: Vec::new() };
        room.packs.resize_with(self.columns.len(), OpenPack::default);
        let mut pages = snapshot.pages_of(uids);
        let mut ahead = self.ask(mail, snapshot, &mut pages);
        while let Some((stretches, packs)) = ahead {
            let mut packs = packs.await?.into_iter();
            ahead = self.ask(mail, snapshot, &mut pages);
            for stretch in stretches {
                match stretch {
                    Stretch::Single(records) => {
                        fetch_messages(context, mail, snapshot, wanted, &records, result).await?;
                    }
                    Stretch::Packed(records) => {
                        let packs = packs.next().unwrap_or_default();
                        let page = Page { snapshot, packs: &packs, records: &records };
                        self.fetch_page(context, mail, wanted, page, &mut room, result).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the next messages, and asks for their packs.
    fn ask<'a>(
        &'a self,
        mail: &'a AccountStore,
        snapshot: &Snapshot,
        pages: &mut impl Iterator<Item = (PageRange, Vec<Record>)>,
    ) -> Option<Ahead<'a>> {
        let (mut stretches, mut asked) = (Vec::new(), Vec::new());
        while asked.len() < pages_at_once(&self.columns)
            && let Some((page, mut records)) = pages.next()
        {
            if mail.are_packs_worth_it(&page, records.len()) {
                asked.push(page);
                stretches.push(Stretch::Packed(records));
                continue;
            }
            match stretches.last_mut() {
                Some(Stretch::Single(before)) => before.append(&mut records),
                _ => stretches.push(Stretch::Single(records)),
            }
            if matches!(stretches.last(), Some(Stretch::Single(records)) if records.len() >= limits::PAGE_RECORDS) {
                break;
            }
        }
        if stretches.is_empty() {
            return None;
        }
        Some((stretches, mail.packs(snapshot.head.mailbox, &asked, &self.columns)))
    }

    /// One page's messages.
    async fn fetch_page(
        &self,
        context: &mut Context<'_, '_>,
        mail: &Arc<AccountStore>,
        wanted: &Wanted<'_>,
        page: Page<'_>,
        room: &mut Room,
        result: &mut Fetched,
    ) -> Result<(), Failure> {
        let Page { snapshot, packs, records } = page;
        for (column, pack) in self.columns.iter().zip(&mut room.packs) {
            packs.open(*column, pack);
        }
        let ids = records.iter().map(|record| record.message);
        let missing: Vec<_> = ids.filter(|id| !self.have(&mut room.packs, *id)).collect();
        let mut singles = mail.messages(&missing).await?.into_iter();
        let none = Labels::default();
        for record in records {
            if !self.have(&mut room.packs, record.message) {
                let message = singles.next().flatten();
                fetch_message(context, mail, snapshot, wanted, (record, message), result).await?;
                continue;
            }
            let (selected, channel) = context.selected_and_channel()?;
            let entries = self.entries(&mut room.packs, record);
            let read = Read { summary: Some(entries.summary), labels: &none, goes_on: !self.headers.is_empty() };
            if print(selected, snapshot, record, &read, wanted, &mut channel.printer(wanted.mode)) {
                self.print_headers(channel, wanted, entries.header, &mut room.fields);
                note_read(wanted, record, result);
                channel.relieve().await?;
            }
        }
        result.done += records.len() as u64;
        Ok(context.tick(result.done, result.goal).await?)
    }

    /// Whether the packs have all that is asked for of a message.
    fn have(&self, packs: &mut [OpenPack], id: MessageId) -> bool {
        self.columns.iter().zip(packs).all(|(column, pack)| match column {
            PackColumn::Texts => pack.entry(id).and_then(PackedTexts::decode).is_some(),
            _ => pack.entry(id).is_some(),
        })
    }

    /// What the packs have of a message.
    fn entries<'a>(&self, packs: &'a mut [OpenPack], record: &Record) -> Entries<'a> {
        let summary = Summary { envelope: b"", structure: b"", thread: ThreadId(0), preview: None };
        let mut entries = Entries { summary, header: b"" };
        let summary = &mut entries.summary;
        for (column, pack) in self.columns.iter().zip(packs) {
            let entry = pack.entry(record.message).unwrap_or_default();
            match column {
                PackColumn::Envelope => summary.envelope = entry,
                PackColumn::Structure => summary.structure = entry,
                // They come after those they stand for.
                PackColumn::EnvelopeUtf8 if !entry.is_empty() => summary.envelope = entry,
                PackColumn::StructureUtf8 if !entry.is_empty() => summary.structure = entry,
                PackColumn::EnvelopeUtf8 | PackColumn::StructureUtf8 => {}
                PackColumn::Texts => {
                    summary.thread = PackedTexts::decode(entry).map_or(ThreadId(0), |texts| texts.thread);
                }
                PackColumn::Preview => summary.preview = Some(entry),
                PackColumn::Fields | PackColumn::Header => entries.header = entry,
            }
        }
        entries
    }

    /// The items that are octets of the header, and the end of the answer.
    fn print_headers(&self, channel: &mut Channel<'_>, wanted: &Wanted<'_>, header: &[u8], fields: &mut Vec<u8>) {
        if self.headers.is_empty() {
            return;
        }
        let mut printer = channel.printer(wanted.mode);
        printer.fetch_resume(!wanted.prints_before_pieces());
        for item in &self.headers {
            let octets = match &item.fields {
                None => header,
                Some((names, not)) => {
                    fields.clear();
                    names.pick(header, *not, fields);
                    fields.as_slice()
                }
            };
            let window = window(octets.len() as u64, item.partial);
            let octets = octets.get(window.start as usize..window.end as usize).unwrap_or_default();
            printer.fetch_literal(&item.name, octets);
        }
        printer.fetch_end();
    }
}

/// How many pages' packs are read at once.
pub(in crate::commands) fn pages_at_once(columns: &[PackColumn]) -> usize {
    match columns.contains(&PackColumn::Header) {
        true => limits::PACK_READ_HEADER_PAGES,
        false => limits::PACK_READ_PAGES,
    }
}

/// A page of which some messages are asked for, and its packs.
struct Page<'a> {
    snapshot: &'a Snapshot,
    packs: &'a PagePacks,
    records: &'a [Record],
}

/// What packs have of a message.
struct Entries<'a> {
    summary: Summary<'a>,
    /// Its header, or the fields of it that clients ask for most.
    header: &'a [u8],
}

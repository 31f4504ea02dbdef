//! Reading packs: many pages with one question to the engine, taken apart one at a time.

use bytes::Bytes;
use columba_types::{DateTime, MailboxId, MessageId, ThreadId};

use super::{PackColumn, PageRange};
use crate::account_store::AccountStore;
use crate::codec::message::{decode_sent, encode_sent};
use crate::codec::pack::{Unpacked, ids};
use crate::codec::{DecodeError, Reader, Writer};
use crate::engine::BoxFuture;
use crate::{Message, StoreError, keys};

/// The packs of one page, as many as were asked for and are there.
#[derive(Clone, Debug, Default)]
pub struct PagePacks {
    values: Vec<(PackColumn, Bytes)>,
}

impl PagePacks {
    /// Takes a pack apart; whether it is there, and is whole.
    pub fn open(&self, column: PackColumn, into: &mut OpenPack) -> bool {
        into.near = 0;
        let value = self.values.iter().find(|(found, _)| *found == column);
        match value {
            Some((_, value)) => into.unpacked.fill(value).is_ok(),
            None => {
                into.unpacked.ids.clear();
                false
            }
        }
    }
}

/// One pack taken apart. Made once and filled again and again, so that its memory is.
#[derive(Debug, Default)]
pub struct OpenPack {
    unpacked: Unpacked,
    /// Where the last message was found: the next one is there, or right behind.
    near: usize,
}

impl OpenPack {
    /// What it holds of a message; `None` if it is not about that message, or has left it out. Fastest when asked in the
    /// order of the page.
    pub fn entry(&mut self, id: MessageId) -> Option<&[u8]> {
        let is_at = |at: &usize| self.unpacked.ids.get(*at) == Some(&id);
        let found = Some(self.near).filter(is_at).or_else(|| Some(self.near + 1).filter(is_at));
        let at = found.or_else(|| self.unpacked.ids.iter().position(|listed| *listed == id))?;
        self.near = at;
        self.unpacked.entry(at)
    }

    /// How many messages it is about.
    pub fn len(&self) -> usize {
        self.unpacked.ids.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.unpacked.ids.is_empty()
    }
}

/// What SEARCH asks for first: the Date field, the thread, and the decoded texts of the summary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackedTexts<'a> {
    /// The Date field.
    pub sent: Option<DateTime>,
    /// THREADID
    pub thread: ThreadId,
    /// Decoded Subject.
    pub subject: &'a str,
    /// From as SEARCH sees it.
    pub from: &'a str,
    /// To, likewise.
    pub to: &'a str,
    /// Cc, likewise.
    pub cc: &'a str,
    /// Bcc, likewise.
    pub bcc: &'a str,
}

impl<'a> PackedTexts<'a> {
    /// Of a message.
    pub fn of(message: &'a Message) -> Self {
        let summary = &message.summary;
        Self {
            sent: summary.sent,
            thread: message.thread,
            subject: &summary.subject,
            from: &summary.from,
            to: &summary.to,
            cc: &summary.cc,
            bcc: &summary.bcc,
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::default();
        encode_sent(&mut out, self.sent);
        out.u64(self.thread.0);
        [self.subject, self.from, self.to, self.cc, self.bcc].iter().for_each(|text| out.text(text));
        out.finish()
    }

    /// Of an entry of [`PackColumn::Texts`]; `None` if it is none.
    pub fn decode(entry: &'a [u8]) -> Option<Self> {
        Self::try_decode(entry).ok()
    }

    fn try_decode(entry: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::bare(entry);
        let texts = Self {
            sent: decode_sent(&mut input)?,
            thread: ThreadId(input.u64()?),
            subject: input.text()?,
            from: input.text()?,
            to: input.text()?,
            cc: input.text()?,
            bcc: input.text()?,
        };
        input.end()?;
        Ok(texts)
    }
}

impl AccountStore {
    /// Packs of some pages of a mailbox, in their order. The question is asked before the future is polled, so that one may
    /// be under way while the answer to the last is used. Pages which should have packs and have none get them some time
    /// later.
    ///
    /// # Errors
    /// `Unavailable`; a pack that is damaged is as one that is missing.
    pub fn packs<'a>(
        &'a self,
        mailbox: MailboxId,
        pages: &[PageRange],
        columns: &'a [PackColumn],
    ) -> BoxFuture<'a, Result<Vec<PagePacks>, StoreError>> {
        let key = |page: &PageRange| {
            let page = page.first_uid;
            columns.iter().map(move |column| keys::pack(mailbox, page, *column as u8))
        };
        let asked: Vec<_> = pages.iter().flat_map(key).collect();
        let pages = pages.to_vec();
        let read = self.core.engine.read(self.partition(), asked);
        Box::pin(async move {
            let mut values = read.await?.into_iter();
            let mut packs = Vec::with_capacity(pages.len());
            for page in pages {
                let values: Vec<_> =
                    columns.iter().zip(values.by_ref()).filter_map(|(column, value)| Some((*column, value?))).collect();
                if self.core.deserves_packs(&page) && page.is_due(values.first().map(|(_, value)| value)) {
                    self.core.packing.note(self.id(), mailbox, page.first_uid);
                }
                packs.push(PagePacks { values });
            }
            Ok(packs)
        })
    }
}

impl PageRange {
    /// Whether the page, if it is one that has packs, should get other packs than it has. `pack` is one of those it has, if it has any.
    fn is_due(&self, pack: Option<&Bytes>) -> bool {
        match pack.map(|value| ids(value)) {
            None | Some(Err(_)) => true,
            // Coarse, since it costs every reader: what it is not about, and what it is about in vain.
            Some(Ok(listed)) => listed.len() * 4 < self.records * 3 || listed.len() > self.records * 2,
        }
    }
}

//! Looking into messages: decoded header fields and decoded text, case-insensitive substrings, never fewer than there
//! are. What is cheap to read is read first, and a message is read further only while that leaves it undecided.

use std::sync::atomic::{AtomicU64, Ordering};

use columba_mime::{Finder, PartEntry, PartTable, TextDecoder, TextKind, decode_header, fields, search_form_into};
use columba_store::{AccountStore, Message, PackedTexts, Record, StoreError};
use columba_types::{DateTime, ThreadId, UidSet, limits};

use super::criteria::{Criteria, Needle};
use crate::progress::breathe;

/// Where a string is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Where {
    From,
    To,
    Cc,
    Bcc,
    Subject,
    /// The field of that name, in lower case.
    Header(Vec<u8>),
    /// The text of the message, without its own header.
    Body,
    /// Header and text.
    Text,
}

/// What is known of one message.
pub(super) struct Known {
    sent: Option<DateTime>,
    thread: ThreadId,
    /// By needle: whether it was found, once that is settled.
    pub(super) found: Vec<Option<bool>>,
}

impl Known {
    /// What was worked out when the message arrived.
    pub(super) fn new(texts: &PackedTexts<'_>, criteria: &Criteria, scratch: &mut String) -> Self {
        let found = criteria.needles.iter().map(|needle| in_texts(needle, texts, scratch)).collect();
        Self { sent: texts.sent, thread: texts.thread, found }
    }

    /// The Date field.
    pub(super) fn sent(&self) -> Option<DateTime> {
        self.sent
    }

    pub(super) fn thread(&self) -> ThreadId {
        self.thread
    }

    pub(super) fn found(&self, needle: usize) -> Option<bool> {
        self.found.get(needle).copied().flatten()
    }
}

/// Searches messages whose records do not decide.
pub(super) struct Bodies<'a> {
    mail: &'a AccountStore,
    criteria: &'a Criteria,
}

impl<'a> Bodies<'a> {
    pub(super) fn new(mail: &'a AccountStore, criteria: &'a Criteria) -> Self {
        Self { mail, criteria }
    }

    /// Those of `records` that match; `examined` says how many were looked at so far.
    pub(super) async fn search(&self, records: &[Record], examined: &AtomicU64) -> Result<UidSet, StoreError> {
        let mut found = UidSet::new();
        for batch in records.chunks(limits::PAGE_RECORDS) {
            let ids: Vec<_> = batch.iter().map(|record| record.message).collect();
            let messages = self.mail.messages(&ids).await?;
            for (record, message) in batch.iter().zip(messages) {
                if examined.fetch_add(1, Ordering::Relaxed).is_multiple_of(limits::SEARCH_BREATH) {
                    // Bytes that are at hand are read without a pause, for as long as it takes.
                    breathe().await;
                }
                // One that another session expunged meanwhile is not found any more.
                let Some(message) = message else { continue };
                if self.matches(record, &message).await? {
                    found.push(record.uid.value());
                }
            }
        }
        Ok(found)
    }

    async fn matches(&self, record: &Record, message: &Message) -> Result<bool, StoreError> {
        let mut known = Known::new(&PackedTexts::of(message), self.criteria, &mut String::new());
        if let Some(answer) = self.criteria.decide(record, Some(&known)) {
            return Ok(answer);
        }
        let parts = PartTable::decode(&message.summary.parts)
            .map_err(|_| StoreError::Corrupt(format!("the part table of message {}", message.id).into()))?;
        self.look_into_header(message, &parts, &mut known).await?;
        if let Some(answer) = self.criteria.decide(record, Some(&known)) {
            return Ok(answer);
        }
        self.look_into_body(message, &parts, &mut known).await?;
        // Everything has been read: what was not found is not there.
        for found in &mut known.found {
            found.get_or_insert(false);
        }
        Ok(self.criteria.decide(record, Some(&known)).unwrap_or(false))
    }

    /// The message's own header block: settles HEADER, and TEXT where it is found there.
    async fn look_into_header(
        &self,
        message: &Message,
        parts: &PartTable,
        known: &mut Known,
    ) -> Result<(), StoreError> {
        let Some(root) = parts.parts().first() else { return Ok(()) };
        let most = limits::HEADER_BLOCK_BYTES as u64;
        let end = root.header.end.min(root.header.start.saturating_add(most));
        let block = self.mail.read(message, root.header.start..end).await?;
        let mut scratch = String::new();
        for (needle, found) in self.criteria.needles.iter().zip(&mut known.found) {
            match &needle.place {
                Where::Header(name) if found.is_none() => *found = Some(in_field(&block, name, needle, &mut scratch)),
                Where::Text if found.is_none() && in_any_field(&block, needle) => *found = Some(true),
                _ => {}
            }
        }
        Ok(())
    }

    /// Every text part and every header inside, until all that is looked for has been found.
    async fn look_into_body(&self, message: &Message, parts: &PartTable, known: &mut Known) -> Result<(), StoreError> {
        for (i, part) in parts.parts().iter().enumerate() {
            let open: Vec<usize> = (0..known.found.len())
                .filter(|n| {
                    known.found[*n].is_none() && matches!(self.criteria.needles[*n].place, Where::Body | Where::Text)
                })
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            let mut finders: Vec<(usize, Finder)> =
                open.iter().map(|n| (*n, Finder::new(&self.criteria.needles[*n].text))).collect();
            // The header of an enclosed message or part is text of the message; its own header is not (RFC 9051 §6.4.4).
            if i > 0 {
                self.scan_header(message, part, &mut finders, known).await?;
            }
            if matches!(part.text, TextKind::Plain | TextKind::Html | TextKind::OtherText) {
                self.scan_text(message, part, &mut finders, known).await?;
            }
        }
        Ok(())
    }

    async fn scan_header(
        &self,
        message: &Message,
        part: &PartEntry,
        finders: &mut [(usize, Finder)],
        known: &mut Known,
    ) -> Result<(), StoreError> {
        let end = part.header.end.min(part.header.start.saturating_add(limits::HEADER_BLOCK_BYTES as u64));
        let block = self.mail.read(message, part.header.start..end).await?;
        for (n, _) in finders.iter() {
            if in_any_field(&block, &self.criteria.needles[*n]) {
                known.found[*n] = Some(true);
            }
        }
        Ok(())
    }

    /// Decodes a part piece by piece; a string that lies across two pieces is found too.
    async fn scan_text(
        &self,
        message: &Message,
        part: &PartEntry,
        finders: &mut [(usize, Finder)],
        known: &mut Known,
    ) -> Result<(), StoreError> {
        let mut decoder = TextDecoder::new(part.encoding, &part.charset);
        let (mut text, mut folded) = (String::new(), String::new());
        let (mut at, mut breath_at) = (part.body.start, part.body.start);
        while at < part.body.end {
            if at.saturating_sub(breath_at) >= limits::SEARCH_BREATH_BYTES {
                breath_at = at;
                breathe().await;
            }
            let end = part.body.end.min(at.saturating_add(limits::MESSAGE_CHUNK_BYTES as u64));
            let chunk = self.mail.read(message, at..end).await?;
            if chunk.is_empty() {
                return Err(StoreError::Corrupt(format!("message {} is shorter than it should be", message.id).into()));
            }
            at += chunk.len() as u64;
            decoder.feed(&chunk, &mut text);
            feed(finders, &mut text, &mut folded, known);
        }
        decoder.finish(&mut text);
        feed(finders, &mut text, &mut folded, known);
        Ok(())
    }
}

fn feed(finders: &mut [(usize, Finder)], text: &mut String, folded: &mut String, known: &mut Known) {
    folded.clear();
    search_form_into(text, folded);
    text.clear();
    for (n, finder) in finders.iter_mut() {
        if finder.feed(folded) {
            known.found[*n] = Some(true);
        }
    }
}

/// What is settled by the fields that were decoded when the message arrived.
fn in_texts(needle: &Needle, texts: &PackedTexts<'_>, scratch: &mut String) -> Option<bool> {
    let text = match needle.place {
        Where::From => texts.from,
        Where::To => texts.to,
        Where::Cc => texts.cc,
        Where::Bcc => texts.bcc,
        Where::Subject => texts.subject,
        Where::Header(_) | Where::Body | Where::Text => return None,
    };
    Some(contains(text, needle, scratch))
}

fn contains(text: &str, needle: &Needle, scratch: &mut String) -> bool {
    scratch.clear();
    search_form_into(text, scratch);
    needle.finder.find(scratch.as_bytes()).is_some()
}

/// Whether a field of that name holds the string; an empty string asks whether there is such a field at all.
pub(super) fn in_field(block: &[u8], name: &[u8], needle: &Needle, scratch: &mut String) -> bool {
    fields(block)
        .filter(|field| field.name.eq_ignore_ascii_case(name))
        .any(|field| needle.text.is_empty() || contains(&decode_header(field.value), needle, scratch))
}

/// Whether any field holds the string, its name included: TEXT is about the header as it reads.
fn in_any_field(block: &[u8], needle: &Needle) -> bool {
    let mut scratch = String::new();
    fields(block).any(|field| {
        let line = format!("{}: {}", String::from_utf8_lossy(field.name), decode_header(field.value));
        contains(&line, needle, &mut scratch)
    })
}

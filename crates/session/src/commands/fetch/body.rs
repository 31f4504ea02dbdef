//! The items of FETCH that are octets of the message: BODY[…], BINARY[…] and their rev1 kin. What can fail is done
//! before the answer begins; what is large is read and sent piece by piece.

use std::ops::Range;

use bytes::Bytes;
use columba_mime::{PartTable, TransferDecoder, TransferEncoding, Want, header_fields};
use columba_store::{AccountStore, Message, StoreError};
use columba_types::limits;
use columba_wire::{Code, FetchItem, Partial, PrintMode, Section, SectionText, binary_name, section_name};

use crate::channel::{Channel, Ended};
use crate::reply::Failure;

/// One item, ready to be sent.
pub(super) struct Piece {
    /// The item's name in the answer.
    name: Vec<u8>,
    value: Value,
}

enum Value {
    /// Nothing of that kind in this message.
    Nil,
    /// All of it.
    Octets { octets: Bytes, literal8: bool },
    /// A range of the message, of which the beginning was read already.
    Range { range: Range<u64>, first: Bytes },
    /// Decoded octets of a large part, to be decoded again while they are sent.
    Decoded { range: Range<u64>, encoding: TransferEncoding, window: Range<u64>, literal8: bool },
    /// BINARY.SIZE
    Size(u64),
}

/// Everything of one message that is asked for and is octets.
pub(super) async fn pieces(
    mail: &AccountStore,
    message: &Message,
    items: &[FetchItem],
    mode: PrintMode,
) -> Result<Vec<Piece>, Failure> {
    let mut pieces = Vec::new();
    let mut parts = None;
    for item in items {
        let section = |part: &[u32], text| Section { part: part.to_vec(), text };
        let piece = match item {
            FetchItem::BodySection { section, partial, .. } => {
                let name = section_name(section, partial.map(|p| p.offset), mode);
                of_section(mail, message, &mut parts, section, *partial, name).await?
            }
            FetchItem::Rfc822 => {
                let all = section(&[], SectionText::All);
                of_section(mail, message, &mut parts, &all, None, b"RFC822".to_vec()).await?
            }
            FetchItem::Rfc822Header => {
                let header = section(&[], SectionText::Header);
                of_section(mail, message, &mut parts, &header, None, b"RFC822.HEADER".to_vec()).await?
            }
            FetchItem::Rfc822Text => {
                let text = section(&[], SectionText::Text);
                of_section(mail, message, &mut parts, &text, None, b"RFC822.TEXT".to_vec()).await?
            }
            FetchItem::Binary { part, partial, .. } => {
                let name = binary_name(part, partial.map(|p| p.offset));
                let value = of_binary(mail, message, &mut parts, part, *partial).await?;
                Piece { name, value }
            }
            FetchItem::BinarySize { part } => {
                let value = match of_binary(mail, message, &mut parts, part, None).await? {
                    Value::Octets { octets, .. } => octets.len() as u64,
                    Value::Range { range, .. } => range.end - range.start,
                    Value::Decoded { window, .. } => window.end - window.start,
                    Value::Nil | Value::Size(_) => 0,
                };
                let mut name = b"BINARY.SIZE".to_vec();
                name.extend_from_slice(binary_name(part, None).get(b"BINARY".len()..).unwrap_or_default());
                Piece { name, value: Value::Size(value) }
            }
            _ => continue,
        };
        pieces.push(piece);
    }
    Ok(pieces)
}

/// The part table, decoded once per message.
fn table<'t>(message: &Message, parts: &'t mut Option<PartTable>) -> Result<&'t PartTable, Failure> {
    if parts.is_none() {
        let table = PartTable::decode(&message.summary.parts)
            .map_err(|_| StoreError::Corrupt(format!("the part table of message {}", message.id).into()))?;
        *parts = Some(table);
    }
    parts.as_ref().ok_or_else(|| Failure::no(Code::ServerBug, "No part table"))
}

async fn of_section(
    mail: &AccountStore,
    message: &Message,
    parts: &mut Option<PartTable>,
    section: &Section,
    partial: Option<Partial>,
    name: Vec<u8>,
) -> Result<Piece, Failure> {
    let value = match section_octets(mail, message, parts, section, partial).await? {
        None => Value::Nil,
        Some(SectionOctets::Read { octets, .. }) => Value::Octets { octets, literal8: false },
        Some(SectionOctets::InMessage(range)) => of_range(mail, message, range).await?,
    };
    Ok(Piece { name, value })
}

/// Where the octets of a section are.
pub(in crate::commands) enum SectionOctets {
    /// Here; so many octets were read for them.
    Read { octets: Bytes, from: u64 },
    /// In the message, one after the other.
    InMessage(Range<u64>),
}

/// The octets of a section, or of a range of it; `None` if the message has none of that kind.
pub(in crate::commands) async fn section_octets(
    mail: &AccountStore,
    message: &Message,
    parts: &mut Option<PartTable>,
    section: &Section,
    partial: Option<Partial>,
) -> Result<Option<SectionOctets>, Failure> {
    let want = match &section.text {
        SectionText::All => Want::All,
        SectionText::Text => Want::Text,
        SectionText::Mime => Want::Mime,
        SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => Want::Header,
    };
    let range = match (section.part.is_empty(), want) {
        (true, Want::All) => Some(0..message.size),
        _ => table(message, parts)?.locate(&section.part, want),
    };
    let Some(range) = range else { return Ok(None) };
    let subset = match &section.text {
        SectionText::HeaderFields(names) => Some((names, false)),
        SectionText::HeaderFieldsNot(names) => Some((names, true)),
        _ => None,
    };
    Ok(Some(match subset {
        Some((names, not)) => {
            let block = read_all(mail, message, range).await?;
            let fields = Bytes::from(header_fields(&block, names, not));
            let window = window(fields.len() as u64, partial);
            let octets = fields.slice(window.start as usize..window.end as usize);
            SectionOctets::Read { octets, from: block.len() as u64 }
        }
        None => SectionOctets::InMessage(cut(range, partial)),
    }))
}

/// A range as it is, its beginning read.
async fn of_range(mail: &AccountStore, message: &Message, range: Range<u64>) -> Result<Value, Failure> {
    let first_end = range.end.min(range.start.saturating_add(limits::MESSAGE_CHUNK_BYTES as u64));
    if range.is_empty() {
        return Ok(Value::Octets { octets: Bytes::new(), literal8: false });
    }
    let first = mail.read(message, range.start..first_end).await?;
    if first.len() as u64 != first_end - range.start {
        return Err(StoreError::Corrupt(format!("message {} is shorter than it should be", message.id).into()).into());
    }
    Ok(Value::Range { range, first })
}

/// BINARY (RFC 9051 §6.4.5, RFC 3516): the octets of a part with its transfer encoding taken off.
async fn of_binary(
    mail: &AccountStore,
    message: &Message,
    parts: &mut Option<PartTable>,
    part: &[u32],
    partial: Option<Partial>,
) -> Result<Value, Failure> {
    if part.is_empty() {
        return plain_binary(mail, message, cut(0..message.size, partial)).await;
    }
    let table = table(message, parts)?;
    let Some(range) = table.locate(part, Want::All) else { return Ok(Value::Nil) };
    let encoding = table.encoding(part).unwrap_or(TransferEncoding::SevenBit);
    match encoding {
        TransferEncoding::Unknown => {
            Err(Failure::no(Code::UnknownCte, "The part is encoded in a way this server does not know"))
        }
        TransferEncoding::Base64 | TransferEncoding::QuotedPrintable => {
            decoded(mail, message, range, encoding, partial).await
        }
        TransferEncoding::SevenBit | TransferEncoding::EightBit | TransferEncoding::Binary => {
            plain_binary(mail, message, cut(range, partial)).await
        }
    }
}

/// Octets that are not encoded; a literal8 only where there is a NUL (RFC 9051 §4.3).
async fn plain_binary(mail: &AccountStore, message: &Message, range: Range<u64>) -> Result<Value, Failure> {
    if range.end - range.start <= limits::MESSAGE_IN_MEMORY_BYTES as u64 {
        let octets = read_all(mail, message, range).await?;
        let literal8 = memchr::memchr(0, &octets).is_some();
        return Ok(Value::Octets { octets, literal8 });
    }
    // Whether there is a NUL somewhere is not looked for in a large part: a literal8 is always right for BINARY.
    let window = 0..range.end - range.start;
    Ok(Value::Decoded { range, encoding: TransferEncoding::Binary, window, literal8: true })
}

async fn decoded(
    mail: &AccountStore,
    message: &Message,
    range: Range<u64>,
    encoding: TransferEncoding,
    partial: Option<Partial>,
) -> Result<Value, Failure> {
    let small = range.end - range.start <= limits::MESSAGE_IN_MEMORY_BYTES as u64;
    let mut decoder = TransferDecoder::new(encoding);
    let (mut out, mut kept, mut len, mut nul) = (Vec::new(), Vec::new(), 0u64, false);
    let mut at = range.start;
    while at < range.end {
        let chunk = read_chunk(mail, message, at..range.end).await?;
        at += chunk.len() as u64;
        decoder.feed(&chunk, &mut out);
        take(&mut out, &mut kept, &mut len, &mut nul, small);
    }
    let valid = decoder.finish(&mut out);
    take(&mut out, &mut kept, &mut len, &mut nul, small);
    if !valid {
        return Err(Failure::no(Code::Parse, "The encoding of the part is damaged: fetch it with BODY instead"));
    }
    let window = window(len, partial);
    if !small {
        return Ok(Value::Decoded { range, encoding, window, literal8: nul });
    }
    let octets = Bytes::from(kept).slice(window.start as usize..window.end as usize);
    let literal8 = memchr::memchr(0, &octets).is_some();
    Ok(Value::Octets { octets, literal8 })
}

/// Counts what was decoded, and keeps it if it is to be kept.
fn take(out: &mut Vec<u8>, kept: &mut Vec<u8>, len: &mut u64, nul: &mut bool, keep: bool) {
    *len += out.len() as u64;
    *nul |= memchr::memchr(0, out).is_some();
    if keep {
        kept.append(out);
    }
    out.clear();
}

/// `range` cut to a partial. One that begins beyond the end gives nothing (RFC 9051 §6.4.5).
fn cut(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let inner = window(range.end - range.start, partial);
    range.start + inner.start..range.start + inner.end
}

pub(super) fn window(len: u64, partial: Option<Partial>) -> Range<u64> {
    match partial {
        None => 0..len,
        Some(Partial { offset, length }) => {
            let start = offset.min(len);
            start..start.saturating_add(length).min(len)
        }
    }
}

/// The beginning of a range: as much as is read at once.
pub(in crate::commands) async fn read_chunk(
    mail: &AccountStore,
    message: &Message,
    range: Range<u64>,
) -> Result<Bytes, StoreError> {
    let end = range.end.min(range.start.saturating_add(limits::MESSAGE_CHUNK_BYTES as u64));
    let chunk = mail.read(message, range.start..end).await?;
    if chunk.is_empty() && range.start < end {
        return Err(StoreError::Corrupt(format!("message {} is shorter than it should be", message.id).into()));
    }
    Ok(chunk)
}

/// A whole range; only for what is small by its nature.
async fn read_all(mail: &AccountStore, message: &Message, range: Range<u64>) -> Result<Bytes, StoreError> {
    let mut octets = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let chunk = read_chunk(mail, message, at..range.end).await?;
        at += chunk.len() as u64;
        if octets.is_empty() && at == range.end {
            return Ok(chunk);
        }
        octets.extend_from_slice(&chunk);
    }
    Ok(octets.into())
}

/// Sends the pieces and ends the answer. Once a literal has begun, an error can only end the connection.
pub(super) async fn send(
    channel: &mut Channel<'_>,
    mail: &AccountStore,
    message: &Message,
    pieces: Vec<Piece>,
    mode: PrintMode,
    first: bool,
) -> Result<(), Failure> {
    if pieces.is_empty() {
        return Ok(());
    }
    for (i, Piece { name, value }) in pieces.into_iter().enumerate() {
        let mut printer = channel.printer(mode);
        printer.fetch_resume(first && i == 0);
        match value {
            Value::Nil => printer.fetch_nstring(&name, None),
            Value::Size(size) => printer.fetch_raw(&name, size.to_string().as_bytes()),
            Value::Octets { octets, literal8 } => {
                printer.fetch_literal_begin(&name, octets.len() as u64, literal8);
                channel.send(&octets).await?;
            }
            Value::Range { range, first } => {
                printer.fetch_literal_begin(&name, range.end - range.start, false);
                channel.send(&first).await?;
                let mut at = range.start + first.len() as u64;
                while at < range.end {
                    let chunk = read_chunk(mail, message, at..range.end).await.map_err(broken)?;
                    at += chunk.len() as u64;
                    channel.send(&chunk).await?;
                }
            }
            Value::Decoded { range, encoding, window, literal8 } => {
                printer.fetch_literal_begin(&name, window.end - window.start, literal8);
                send_decoded(channel, mail, message, range, encoding, window).await?;
            }
        }
    }
    channel.printer(mode).fetch_end();
    Ok(())
}

async fn send_decoded(
    channel: &mut Channel<'_>,
    mail: &AccountStore,
    message: &Message,
    range: Range<u64>,
    encoding: TransferEncoding,
    window: Range<u64>,
) -> Result<(), Failure> {
    let mut decoder = TransferDecoder::new(encoding);
    let (mut out, mut done) = (Vec::new(), 0u64);
    let mut at = range.start;
    while at < range.end && done < window.end {
        let chunk = read_chunk(mail, message, at..range.end).await.map_err(broken)?;
        at += chunk.len() as u64;
        decoder.feed(&chunk, &mut out);
        send_window(channel, &mut out, &mut done, &window).await?;
    }
    decoder.finish(&mut out);
    send_window(channel, &mut out, &mut done, &window).await?;
    match done >= window.end {
        true => Ok(()),
        false => Err(broken(StoreError::Corrupt("a part decoded to fewer octets the second time".into()))),
    }
}

/// Sends what of `out` lies in the window, and forgets it.
async fn send_window(
    channel: &mut Channel<'_>,
    out: &mut Vec<u8>,
    done: &mut u64,
    window: &Range<u64>,
) -> Result<(), Failure> {
    let len = out.len() as u64;
    let from = window.start.saturating_sub(*done).min(len) as usize;
    let to = window.end.saturating_sub(*done).min(len) as usize;
    if from < to {
        channel.send(&out[from..to]).await?;
    }
    *done += len;
    out.clear();
    Ok(())
}

/// An octet count was promised and cannot be kept: the connection ends, and the log says why.
fn broken(error: StoreError) -> Failure {
    tracing::error!(%error, "a message could not be read to its end");
    Failure::Ended(Ended::Io(std::io::Error::other(error)))
}

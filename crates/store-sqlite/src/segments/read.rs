//! Reads one record: from the page cache on the caller's thread, from the disk on one that may wait.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use columba_store::{BlobRecord, BlobRef, EngineError};
use columba_types::limits::{BLOB_READ_AT_ONCE_BYTES, MESSAGE_CHUNK_BYTES, MESSAGE_IN_MEMORY_BYTES};
use rustix::io::ReadWriteFlags;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::files::{Files, Kind};
use super::record::{RECORD_HEADER, RecordHeader, body_of};
use crate::fault::io_fault;

/// Reads if the page cache has it all; `None` if the disk would be needed or it is too much for this thread, and
/// then nothing is known yet.
pub(crate) fn from_memory(file: &File, blob: BlobRef, range: &Range<u64>) -> Option<Result<Bytes, EngineError>> {
    let wanted = range.end.min(blob.len).saturating_sub(range.start);
    if wanted > BLOB_READ_AT_ONCE_BYTES {
        return None;
    }
    read(&Cached(file), blob, range).ok()
}

/// Reads, waiting for the disk.
pub(crate) fn from_disk(file: &File, blob: BlobRef, range: &Range<u64>) -> Result<Bytes, EngineError> {
    match read(&OnDisk(file), blob, range) {
        Ok(octets) => octets,
        Err(e) => Err(fault(blob, &e)),
    }
}

/// Blobs that lie near each other in one segment, by their places in a list, and the stretch of the file they are in.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) segment: u64,
    pub(crate) range: Range<u64>,
    pub(crate) blobs: Range<usize>,
}

/// Divides a list of blobs into stretches that are worth reading at once.
pub(crate) fn stretches(blobs: &[BlobRef]) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    for (at, blob) in blobs.iter().enumerate() {
        let end = body_of(*blob).saturating_add(blob.len);
        match all.last_mut() {
            // Behind each other, and with less between them than another read would cost.
            Some(last)
                if last.segment == blob.segment
                    && blob.offset.checked_sub(last.range.end).is_some_and(|gap| gap <= GAP_BYTES)
                    && end.saturating_sub(last.range.start) <= BLOB_READ_AT_ONCE_BYTES =>
            {
                last.range.end = end;
                last.blobs.end = at + 1;
            }
            _ => all.push(Stretch { segment: blob.segment, range: blob.offset..end, blobs: at..at + 1 }),
        }
    }
    all
}

/// Octets between two records that are read and dropped rather than passed over with a second read.
const GAP_BYTES: u64 = 4096;

/// Reads a stretch if the page cache has it all.
pub(crate) fn stretch_from_memory(file: &File, stretch: &Stretch) -> Option<Bytes> {
    let len = stretch.range.end.saturating_sub(stretch.range.start);
    if len > BLOB_READ_AT_ONCE_BYTES {
        return None;
    }
    let mut octets = vec![0; usize::try_from(len).ok()?];
    Cached(file).fill(&mut octets, stretch.range.start).ok()?;
    Some(octets.into())
}

/// One of the blobs of a stretch.
pub(crate) fn from_stretch(octets: &Bytes, stretch: &Stretch, blob: BlobRef) -> Result<Bytes, EngineError> {
    let from = usize::try_from(blob.offset.saturating_sub(stretch.range.start)).unwrap_or(usize::MAX);
    let to = usize::try_from(body_of(blob).saturating_add(blob.len).saturating_sub(stretch.range.start));
    match to.ok().filter(|to| from <= *to && *to <= octets.len()) {
        Some(to) => whole(&octets.slice(from..to), blob),
        None => Err(corrupt(blob, "it ends too early")),
    }
}

/// Reads the whole record in pieces and compares checksum and owner.
pub(crate) fn check(file: &File, record: BlobRecord) -> Result<(), EngineError> {
    let BlobRecord { account, message, blob } = record;
    let source = OnDisk(file);
    let header = match read_header(&source, blob) {
        Ok(header) => header?,
        Err(e) => return Err(fault(blob, &e)),
    };
    if (header.account, header.message) != (account, message) {
        let whose = format!("it is message {} of account {}", header.message, header.account);
        return Err(corrupt(blob, &whose));
    }
    let mut hash = Xxh3::new();
    let mut piece = Vec::new();
    let (mut offset, mut left) = (body_of(blob), header.len);
    while left > 0 {
        let step = usize::try_from(left).unwrap_or(usize::MAX).min(MESSAGE_CHUNK_BYTES);
        piece.resize(step, 0);
        source.fill(&mut piece, offset).map_err(|e| fault(blob, &e))?;
        hash.update(&piece);
        offset = offset.saturating_add(step as u64);
        left -= step as u64;
    }
    if hash.digest() == header.hash { Ok(()) } else { Err(corrupt(blob, "the message is damaged")) }
}

/// Fills a buffer from a place in a file.
trait Source {
    fn fill(&self, octets: &mut [u8], offset: u64) -> io::Result<()>;
}

struct OnDisk<'f>(&'f File);

impl Source for OnDisk<'_> {
    fn fill(&self, octets: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(octets, offset)
    }
}

/// Only what needs no waiting: anything else is an error that says nothing about the file.
struct Cached<'f>(&'f File);

impl Source for Cached<'_> {
    fn fill(&self, octets: &mut [u8], offset: u64) -> io::Result<()> {
        let len = octets.len();
        let read = rustix::io::preadv2(self.0, &mut [IoSliceMut::new(octets)], offset, ReadWriteFlags::NOWAIT)?;
        if read == len { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }
}

// The outer error is the medium's, the inner one is what was found there.
fn read(source: &impl Source, blob: BlobRef, range: &Range<u64>) -> io::Result<Result<Bytes, EngineError>> {
    let end = range.end.min(blob.len);
    let start = range.start.min(end);
    // A whole message of this size is read with its header in one piece, and its checksum costs less than the read.
    if start == 0 && end == blob.len && blob.len <= MESSAGE_IN_MEMORY_BYTES as u64 {
        return read_whole(source, blob);
    }
    if let Err(error) = read_header(source, blob)? {
        return Ok(Err(error));
    }
    // The header has been found to tell the same length, so this much is there to be read.
    let Ok(len) = usize::try_from(end - start) else {
        return Ok(Err(corrupt(blob, "it is larger than memory")));
    };
    let mut octets = vec![0; len];
    source.fill(&mut octets, body_of(blob).saturating_add(start))?;
    Ok(Ok(octets.into()))
}

fn read_whole(source: &impl Source, blob: BlobRef) -> io::Result<Result<Bytes, EngineError>> {
    let len = usize::try_from(blob.len).unwrap_or(MESSAGE_IN_MEMORY_BYTES);
    let mut octets = vec![0; RECORD_HEADER.saturating_add(len)];
    source.fill(&mut octets, blob.offset)?;
    Ok(whole(&Bytes::from(octets), blob))
}

/// The message of a whole record.
fn whole(record: &Bytes, blob: BlobRef) -> Result<Bytes, EngineError> {
    let header = understand(record, blob)?;
    let body = record.slice(RECORD_HEADER..);
    if xxh3_64(&body) == header.hash { Ok(body) } else { Err(corrupt(blob, "the message is damaged")) }
}

fn read_header(source: &impl Source, blob: BlobRef) -> io::Result<Result<RecordHeader, EngineError>> {
    let mut octets = [0; RECORD_HEADER];
    source.fill(&mut octets, blob.offset)?;
    Ok(understand(&octets, blob))
}

fn understand(octets: &[u8], blob: BlobRef) -> Result<RecordHeader, EngineError> {
    let header = RecordHeader::decode(octets, blob.segment, blob.offset);
    let header = header.map_err(|why| corrupt(blob, &why.to_string()))?;
    if header.len != blob.len {
        return Err(corrupt(blob, &format!("it has {} octets and not {}", header.len, blob.len)));
    }
    Ok(header)
}

fn corrupt(blob: BlobRef, what: &str) -> EngineError {
    let name = Files::name(blob.segment, Kind::Sealed);
    EngineError::Corrupt(format!("{name} at {}: {what}", blob.offset).into())
}

fn fault(blob: BlobRef, error: &io::Error) -> EngineError {
    let name = Files::name(blob.segment, Kind::Sealed);
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            EngineError::Missing(format!("{name} ends before what should be at {}", blob.offset).into())
        }
        _ => io_fault(&name, error),
    }
}

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
    let octets = Bytes::from(octets);
    let body = octets.slice(RECORD_HEADER..);
    Ok(understand(&octets, blob).and_then(|header| match xxh3_64(&body) == header.hash {
        true => Ok(body),
        false => Err(corrupt(blob, "the message is damaged")),
    }))
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

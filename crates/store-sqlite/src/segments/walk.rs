//! Goes through a segment file record by record, past damage, and cuts off what a crash left torn.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use columba_store::{BlobRecord, BlobRef};
use columba_types::limits::MESSAGE_CHUNK_BYTES;
use xxhash_rust::xxh3::Xxh3;

use super::record::{ALIGNMENT, NoRecord, RECORD_HEADER, RECORD_MAGIC, RecordHeader, SEGMENT_HEADER, body_of, end_of};

/// What lies at one place of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// A record with both checksums right.
    Whole(BlobRecord),
    /// Octets that are none.
    Damaged { offset: u64, why: String },
}

/// Visits all that lies in the first `end` octets of a segment, in order. Zeros up to the end or up to a header are nothing
/// at all: they were written ahead, or are the place of a message that never came. Where a header is damaged the walk goes on at the next header that is whole.
pub(crate) fn walk(file: &File, segment: u64, end: u64, mut visit: impl FnMut(Found)) -> io::Result<()> {
    let mut window = Window::new(file, end);
    let mut offset = SEGMENT_HEADER;
    while offset < end {
        let header = match window.at(offset, RECORD_HEADER)? {
            Some(octets) => RecordHeader::decode(octets, segment, offset),
            None => Err(NoRecord::Nothing),
        };
        let next = match header {
            Ok(header) => {
                let blob = BlobRef { segment, offset, len: header.len };
                let body = body_of(blob);
                let next = end_of(blob).filter(|next| *next <= end);
                match next {
                    Some(next) => {
                        visit(match window.hash(body, header.len)? == header.hash {
                            true => Found::Whole(BlobRecord { account: header.account, message: header.message, blob }),
                            false => Found::Damaged { offset, why: "the message is damaged".into() },
                        });
                        next
                    }
                    None => {
                        visit(Found::Damaged { offset, why: "the record ends beyond the end of the file".into() });
                        window.next_header(segment, offset + ALIGNMENT)?.unwrap_or(end)
                    }
                }
            }
            Err(_) if window.is_zero(offset, end)? => end,
            Err(why) => {
                let next = window.next_header(segment, offset + ALIGNMENT)?.unwrap_or(end);
                if !window.is_zero(offset, next)? {
                    visit(Found::Damaged { offset, why: why.to_string() });
                }
                next
            }
        };
        offset = next;
    }
    Ok(())
}

/// Where the last whole record ends: what is behind it was never finished. Damage before it stays for `check` to
/// find: it may be a record that was finished and has gone bad since.
pub(crate) fn end_of_whole_records(file: &File, segment: u64) -> io::Result<u64> {
    let mut end = SEGMENT_HEADER;
    walk(file, segment, file.metadata()?.len(), |found| {
        if let Found::Whole(record) = found {
            end = end_of(record.blob).unwrap_or(end);
        }
    })?;
    Ok(end)
}

/// A part of the file in memory.
struct Window<'f> {
    file: &'f File,
    end: u64,
    start: u64,
    octets: Vec<u8>,
}

impl<'f> Window<'f> {
    fn new(file: &'f File, end: u64) -> Self {
        Self { file, end, start: 0, octets: Vec::new() }
    }

    /// `len` octets from `offset`, at most a window's; `None` beyond the end.
    fn at(&mut self, offset: u64, len: usize) -> io::Result<Option<&[u8]>> {
        if self.end.saturating_sub(offset) < len as u64 {
            return Ok(None);
        }
        let held = offset.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let held = held.filter(|from| from.saturating_add(len) <= self.octets.len());
        let from = match held {
            Some(from) => from,
            None => {
                self.load(offset, len)?;
                0
            }
        };
        Ok(self.octets.get(from..from.saturating_add(len)))
    }

    fn load(&mut self, offset: u64, len: usize) -> io::Result<()> {
        let most = usize::try_from(self.end - offset).unwrap_or(usize::MAX).min(MESSAGE_CHUNK_BYTES.max(len));
        self.octets.clear();
        self.octets.resize(most, 0);
        self.start = offset;
        let read = self.file.read_exact_at(&mut self.octets, offset);
        if read.is_err() {
            self.octets.clear();
        }
        read
    }

    fn hash(&mut self, mut offset: u64, len: u64) -> io::Result<u64> {
        let mut hash = Xxh3::new();
        let mut left = len;
        while left > 0 {
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(MESSAGE_CHUNK_BYTES);
            let octets = self.at(offset, step)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            hash.update(octets);
            offset += step as u64;
            left -= step as u64;
        }
        Ok(hash.digest())
    }

    fn is_zero(&mut self, mut offset: u64, end: u64) -> io::Result<bool> {
        while offset < end {
            let step = usize::try_from(end - offset).unwrap_or(usize::MAX).min(MESSAGE_CHUNK_BYTES);
            if !self.at(offset, step)?.is_some_and(|octets| octets.iter().all(|octet| *octet == 0)) {
                return Ok(false);
            }
            offset += step as u64;
        }
        Ok(true)
    }

    /// The first place from `offset` on where the header of a record of this segment is whole.
    fn next_header(&mut self, segment: u64, mut offset: u64) -> io::Result<Option<u64>> {
        while let Some(octets) = self.at(offset, RECORD_HEADER)? {
            if octets.starts_with(&RECORD_MAGIC) && RecordHeader::decode(octets, segment, offset).is_ok() {
                return Ok(Some(offset));
            }
            offset += ALIGNMENT;
        }
        Ok(None)
    }
}

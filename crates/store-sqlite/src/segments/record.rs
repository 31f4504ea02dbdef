//! The octets of a segment file: its header and the headers of its records. No file is opened here.

use columba_store::BlobRef;
use columba_types::{AccountId, MessageId};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Octets before the first record.
pub(crate) const SEGMENT_HEADER: u64 = 32;
/// Octets of a record before the message.
pub(crate) const RECORD_HEADER: usize = 48;
/// Every record begins at a multiple of this.
pub(crate) const ALIGNMENT: u64 = 8;

const SEGMENT_MAGIC: [u8; 8] = *b"CLMBSEGM";
const SEGMENT_VERSION: u32 = 1;
/// What a record begins with.
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"CREC";
const RECORD_VERSION: u16 = 1;

/// Bits of a segment's number below the shard's.
const SHARD_SHIFT: u32 = 48;

/// The number of the `number`th segment of a shard, as a [`BlobRef`] has it.
pub(crate) fn segment_of(shard: usize, number: u64) -> u64 {
    (u64::try_from(shard).unwrap_or(u64::MAX) << SHARD_SHIFT) | (number & ((1 << SHARD_SHIFT) - 1))
}

/// The shard and the number within it.
pub(crate) fn place_of(segment: u64) -> (usize, u64) {
    let shard = usize::try_from(segment >> SHARD_SHIFT).unwrap_or(usize::MAX);
    (shard, segment & ((1 << SHARD_SHIFT) - 1))
}

/// What a segment file begins with.
pub(crate) fn segment_header(segment: u64) -> [u8; SEGMENT_HEADER as usize] {
    let mut header = [0; SEGMENT_HEADER as usize];
    header[0..8].copy_from_slice(&SEGMENT_MAGIC);
    header[8..12].copy_from_slice(&SEGMENT_VERSION.to_be_bytes());
    header[16..24].copy_from_slice(&segment.to_be_bytes());
    let hash = xxh3_64(&header[..24]);
    header[24..32].copy_from_slice(&hash.to_be_bytes());
    header
}

/// What a record says of the message behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RecordHeader {
    pub(crate) account: AccountId,
    pub(crate) message: MessageId,
    /// Octets of the message.
    pub(crate) len: u64,
    /// XXH3-64 of the message.
    pub(crate) hash: u64,
}

/// Why octets are no header of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NoRecord {
    #[error("no record begins there")]
    Nothing,
    #[error("a record of a newer format begins there")]
    Newer,
    #[error("the header of the record is damaged")]
    Damaged,
}

impl RecordHeader {
    /// The header as it stands at `offset` of `segment`. Its checksum depends on both, so that a record that has
    /// come to lie elsewhere is no record.
    pub(crate) fn encode(&self, segment: u64, offset: u64) -> [u8; RECORD_HEADER] {
        let mut header = [0; RECORD_HEADER];
        header[0..4].copy_from_slice(&RECORD_MAGIC);
        header[4..6].copy_from_slice(&RECORD_VERSION.to_be_bytes());
        header[8..16].copy_from_slice(&self.account.0.to_be_bytes());
        header[16..24].copy_from_slice(&self.message.0.to_be_bytes());
        header[24..32].copy_from_slice(&self.len.to_be_bytes());
        header[32..40].copy_from_slice(&self.hash.to_be_bytes());
        let hash = xxh3_64_with_seed(&header[..40], seed(segment, offset));
        header[40..48].copy_from_slice(&hash.to_be_bytes());
        header
    }

    /// Reads the header that stands at `offset` of `segment`.
    pub(crate) fn decode(octets: &[u8], segment: u64, offset: u64) -> Result<Self, NoRecord> {
        let header: &[u8; RECORD_HEADER] = octets.first_chunk().ok_or(NoRecord::Nothing)?;
        if header[0..4] != RECORD_MAGIC {
            return Err(NoRecord::Nothing);
        }
        // Every version has its checksum here, over what is before.
        if number(header, 40) != xxh3_64_with_seed(&header[..40], seed(segment, offset)) {
            return Err(NoRecord::Damaged);
        }
        if header[4..6] != RECORD_VERSION.to_be_bytes() {
            return Err(NoRecord::Newer);
        }
        let (account, message) = (AccountId(number(header, 8)), MessageId(number(header, 16)));
        Ok(Self { account, message, len: number(header, 24), hash: number(header, 32) })
    }
}

fn number(header: &[u8; RECORD_HEADER], at: usize) -> u64 {
    header[at..].first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets))
}

fn seed(segment: u64, offset: u64) -> u64 {
    segment.rotate_left(32) ^ offset
}

/// Where the record behind this one begins; `None` where no file can reach.
pub(crate) fn end_of(blob: BlobRef) -> Option<u64> {
    let end = blob.offset.checked_add(RECORD_HEADER as u64)?.checked_add(blob.len)?;
    end.checked_next_multiple_of(ALIGNMENT)
}

/// Where the message itself begins; the end of everything where no file can reach.
pub(crate) fn body_of(blob: BlobRef) -> u64 {
    blob.offset.saturating_add(RECORD_HEADER as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_octets_are_those_of_the_format_page() {
        let header = RecordHeader { account: AccountId(1), message: MessageId(2), len: 3, hash: xxh3_64(b"abc") };
        let octets = header.encode(segment_of(2, 7), 32);
        assert_eq!(octets[..8], *b"CREC\x00\x01\x00\x00");
        assert_eq!(
            octets[8..32],
            [[0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 2], [0, 0, 0, 0, 0, 0, 0, 3]].concat()
        );
        // XXH3-64 of "abc" as its specification gives it.
        assert_eq!(octets[32..40], 0x78af_5f94_892f_3950_u64.to_be_bytes());
        assert_eq!(segment_of(2, 7), 0x0002_0000_0000_0007);
        assert_eq!(place_of(0x0002_0000_0000_0007), (2, 7));
        assert_eq!(segment_header(segment_of(2, 7))[..24], *b"CLMBSEGM\0\0\0\x01\0\0\0\0\0\x02\0\0\0\0\0\x07");
    }

    proptest! {
        #[test]
        fn a_header_is_read_where_it_was_written_and_nowhere_else(
            (account, message, len, hash) in any::<(u64, u64, u64, u64)>(),
            segment in any::<u64>(),
            offset in any::<u64>(),
            flip in 0usize..RECORD_HEADER * 8,
        ) {
            let header = RecordHeader { account: AccountId(account), message: MessageId(message), len, hash };
            let mut octets = header.encode(segment, offset);
            prop_assert_eq!(RecordHeader::decode(&octets, segment, offset), Ok(header));
            prop_assert!(RecordHeader::decode(&octets, segment, offset ^ 8).is_err());
            prop_assert!(RecordHeader::decode(&octets, segment ^ 1, offset).is_err());
            octets[flip / 8] ^= 1 << (flip % 8);
            prop_assert!(RecordHeader::decode(&octets, segment, offset).is_err());
        }

        #[test]
        fn no_reference_overflows(segment in any::<u64>(), offset in any::<u64>(), len in any::<u64>()) {
            let blob = BlobRef { segment, offset, len };
            prop_assert!(end_of(blob).is_none_or(|end| end >= len && end.is_multiple_of(ALIGNMENT)));
            prop_assert!(body_of(blob) >= offset);
        }
    }
}

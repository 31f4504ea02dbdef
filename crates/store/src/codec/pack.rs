//! A pack as octets: which messages of a page it is about, and one thing of each, all together compressed.

use bytes::Bytes;
use columba_types::MessageId;
use columba_types::limits::{PACK_BYTES, PAGE_RECORDS};

use super::{DecodeError, Reader, Writer};

/// How the octets are kept.
const PLAIN: u8 = 0;
/// One LZ4 block.
const LZ4: u8 = 1;

/// A pack in the making.
#[derive(Debug, Default)]
pub(crate) struct PackWriter {
    ids: Vec<MessageId>,
    /// 0: left out; else one more than the length.
    lengths: Vec<u64>,
    octets: Vec<u8>,
}

impl PackWriter {
    /// Adds the next message; without `entry`, or where there is no room for it, as one that is left out.
    pub(crate) fn add(&mut self, id: MessageId, entry: Option<&[u8]>) {
        self.ids.push(id);
        match entry.filter(|entry| self.octets.len() + entry.len() <= PACK_BYTES) {
            None => self.lengths.push(0),
            Some(entry) => {
                self.octets.extend_from_slice(entry);
                self.lengths.push(entry.len() as u64 + 1);
            }
        }
    }

    pub(crate) fn finish(self) -> Bytes {
        let mut out = Writer::plain();
        out.varint(self.ids.len() as u64);
        out.deltas(self.ids.iter().map(|id| id.0));
        out.values(self.lengths.iter().copied());
        let compressed = lz4_flex::block::compress(&self.octets);
        let (method, octets) =
            if compressed.len() < self.octets.len() { (LZ4, &compressed) } else { (PLAIN, &self.octets) };
        out.u8(method);
        out.octets(octets);
        out.finish()
    }
}

/// A pack taken apart. Made once and filled again and again, so that its memory is.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    pub(crate) ids: Vec<MessageId>,
    /// Where each entry begins and ends; `None` for one that is left out.
    pub(crate) places: Vec<Option<(u32, u32)>>,
    pub(crate) octets: Vec<u8>,
}

impl Unpacked {
    /// Takes a value apart. After an error it is empty.
    pub(crate) fn fill(&mut self, value: &[u8]) -> Result<(), DecodeError> {
        let filled = self.try_fill(value);
        if filled.is_err() {
            self.ids.clear();
            self.places.clear();
        }
        filled
    }

    fn try_fill(&mut self, value: &[u8]) -> Result<(), DecodeError> {
        let (mut input, sum) = self.fill_index(value)?;
        let method = input.u8()?;
        let octets = input.octets()?;
        input.end()?;
        match method {
            PLAIN if octets.len() == sum => {
                self.octets.clear();
                self.octets.extend_from_slice(octets);
                Ok(())
            }
            LZ4 => {
                // Never made shorter, so that what was there needs no clearing.
                if self.octets.len() < sum {
                    self.octets.resize(sum, 0);
                }
                let room = self.octets.get_mut(..sum).unwrap_or_default();
                match lz4_flex::block::decompress_into(octets, room) {
                    Ok(length) if length == sum => Ok(()),
                    _ => Err(DecodeError::Field("compressed block")),
                }
            }
            _ => Err(DecodeError::Field("compression")),
        }
    }

    /// Which messages the value is about, and where their entries will be; the octets in all.
    fn fill_index<'v>(&mut self, value: &'v [u8]) -> Result<(Reader<'v>, usize), DecodeError> {
        self.ids.clear();
        self.places.clear();
        let mut input = Reader::plain(value)?;
        let count = input.varint()?;
        let count = usize::try_from(count).ok().filter(|count| (1..=PAGE_RECORDS).contains(count));
        let count = count.ok_or(DecodeError::Field("number of messages"))?;
        let mut ids = input.deltas(count)?;
        let mut lengths = input.values(count)?;
        let (mut id, mut sum) = (0, 0u64);
        for _ in 0..count {
            self.ids.push(MessageId(ids.next(&mut id)?));
            let place = match lengths.next()? {
                0 => None,
                length => {
                    let start = sum;
                    sum = sum.saturating_add(length - 1);
                    if sum > PACK_BYTES as u64 {
                        return Err(DecodeError::Field("length"));
                    }
                    Some((start as u32, sum as u32))
                }
            };
            self.places.push(place);
        }
        Ok((input, sum as usize))
    }

    /// The entry at that place of the list.
    pub(crate) fn entry(&self, at: usize) -> Option<&[u8]> {
        let (start, end) = (*self.places.get(at)?)?;
        self.octets.get(start as usize..end as usize)
    }
}

/// The messages that a pack is about; nothing is decompressed.
pub(crate) fn ids(value: &[u8]) -> Result<Vec<MessageId>, DecodeError> {
    let mut unpacked = Unpacked::default();
    unpacked.fill_index(value)?;
    Ok(unpacked.ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Vec<(u64, Option<Vec<u8>>)>> {
        let entry = proptest::option::of(proptest::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 0..40));
        proptest::collection::vec((any::<u64>(), entry), 1..PAGE_RECORDS)
    }

    fn packed(entries: &[(u64, Option<Vec<u8>>)]) -> Bytes {
        let mut writer = PackWriter::default();
        entries.iter().for_each(|(id, entry)| writer.add(MessageId(*id), entry.as_deref()));
        writer.finish()
    }

    proptest! {
        #[test]
        fn entries_come_back(first in entries(), second in entries(), cut in any::<prop::sample::Index>()) {
            let mut unpacked = Unpacked::default();
            for entries in [first, second] {
                let value = packed(&entries);
                prop_assert_eq!(unpacked.fill(&value), Ok(()));
                prop_assert_eq!(ids(&value).unwrap(), entries.iter().map(|(id, _)| MessageId(*id)).collect::<Vec<_>>());
                for (at, (id, entry)) in entries.iter().enumerate() {
                    prop_assert_eq!((unpacked.ids[at].0, unpacked.entry(at)), (*id, entry.as_deref()));
                }
                let mut short = Unpacked::default();
                prop_assert!(short.fill(&value[..cut.index(value.len())]).is_err());
                prop_assert!(short.ids.is_empty() && short.entry(0).is_none());
            }
        }

        #[test]
        fn any_octets_are_taken_apart_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..200), n in 1u8..4) {
            let mut unpacked = Unpacked::default();
            let _ = unpacked.fill(&octets);
            // A list that is right, and anything behind it.
            let mut value = packed(&(0..n).map(|id| (u64::from(id), Some(vec![7; 9]))).collect::<Vec<_>>()).to_vec();
            let start = value.len().saturating_sub(octets.len().min(12));
            value.truncate(start);
            value.extend_from_slice(&octets);
            let _ = unpacked.fill(&value);
        }
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        let mut writer = PackWriter::default();
        writer.add(MessageId(1), Some(&vec![1; PACK_BYTES]));
        writer.add(MessageId(2), Some(b"x"));
        writer.add(MessageId(3), Some(b""));
        let mut unpacked = Unpacked::default();
        unpacked.fill(&writer.finish()).unwrap();
        assert_eq!(unpacked.entry(0).map(<[u8]>::len), Some(PACK_BYTES));
        assert_eq!((unpacked.entry(1), unpacked.entry(2)), (None, Some(&b""[..])));
    }
}

//! The annotations of a mailbox as octets.

use bytes::Bytes;
use columba_types::EntryName;
use columba_types::limits::METADATA_ENTRIES;

use super::{DecodeError, Reader, Writer};
use crate::metadata::Metadata;

pub(crate) fn encode(all: &Metadata, version: u64) -> Bytes {
    let mut out = Writer::guarded(version);
    out.varint(all.len() as u64);
    for (name, value) in all {
        out.text(name.as_str());
        out.octets(value);
    }
    out.finish()
}

/// Version and annotations. Values are shared with the octets, not copied.
pub(crate) fn decode(octets: &Bytes) -> Result<(u64, Metadata), DecodeError> {
    let (version, mut input) = Reader::guarded(octets)?;
    let count = input.count()?;
    if count == 0 || count > METADATA_ENTRIES {
        return Err(DecodeError::Field("number of annotations"));
    }
    let mut all = Metadata::new();
    for _ in 0..count {
        let name = EntryName::new(input.text()?).map_err(|_| DecodeError::Field("name of an annotation"))?;
        let in_order = all.last_key_value().is_none_or(|(last, _)| *last < name);
        if !in_order || !name.can_hold_a_value() {
            return Err(DecodeError::Field("order of annotations"));
        }
        all.insert(name, octets.slice_ref(input.octets()?));
    }
    input.end()?;
    Ok((version, all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn annotations_come_back(pairs in proptest::collection::vec(("[a-zA-Z]{1,3}", proptest::collection::vec(any::<u8>(), 0..9)), 1..9), version: u64) {
            let named = |(name, value): (String, Vec<u8>)| (EntryName::new(&format!("/private/{name}")).unwrap(), value.into());
            let all: Metadata = pairs.into_iter().map(named).collect();
            let octets = encode(&all, version);
            prop_assert_eq!(decode(&octets), Ok((version, all)));
        }

        #[test]
        fn any_octets_decode_or_are_refused(mut octets in proptest::collection::vec(any::<u8>(), 9..100)) {
            octets[8] = super::super::FORMAT;
            _ = decode(&octets.into());
        }
    }
}

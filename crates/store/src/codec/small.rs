//! The small values: formats, counters, names, links, trash, dead octets, threads.

use bytes::Bytes;
use columba_types::{DateTime, Keyword, MailboxId, SystemFlags, ThreadId};

use super::head::{decode_keywords, encode_keywords};
use super::message::decode_date;
use super::{DecodeError, FORMAT, Reader, Writer};
use crate::tree::{SpecialUse, TreeEntry};

/// What a partition says of its format.
const FORMAT_TEXT: &[u8] = b"Columba";

pub(crate) fn encode_format() -> Bytes {
    [&u64::from(FORMAT).to_be_bytes()[..], FORMAT_TEXT].concat().into()
}

pub(crate) fn decode_format(octets: &[u8]) -> Result<(), DecodeError> {
    let version = super::version_of(octets)?;
    match octets.get(8..) {
        Some(FORMAT_TEXT) if version == u64::from(FORMAT) => Ok(()),
        Some(FORMAT_TEXT) => Err(DecodeError::Format(u8::try_from(version).unwrap_or(u8::MAX))),
        _ => Err(DecodeError::Field("format mark: this is no data of Columba")),
    }
}

/// A value that is only a version.
pub(crate) fn encode_version(version: u64) -> Bytes {
    Writer::guarded(version).finish()
}

pub(crate) fn decode_version(octets: &[u8]) -> Result<u64, DecodeError> {
    let (version, input) = Reader::guarded(octets)?;
    input.end()?;
    Ok(version)
}

/// A value that says only that its key is there.
pub(crate) fn encode_mark() -> Bytes {
    Writer::plain().finish()
}

/// The counters of an account's tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TreeState {
    pub(crate) version: u64,
    /// 0 before the first.
    pub(crate) last_uid_validity: u32,
    pub(crate) mailboxes_made: u64,
}

pub(crate) fn encode_tree(state: TreeState) -> Bytes {
    let mut out = Writer::guarded(state.version);
    out.varint(u64::from(state.last_uid_validity));
    out.varint(state.mailboxes_made);
    out.finish()
}

pub(crate) fn decode_tree(octets: &[u8]) -> Result<TreeState, DecodeError> {
    let (version, mut input) = Reader::guarded(octets)?;
    let state = TreeState { version, last_uid_validity: input.small("UIDVALIDITY")?, mailboxes_made: input.varint()? };
    input.end()?;
    Ok(state)
}

pub(crate) fn encode_name(entry: &TreeEntry) -> Bytes {
    let mut out = Writer::plain();
    out.u8(u8::from(entry.mailbox.is_some()) | u8::from(entry.subscribed) << 1);
    if let Some(id) = entry.mailbox {
        out.varint(id.0);
    }
    let uses = entry.uses.iter().fold(0u64, |bits, special_use| bits | 1 << (*special_use as u8));
    out.u8(uses as u8);
    // The first eight had an octet; those that came later are left out where there is none of them.
    if uses >> 8 != 0 {
        out.varint(uses >> 8);
    }
    out.finish()
}

pub(crate) fn decode_name(octets: &[u8]) -> Result<TreeEntry, DecodeError> {
    let mut input = Reader::plain(octets)?;
    let bits = input.u8()?;
    if bits > 3 {
        return Err(DecodeError::Field("name flag"));
    }
    let mailbox = if bits & 1 != 0 { Some(MailboxId(input.varint()?)) } else { None };
    let mut uses = u64::from(input.u8()?);
    if !input.is_empty() {
        let more: u32 = input.small("uses")?;
        uses |= u64::from(more) << 8;
    }
    input.end()?;
    if uses >> SpecialUse::ALL.len() != 0 {
        return Err(DecodeError::Field("use, which a newer Columba may know"));
    }
    let uses = SpecialUse::ALL.into_iter().filter(|special_use| uses >> (*special_use as u8) & 1 != 0).collect();
    Ok(TreeEntry { mailbox, subscribed: bits & 2 != 0, uses })
}

/// What a link says of its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Link {
    /// There is such a record.
    Live,
    /// It was expunged; the trash entry has the same expiry.
    Expunged { expiry_millis: u64 },
}

pub(crate) fn encode_link(link: Link) -> Bytes {
    match link {
        Link::Live => Bytes::from_static(&[FORMAT, 0]),
        Link::Expunged { expiry_millis } => {
            let mut out = Writer::plain();
            out.u8(1);
            out.u64(expiry_millis);
            out.finish()
        }
    }
}

pub(crate) fn decode_link(octets: &[u8]) -> Result<Link, DecodeError> {
    let mut input = Reader::plain(octets)?;
    let link = match input.u8()? {
        0 => Link::Live,
        1 => Link::Expunged { expiry_millis: input.u64()? },
        _ => return Err(DecodeError::Field("link state")),
    };
    input.end()?;
    Ok(link)
}

/// What is kept of an expunged record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trash {
    pub(crate) internal_date: DateTime,
    pub(crate) saved_secs: i64,
    pub(crate) system: SystemFlags,
    pub(crate) size: u64,
    pub(crate) keywords: Vec<Keyword>,
}

pub(crate) fn encode_trash(trash: &Trash) -> Bytes {
    let mut out = Writer::plain();
    out.zigzag(trash.internal_date.unix_secs);
    out.zigzag(i64::from(trash.internal_date.zone_minutes));
    out.zigzag(trash.saved_secs);
    out.u8(trash.system.0);
    out.varint(trash.size);
    encode_keywords(&mut out, &trash.keywords);
    out.finish()
}

pub(crate) fn decode_trash(octets: &[u8]) -> Result<Trash, DecodeError> {
    let mut input = Reader::plain(octets)?;
    let trash = Trash {
        internal_date: decode_date(&mut input)?,
        saved_secs: input.zigzag()?,
        system: SystemFlags(input.u8()?),
        size: input.varint()?,
        keywords: decode_keywords(&mut input)?,
    };
    input.end()?;
    Ok(trash)
}

/// A count of octets: dead ones of a message, gone ones of an account.
pub(crate) fn encode_octets(count: u64) -> Bytes {
    let mut out = Writer::plain();
    out.varint(count);
    out.finish()
}

pub(crate) fn decode_octets(octets: &[u8]) -> Result<u64, DecodeError> {
    let mut input = Reader::plain(octets)?;
    let count = input.varint()?;
    input.end()?;
    Ok(count)
}

/// The version is the message that wrote it.
pub(crate) fn encode_thread(writer: u64, thread: ThreadId) -> Bytes {
    let mut out = Writer::guarded(writer);
    out.u64(thread.0);
    out.finish()
}

/// The message that wrote it, and the thread.
pub(crate) fn decode_thread(octets: &[u8]) -> Result<(u64, ThreadId), DecodeError> {
    let (writer, mut input) = Reader::guarded(octets)?;
    let thread = ThreadId(input.u64()?);
    input.end()?;
    Ok((writer, thread))
}

/// What is still known of a mailbox while its pages are taken away: its last name and its keyword table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Removing {
    pub(crate) version: u64,
    pub(crate) name: String,
    pub(crate) keywords: Vec<Keyword>,
}

pub(crate) fn encode_removing(removing: &Removing) -> Bytes {
    let mut out = Writer::guarded(removing.version);
    out.text(&removing.name);
    encode_keywords(&mut out, &removing.keywords);
    out.finish()
}

pub(crate) fn decode_removing(octets: &[u8]) -> Result<Removing, DecodeError> {
    let (version, mut input) = Reader::guarded(octets)?;
    let name = input.text()?.to_owned();
    let keywords = decode_keywords(&mut input)?;
    input.end()?;
    Ok(Removing { version, name, keywords })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn small_values_come_back(n: u64, secs: i64, bits in 0u8..4, uses: u16, words in proptest::collection::hash_set("[a-z]{1,5}", 0..4)) {
            let state = TreeState { version: n, last_uid_validity: n as u32, mailboxes_made: n / 3 };
            prop_assert_eq!(decode_tree(&encode_tree(state)), Ok(state));
            let uses = SpecialUse::ALL.into_iter().filter(|u| uses >> (*u as u8) & 1 != 0).collect();
            let entry = TreeEntry { mailbox: (bits & 1 != 0).then_some(MailboxId(n)), subscribed: bits & 2 != 0, uses };
            prop_assert_eq!(decode_name(&encode_name(&entry)), Ok(entry));
            let link = if bits == 0 { Link::Live } else { Link::Expunged { expiry_millis: n } };
            prop_assert_eq!(decode_link(&encode_link(link)), Ok(link));
            let keywords: Vec<Keyword> = words.iter().map(|w| Keyword::new(w).unwrap()).collect();
            let trash = Trash {
                internal_date: DateTime { unix_secs: secs, zone_minutes: -60 },
                saved_secs: secs,
                system: SystemFlags(bits),
                size: n,
                keywords: keywords.clone(),
            };
            prop_assert_eq!(decode_trash(&encode_trash(&trash)), Ok(trash));
            prop_assert_eq!(decode_octets(&encode_octets(n)), Ok(n));
            prop_assert_eq!(decode_thread(&encode_thread(n, ThreadId(7))), Ok((n, ThreadId(7))));
            let removing = Removing { version: n, name: "a/b".to_owned(), keywords };
            prop_assert_eq!(decode_removing(&encode_removing(&removing)), Ok(removing));
        }

        #[test]
        fn any_octets_decode_or_are_refused(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            for octets in [octets.clone(), [&[FORMAT], &octets[..]].concat()] {
                _ = (decode_tree(&octets), decode_name(&octets), decode_link(&octets), decode_trash(&octets));
                _ = (decode_octets(&octets), decode_thread(&octets), decode_removing(&octets), decode_format(&octets));
                _ = decode_version(&octets);
            }
        }
    }

    #[test]
    fn formats_are_told_apart() {
        assert_eq!(decode_format(&encode_format()), Ok(()));
        let newer = [&9u64.to_be_bytes()[..], b"Columba"].concat();
        assert!(decode_format(&newer).unwrap_err().to_string().contains("newer"));
        assert!(decode_format(b"SQLite format 3").is_err());
    }
}

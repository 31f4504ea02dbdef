//! Values to octets and back, as docs/design/disk-format.md has them. Decoding takes any octets and never panics.

use std::fmt;

use bytes::Bytes;

use crate::StoreError;

pub(crate) mod account;
pub(crate) mod head;
pub(crate) mod log;
pub(crate) mod message;
pub(crate) mod metadata;
pub(crate) mod pack;
pub(crate) mod page;
pub(crate) mod small;

/// The format octet this version writes.
pub(crate) const FORMAT: u8 = 1;

/// Why octets are not the value they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DecodeError {
    /// They end too early.
    Short,
    /// There is something behind the last field.
    Long,
    /// A format octet that is not known.
    Format(u8),
    /// A field has a value it cannot have.
    Field(&'static str),
    /// An addition that is not known.
    Tag(u64),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("it ends too early"),
            Self::Long => f.write_str("there is more than its fields"),
            Self::Format(0) => f.write_str("it has no format number"),
            Self::Format(n) => write!(f, "it has format {n}, written by a newer Columba; this one knows {FORMAT}"),
            Self::Field(which) => write!(f, "it has an impossible {which}"),
            Self::Tag(n) => write!(f, "it has an addition of kind {n}, written by a newer Columba"),
        }
    }
}

impl DecodeError {
    /// Says which value it was.
    pub(crate) fn of(self, what: impl fmt::Display) -> StoreError {
        StoreError::corrupt(format_args!("{what}: {self}"))
    }
}

/// The version at the start of a guarded value.
pub(crate) fn version_of(value: &[u8]) -> Result<u64, DecodeError> {
    value.first_chunk().map(|v| u64::from_be_bytes(*v)).ok_or(DecodeError::Short)
}

/// Collects the octets of a value.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// A plain value.
    pub(crate) fn plain() -> Self {
        Self(vec![FORMAT])
    }

    /// A guarded value.
    pub(crate) fn guarded(version: u64) -> Self {
        let mut writer = Self(Vec::with_capacity(64));
        writer.u64(version);
        writer.u8(FORMAT);
        writer
    }

    pub(crate) fn u8(&mut self, n: u8) {
        self.0.push(n);
    }

    pub(crate) fn u64(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_be_bytes());
    }

    pub(crate) fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    pub(crate) fn wide_varint(&mut self, mut n: u128) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    pub(crate) fn zigzag(&mut self, n: i64) {
        self.varint(zigzag(n));
    }

    pub(crate) fn octets(&mut self, octets: &[u8]) {
        self.varint(octets.len() as u64);
        self.0.extend_from_slice(octets);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.octets(text.as_bytes());
    }

    pub(crate) fn optional(&mut self, octets: Option<&[u8]>) {
        match octets {
            None => self.varint(0),
            Some(octets) => {
                self.varint(octets.len() as u64 + 1);
                self.0.extend_from_slice(octets);
            }
        }
    }

    /// A column of numbers.
    pub(crate) fn values(&mut self, values: impl ExactSizeIterator<Item = u64> + Clone) {
        let first = values.clone().next().unwrap_or(0);
        if values.clone().all(|v| v == first) {
            self.u8(0);
            self.varint(first);
        } else {
            self.u8(1);
            values.for_each(|v| self.varint(v));
        }
    }

    /// A column of numbers that are near the one before.
    pub(crate) fn deltas(&mut self, values: impl ExactSizeIterator<Item = u64> + Clone) {
        self.u64(values.clone().next().unwrap_or(0));
        let pairs = values.clone().zip(values.skip(1));
        let differences: Vec<u64> = pairs.map(|(a, b)| zigzag(b.wrapping_sub(a) as i64)).collect();
        self.values(differences.iter().copied());
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.into()
    }
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Takes a value apart from its start.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A plain value.
    pub(crate) fn plain(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Self(octets);
        match reader.u8()? {
            FORMAT => Ok(reader),
            other => Err(DecodeError::Format(other)),
        }
    }

    /// A guarded value, and its version.
    pub(crate) fn guarded(octets: &'a [u8]) -> Result<(u64, Self), DecodeError> {
        let version = version_of(octets)?;
        Ok((version, Self::plain(octets.get(8..).unwrap_or_default())?))
    }

    /// What has neither version nor format: a part of a value.
    pub(crate) fn bare(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.0.split_first().ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        let (first, rest) = self.0.split_first_chunk().ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(u64::from_be_bytes(*first))
    }

    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        // One octet is by far the most frequent.
        if let Some((&first, rest)) = self.0.split_first()
            && first < 0x80
        {
            self.0 = rest;
            return Ok(u64::from(first));
        }
        u64::try_from(self.wide_varint()?).map_err(|_| DecodeError::Field("number"))
    }

    pub(crate) fn wide_varint(&mut self) -> Result<u128, DecodeError> {
        let mut n = 0u128;
        for shift in (0..128).step_by(7) {
            let octet = self.u8()?;
            let bits = u128::from(octet & 0x7f);
            n |= bits << shift;
            if (bits << shift) >> shift != bits {
                return Err(DecodeError::Field("number"));
            }
            if octet < 0x80 {
                return Ok(n);
            }
        }
        Err(DecodeError::Field("number"))
    }

    pub(crate) fn zigzag(&mut self) -> Result<i64, DecodeError> {
        self.varint().map(unzigzag)
    }

    /// A varint that fits a smaller type.
    pub(crate) fn small<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, DecodeError> {
        T::try_from(self.varint()?).map_err(|_| DecodeError::Field(what))
    }

    /// How many items follow: at least an octet each, so never more than there are octets.
    pub(crate) fn count(&mut self) -> Result<usize, DecodeError> {
        let count: usize = self.small("count")?;
        if count > self.0.len() { Err(DecodeError::Short) } else { Ok(count) }
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(len).map_err(|_| DecodeError::Short)?;
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn octets(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.varint()?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.octets()?).map_err(|_| DecodeError::Field("text"))
    }

    pub(crate) fn optional(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.varint()? {
            0 => Ok(None),
            len => self.take(len - 1).map(Some),
        }
    }

    /// A column of `n` numbers.
    pub(crate) fn values(&mut self, n: usize) -> Result<Column<'a>, DecodeError> {
        match self.u8()? {
            0 => Ok(Column { same: Some(self.varint()?), each: Reader(&[]) }),
            1 => {
                let start = self.0;
                for _ in 0..n {
                    self.varint()?;
                }
                let used = start.len() - self.0.len();
                Ok(Column { same: None, each: Reader(start.get(..used).unwrap_or_default()) })
            }
            _ => Err(DecodeError::Field("column")),
        }
    }

    /// A column of `n` numbers that are near the one before.
    pub(crate) fn deltas(&mut self, n: usize) -> Result<Deltas<'a>, DecodeError> {
        let first = self.u64()?;
        Ok(Deltas { next: Some(first), differences: self.values(n.saturating_sub(1))? })
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Long) }
    }
}

/// A column whose octets were seen to be whole.
#[derive(Debug)]
pub(crate) struct Column<'a> {
    same: Option<u64>,
    each: Reader<'a>,
}

impl Column<'_> {
    pub(crate) fn next(&mut self) -> Result<u64, DecodeError> {
        match self.same {
            Some(value) => Ok(value),
            None => self.each.varint(),
        }
    }
}

/// A column of differences.
#[derive(Debug)]
pub(crate) struct Deltas<'a> {
    next: Option<u64>,
    differences: Column<'a>,
}

impl Deltas<'_> {
    pub(crate) fn next(&mut self, last: &mut u64) -> Result<u64, DecodeError> {
        *last = match self.next.take() {
            Some(first) => first,
            None => last.wrapping_add(unzigzag(self.differences.next()?) as u64),
        };
        Ok(*last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(a: u64, b: u128, c: i64, column in proptest::collection::vec(any::<u64>(), 1..20)) {
            let mut writer = Writer::plain();
            writer.varint(a);
            writer.wide_varint(b);
            writer.zigzag(c);
            writer.values(column.iter().copied());
            writer.deltas(column.iter().copied());
            let octets = writer.finish();
            let mut reader = Reader::plain(&octets).unwrap();
            prop_assert_eq!(reader.varint(), Ok(a));
            prop_assert_eq!(reader.wide_varint(), Ok(b));
            prop_assert_eq!(reader.zigzag(), Ok(c));
            let mut values = reader.values(column.len()).unwrap();
            let mut deltas = reader.deltas(column.len()).unwrap();
            let mut last = 0;
            for expected in column {
                prop_assert_eq!(values.next(), Ok(expected));
                prop_assert_eq!(deltas.next(&mut last), Ok(expected));
            }
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn a_newer_format_is_refused_in_words() {
        let error = Reader::plain(&[2, 0]).unwrap_err();
        assert!(error.to_string().contains("newer Columba"), "{error}");
    }

    #[test]
    fn numbers_that_are_too_long_are_refused() {
        assert!(Reader(&[0xff; 30]).wide_varint().is_err());
        assert!(Reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).varint().is_err());
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).varint(), Ok(u64::MAX));
    }
}

//! Sets of message numbers as written.

use columba_types::limits::SET_RANGES;
use columba_types::{NumRange, NumSet, SetNum};

use super::cursor::{Cursor, Parsed};
use crate::command::{MessageSet, PartialRange};

// sequence-set    = (seq-number / seq-range) ["," sequence-set]
// sequence-set    =/ seq-last-command
pub(super) fn message_set(c: &mut Cursor<'_>) -> Parsed<MessageSet> {
    if c.take(b'$') {
        return Ok(MessageSet::Saved);
    }
    let mut ranges = Vec::with_capacity(1);
    loop {
        ranges.push(range(c)?);
        if !c.take(b',') {
            return Ok(MessageSet::Set(NumSet(ranges)));
        }
        if ranges.len() >= SET_RANGES {
            return c.fail("the set has too many ranges");
        }
    }
}

// partial-range       = partial-range-first / partial-range-last           (RFC 9394 §4)
// partial-range-first = nz-number ":" nz-number
// partial-range-last  = "-" nz-number ":" "-" nz-number
pub(super) fn partial_range(c: &mut Cursor<'_>) -> Parsed<PartialRange> {
    let from_end = c.take(b'-');
    let first = c.nz_number()?;
    c.expect(b':', "expected :")?;
    if from_end {
        c.expect(b'-', "expected -, as before the first number")?;
    }
    Ok(PartialRange { first, last: c.nz_number()?, from_end })
}

// seq-range       = seq-number ":" seq-number
fn range(c: &mut Cursor<'_>) -> Parsed<NumRange> {
    let start = seq_number(c)?;
    let end = if c.take(b':') { seq_number(c)? } else { start };
    Ok(NumRange { start, end })
}

// seq-number      = nz-number / "*"
pub(super) fn seq_number(c: &mut Cursor<'_>) -> Parsed<SetNum> {
    match c.peek() {
        Some(b'*') => {
            c.skip();
            Ok(SetNum::Star)
        }
        Some(b'0'..=b'9') => c.nz_number().map(SetNum::Num),
        _ => c.fail("expected a message number, * or $"),
    }
}

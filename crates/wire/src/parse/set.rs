//! Sets of message numbers as written.

use columba_types::limits::SET_RANGES;
use columba_types::{NumRange, NumSet, SetNum};

use super::cursor::{Cursor, Parsed};
use crate::command::MessageSet;

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

// seq-range       = seq-number ":" seq-number
fn range(c: &mut Cursor<'_>) -> Parsed<NumRange> {
    let start = seq_number(c)?;
    let end = if c.take(b':') { seq_number(c)? } else { start };
    Ok(NumRange { start, end })
}

// seq-number      = nz-number / "*"
fn seq_number(c: &mut Cursor<'_>) -> Parsed<SetNum> {
    match c.peek() {
        Some(b'*') => {
            c.skip();
            Ok(SetNum::Star)
        }
        Some(b'0'..=b'9') => c.nz_number().map(SetNum::Num),
        _ => c.fail("expected a message number, * or $"),
    }
}

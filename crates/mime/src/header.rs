//! A header block cut into its fields.

use std::borrow::Cow;
use std::ops::Range;

/// One field of a header block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Its name as written, without the colon.
    pub name: &'a [u8],
    /// What follows the colon, with line ends and folding.
    pub value: &'a [u8],
    /// Where the whole field lies in the block, its last line end included.
    pub range: Range<usize>,
}

/// The fields of a block in order; lines that are no field are passed over.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    #[expect(dead_code, reason = "first version")]
    block: &'a [u8],
}

/// Iterates over the fields of a header block, `HEADER_FIELDS` at most.
pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { block }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        None
    }
}

/// A field's value without line ends and without white space around it (RFC 5322 §2.2.3).
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(value)
}

//! Date fields: RFC 5322 with its obsolete forms.

use columba_types::DateTime;

/// Reads the value of a Date field; `None` if no day can be made out.
pub fn parse_date(_raw: &[u8]) -> Option<DateTime> {
    None
}

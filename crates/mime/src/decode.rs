//! Content-Transfer-Encoding undone, octets in and octets out, in chunks of any size.

/// A Content-Transfer-Encoding (RFC 2045 §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum TransferEncoding {
    /// 7bit, also when no field says anything.
    #[default]
    SevenBit,
    /// 8bit
    EightBit,
    /// binary
    Binary,
    /// quoted-printable
    QuotedPrintable,
    /// base64
    Base64,
    /// Anything else: BINARY answers NO [UNKNOWN-CTE], search takes the octets as they are.
    Unknown,
}

/// Undoes one transfer encoding. Tolerant: what is broken is skipped, and told at the end.
#[derive(Debug)]
pub struct TransferDecoder {}

impl TransferDecoder {
    /// Before the first octet.
    pub fn new(_encoding: TransferEncoding) -> Self {
        Self {}
    }

    /// Decodes the next octets onto the end of `out`.
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(chunk);
    }

    /// Decodes what was held back onto `out`; `true` if the whole text was well formed, and the encoding known.
    pub fn finish(self, _out: &mut Vec<u8>) -> bool {
        true
    }
}

/// Makes every line end CRLF, for BINARY of text parts (RFC 9051 §7.5.2).
#[derive(Debug, Default)]
pub struct CrlfLines {}

impl CrlfLines {
    /// Before the first octet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the next octets to `out`, with a CR before each LF that has none.
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(chunk);
    }
}

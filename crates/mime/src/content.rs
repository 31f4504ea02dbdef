//! The Content-* fields of one header block, parsed.

use crate::decode::TransferEncoding;

/// Parameters of a MIME field: names in lower case, values decoded (RFC 2231) to Unicode, in order.
pub type Parameters = Vec<(String, String)>;

/// A Content-Disposition (RFC 2183).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disposition {
    /// `inline`, `attachment`, …, in lower case.
    pub kind: String,
    /// Its parameters, `filename` among them.
    pub parameters: Parameters,
}

/// What the Content-* fields of a part say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Content {
    /// Type, in lower case.
    pub media_type: String,
    /// Subtype, in lower case.
    pub subtype: String,
    /// Parameters of Content-Type.
    pub parameters: Parameters,
    /// Content-Transfer-Encoding.
    pub encoding: TransferEncoding,
    /// The encoding as written, if it is not one that we know.
    pub unknown_encoding: Option<String>,
    /// Content-ID.
    pub id: Option<String>,
    /// Content-Description, encoded-words as they are.
    pub description: Option<String>,
    /// Content-MD5.
    pub md5: Option<String>,
    /// Content-Disposition.
    pub disposition: Option<Disposition>,
    /// Content-Language, its tags.
    pub language: Vec<String>,
    /// Content-Location.
    pub location: Option<String>,
}

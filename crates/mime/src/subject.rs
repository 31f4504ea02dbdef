//! The base subject (RFC 5256 §2.1).

/// A subject without its artefacts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BaseSubject {
    /// The base subject, its case kept.
    pub text: String,
    /// Whether something was removed that makes it a reply or a forwarded message (RFC 5256 §3, THREAD=REFERENCES step 5).
    pub is_reply: bool,
}

/// Extracts the base subject of a decoded subject.
pub fn base_subject(subject: &str) -> BaseSubject {
    BaseSubject { text: subject.to_owned(), is_reply: false }
}

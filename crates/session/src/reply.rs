//! How a command ends, and the one place that says it to the client.

use std::borrow::Cow;

use columba_store::StoreError;
use columba_types::ModSeq;
use columba_wire::{Code, Printer, Status, Tag};

use crate::channel::Ended;

/// How a handler ends.
pub(crate) type Outcome = Result<Done, Failure>;

/// The command did what it was asked.
#[derive(Debug)]
pub(crate) struct Done {
    code: Option<Code>,
    text: Cow<'static, str>,
}

impl Done {
    pub(crate) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { code: None, text: text.into() }
    }

    /// Without a HIGHESTMODSEQ above what the client has been told (RFC 7162 §3.2).
    pub(crate) fn told_up_to(self, complete: ModSeq) -> Self {
        match self.code {
            Some(Code::HighestModSeq(modseq)) if modseq > complete => Self { code: None, ..self },
            _ => self,
        }
    }

    pub(crate) fn with(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Some(code), text: text.into() }
    }

    pub(crate) fn has_code(&self) -> bool {
        self.code.is_some()
    }
}

/// The command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was understood, and can't be done.
    No(Option<Code>, Cow<'static, str>),
    /// It was not understood, or does not belong here.
    Bad(Option<Code>, Cow<'static, str>),
    /// The connection ends, with words.
    Bye(Option<Code>, Cow<'static, str>),
    /// The selected mailbox was deleted by another session. What follows from that is settled before the answer.
    MailboxGone,
    /// The connection ends, without: the client is gone, or must not be told an outcome that nobody knows.
    Ended(Ended),
}

impl Failure {
    pub(crate) fn no(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self::No(Some(code), text.into())
    }

    pub(crate) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Bad(None, text.into())
    }
}

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let text = Cow::Owned(error.to_string());
        let code = match error {
            // OK means durable, and NO means that nothing happened: here neither may be said.
            StoreError::Indeterminate(_) => return Self::Bye(Some(Code::Unavailable), text),
            StoreError::NotFound => Code::NonExistent,
            StoreError::Exists => Code::AlreadyExists,
            StoreError::Cannot(_) => Code::Cannot,
            StoreError::HasChildren => Code::HasChildren,
            StoreError::Limit(_) | StoreError::UidsExhausted => Code::Limit,
            StoreError::TooBig => Code::TooBig,
            StoreError::Corrupt(_) => Code::Corruption,
            _ => Code::Unavailable,
        };
        Self::No(Some(code), text)
    }
}

/// Prints the tagged answer. The others have none: the connection's end is the answer.
pub(crate) fn print_tagged(printer: &mut Printer<'_>, tag: &Tag, outcome: &Outcome) {
    match outcome {
        Ok(done) => printer.tagged(tag, Status::Ok, done.code.as_ref(), &done.text),
        Err(Failure::No(code, text)) => printer.tagged(tag, Status::No, code.as_ref(), text),
        Err(Failure::Bad(code, text)) => printer.tagged(tag, Status::Bad, code.as_ref(), text),
        Err(Failure::MailboxGone | Failure::Bye(..) | Failure::Ended(_)) => {}
    }
}

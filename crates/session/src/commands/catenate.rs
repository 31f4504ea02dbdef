//! CATENATE (RFC 4469): what a URL names, to be copied into a new message. A URL names octets as FETCH BODY.PEEK does,
//! and never another server's.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use columba_store::{AccountStore, Mailbox, Message, StoreError};
use columba_types::UidSet;
use columba_wire::{Code, MessageUrl, parse_message_url};

use super::fetch::{SectionOctets, read_chunk, section_octets};
use crate::context::Context;
use crate::reply::Failure;

/// The octets that a URL names, to be read piece by piece.
pub(super) struct Source {
    mail: Arc<AccountStore>,
    message: Arc<Message>,
    octets: SectionOctets,
}

/// Finds what a URL names. [BADURL] says which one names nothing.
pub(super) async fn open(context: &mut Context<'_, '_>, octets: &[u8]) -> Result<Source, Failure> {
    let url = parse_message_url(octets).map_err(|why| bad_url(octets, &why.to_string()))?;
    let mailbox = mailbox(context, &url).await?.ok_or_else(|| bad_url(octets, "there is no such mailbox"))?;
    let snapshot = mailbox.snapshot();
    // RFC 5092 §5: a URL of another UIDVALIDITY is of a mailbox that is no more.
    if url.uid_validity.is_some_and(|validity| validity != snapshot.head.uid_validity) {
        return Err(bad_url(octets, "the mailbox has another UIDVALIDITY now"));
    }
    let uids = UidSet::range(url.uid.value(), url.uid.value());
    let record = snapshot.records_in(&uids).next().ok_or_else(|| bad_url(octets, "there is no such message"))?;
    let mail = context.mail()?;
    let message = match mail.message(record.message).await {
        Err(StoreError::NotFound) => return Err(bad_url(octets, "the message is gone")),
        other => other?,
    };
    let found = section_octets(&mail, &message, &mut None, &url.section, url.partial).await?;
    let octets = found.ok_or_else(|| bad_url(octets, "the message has no such part"))?;
    Ok(Source { mail, message, octets })
}

/// `None` if there is no such mailbox.
async fn mailbox(context: &mut Context<'_, '_>, url: &MessageUrl) -> Result<Option<Arc<Mailbox>>, Failure> {
    let Some(name) = &url.mailbox else {
        let is_selected = context.login()?.selected.is_some();
        return is_selected.then(|| context.mailbox()).transpose();
    };
    let mail = context.mail()?;
    let Ok(name) = columba_store::normalise_name(name) else { return Ok(None) };
    let Some(id) = mail.tree().get(&name).and_then(|entry| entry.mailbox) else { return Ok(None) };
    match mail.mailbox(id).await {
        Ok(mailbox) => Ok(Some(mailbox)),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// RFC 4469 §4.1
fn bad_url(url: &[u8], why: &str) -> Failure {
    Failure::no(Code::BadUrl(url.to_vec()), format!("Nothing was appended: {why}"))
}

impl Source {
    /// Octets that are looked at: for some fields of a header all of them are.
    pub(super) fn cost(&self) -> u64 {
        match &self.octets {
            SectionOctets::Read { from, .. } => *from,
            SectionOctets::InMessage(_) => self.left(),
        }
    }

    /// Octets still to be read.
    pub(super) fn left(&self) -> u64 {
        match &self.octets {
            SectionOctets::Read { octets, .. } => octets.len() as u64,
            SectionOctets::InMessage(range) => range.end - range.start,
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.left() == 0 {
            return Ok(None);
        }
        match &mut self.octets {
            SectionOctets::Read { octets, .. } => Ok(Some(std::mem::take(octets))),
            SectionOctets::InMessage(range) => {
                let chunk = read_chunk(&self.mail, &self.message, range.clone()).await?;
                *range = Range { start: range.start + chunk.len() as u64, end: range.end };
                Ok(Some(chunk))
            }
        }
    }
}

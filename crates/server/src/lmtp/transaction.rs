//! One message on its way in: who it is from and for, its octets as they come, and its delivery to each recipient.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use columba_store::Store;
use columba_types::limits::{LMTP_DELIVERIES, LMTP_RECEIVED_FIELDS};
use columba_types::{AccountId, DateTime};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tracing::warn;

use crate::accept::Shared;
use crate::lmtp::command::Mail;
use crate::lmtp::deliver::{self, Recipient, deliver};
use crate::lmtp::header::HeaderFilter;
use crate::lmtp::reply::Reply;
use crate::lmtp::spool::{Spool, Spooled};
use crate::lmtp::trace::Envelope;
use crate::lmtp::wire::{Ended, Wire};

/// From MAIL to the last reply.
#[derive(Debug)]
pub(crate) struct Transaction {
    mail: Mail,
    client_name: String,
    id: String,
    pub(crate) recipients: Vec<Recipient>,
    body: Option<Body>,
    /// Why the message cannot be taken; told to every recipient when it is over.
    failure: Option<Reply>,
}

#[derive(Debug)]
struct Body {
    filter: HeaderFilter,
    spool: Spool,
    /// As the client sent it, for the limit.
    octets: u64,
}

impl Transaction {
    pub(crate) fn new(mail: Mail, client_name: String, id: String) -> Self {
        Self { mail, client_name, id, recipients: Vec::new(), body: None, failure: None }
    }

    /// Whether the message has begun to come.
    pub(crate) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// Whether the client said SMTPUTF8.
    pub(crate) fn utf8(&self) -> bool {
        self.mail.utf8
    }

    pub(crate) fn failure(&self) -> Option<&Reply> {
        self.failure.as_ref()
    }

    /// A message or chunk begins.
    pub(crate) fn begin_body(&mut self, spool: &Path) {
        self.body.get_or_insert_with(|| Body { filter: HeaderFilter::new(), spool: Spool::new(spool), octets: 0 });
    }

    /// Takes the next octets. After a failure, and without recipients, they are dropped.
    pub(crate) async fn take(&mut self, octets: &[u8], most: u64) {
        let Some(body) = &mut self.body else { return };
        body.octets = body.octets.saturating_add(octets.len() as u64);
        if self.failure.is_some() || self.recipients.is_empty() {
            return;
        }
        let written = if body.filter.is_past() {
            body.spool.write(octets).await
        } else {
            let mut kept = Vec::with_capacity(octets.len());
            body.filter.feed(octets, &mut kept);
            body.spool.write(&kept).await
        };
        if body.octets > most {
            self.failure = Some(deliver::too_big());
        } else if let Err(error) = written {
            self.failure = Some(no_room(&self.id, &error));
        }
        if self.failure.is_some() {
            // Give back what was taken; the rest is only counted.
            body.spool = Spool::new(Path::new(""));
        }
    }

    /// The message is complete: delivers it, and answers for each recipient in the order of RCPT, each as soon as it is
    /// known (RFC 2033 §5).
    pub(crate) async fn complete(self, shared: &Shared, from: Option<IpAddr>, wire: &mut Wire) -> Result<(), Ended> {
        let Self { mail, client_name, id, recipients, body, mut failure } = self;
        let envelope = Envelope {
            sender: mail.sender.map(|sender| sender.written).unwrap_or_default(),
            client_name,
            client_address: from,
            host_name: shared.config.host_name.clone(),
            id,
            utf8: mail.utf8,
            arrived: DateTime::utc(shared.services.store.now_millis().div_euclid(1000)),
        };
        let spooled = match (&failure, body) {
            (None, Some(body)) => finish(body, &envelope.id).await,
            _ => Err(no_message()),
        };
        let message = spooled.map_err(|reply| failure.get_or_insert(reply).clone());
        let store = &shared.services.store;
        let plan = Plan::new(&recipients);
        let mut deliveries: Vec<BoxFuture<'_, Reply>> = Vec::with_capacity(plan.first.len());
        for recipient in plan.first.iter().filter_map(|at| recipients.get(*at)) {
            deliveries.push(Box::pin(answer(store, &envelope, recipient, &message)));
        }
        let mut replies = stream::iter(deliveries).buffered(LMTP_DELIVERIES);
        let mut known: Vec<Reply> = Vec::with_capacity(plan.first.len());
        for copy in plan.copies {
            while known.len() <= copy {
                let next = match replies.next().now_or_never() {
                    Some(next) => next,
                    None => {
                        wire.flush().await?;
                        replies.next().await
                    }
                };
                known.push(next.unwrap_or_else(no_message));
            }
            let reply = &known[copy];
            if !reply.is_error() {
                shared.registry.count_delivered();
            }
            wire.reply(reply);
        }
        Ok(())
    }
}

async fn answer(store: &Store, envelope: &Envelope, recipient: &Recipient, message: &Result<Spooled, Reply>) -> Reply {
    match message {
        Ok(message) => deliver(store, envelope, recipient, message).await,
        Err(reply) => reply.clone(),
    }
}

async fn finish(mut body: Body, id: &str) -> Result<Spooled, Reply> {
    // RFC 5321 §6.3: a message that has been everywhere is going in circles.
    if body.filter.received() > LMTP_RECEIVED_FIELDS {
        return Err(Reply::new(554, "5.4.6", "The message goes in circles: too many Received fields"));
    }
    let mut rest = Vec::new();
    body.filter.finish(&mut rest);
    let written = async {
        body.spool.write(&rest).await?;
        body.spool.finish().await
    };
    written.await.map_err(|error| no_room(id, &error))
}

fn no_room(id: &str, error: &std::io::Error) -> Reply {
    warn!(id, %error, "the spool does not take a message");
    Reply::new(452, "4.3.1", "There is no room for the message now, try again later")
}

fn no_message() -> Reply {
    Reply::new(451, "4.3.0", "The message was lost on the way, try again")
}

/// Which recipients get a copy of their own: two that come to the same account and detail share one.
struct Plan {
    /// Recipients that a copy is made for.
    first: Vec<usize>,
    /// For each recipient, which of those copies is its own.
    copies: Vec<usize>,
}

impl Plan {
    fn new(recipients: &[Recipient]) -> Self {
        let mut seen: HashMap<(AccountId, Option<String>), usize> = HashMap::new();
        let (mut first, mut copies) = (Vec::new(), Vec::new());
        for (at, recipient) in recipients.iter().enumerate() {
            let key = (recipient.account, recipient.detail.as_deref().map(str::to_lowercase));
            let copy = *seen.entry(key).or_insert_with(|| {
                first.push(at);
                first.len() - 1
            });
            copies.push(copy);
        }
        Self { first, copies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(account: u64, detail: Option<&str>) -> Recipient {
        Recipient {
            written: String::new(),
            account: AccountId(account),
            detail: detail.map(str::to_owned),
            message_bytes: None,
        }
    }

    #[test]
    fn the_same_mailbox_gets_one_copy() {
        let recipients = [
            recipient(1, None),
            recipient(2, None),
            recipient(1, Some("Lists")),
            recipient(1, None),
            recipient(1, Some("lists")),
        ];
        let plan = Plan::new(&recipients);
        assert_eq!(plan.first, [0, 1, 2]);
        assert_eq!(plan.copies, [0, 1, 2, 0, 2]);
    }
}

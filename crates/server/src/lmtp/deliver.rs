//! From an address to an account and mailbox, and from a complete message to a durable copy there. What the client is
//! told of it is decided here; when, and in what order, is the conversation's matter.

use bytes::Bytes;
use columba_session::delivery::Delivery;
use columba_store::{Account, AccountStore, Store, StoreError, normalise_name};
use columba_types::{AccountId, MailboxId, MailboxName};
use tracing::{error, info, warn};

use crate::lmtp::address::Mailbox as Address;
use crate::lmtp::reply::Reply;
use crate::lmtp::spool::Spooled;
use crate::lmtp::trace::Envelope;

/// A recipient that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    /// As written, for Delivered-To.
    pub(crate) written: String,
    pub(crate) account: AccountId,
    /// What `user+detail` asked for.
    pub(crate) detail: Option<String>,
    /// Octets of the largest message it takes, where that is not the server's limit.
    pub(crate) message_bytes: Option<u64>,
}

/// Finds the account of an address. A plain account whose name has a `+` comes before the meaning of `+`.
pub(crate) async fn find(store: &Store, address: &Address) -> Result<Recipient, Reply> {
    // A quoted local part with an @ would be looked up as another address.
    if address.local.contains('@') {
        return Err(unknown());
    }
    let found = |account: Account, detail: Option<&str>| {
        if account.disabled {
            return Err(Reply::new(550, "5.2.1", "This account is disabled"));
        }
        Ok(Recipient {
            written: address.written.clone(),
            account: account.id,
            detail: detail.map(str::to_owned),
            message_bytes: account.message_bytes,
        })
    };
    if let Some(account) = store.recipient(&address.plain()).await.map_err(|error| refusal(&error))? {
        return found(account, None);
    }
    let Some((plain, detail)) = address.without_detail() else { return Err(unknown()) };
    match store.recipient(&plain).await.map_err(|error| refusal(&error))? {
        Some(account) => found(account, Some(detail)),
        None => Err(unknown()),
    }
}

fn unknown() -> Reply {
    Reply::new(550, "5.1.1", "There is no such user here")
}

/// What a client is told of a failure. Only what cannot get better by waiting is permanent.
fn refusal(error: &StoreError) -> Reply {
    match error {
        StoreError::Limit(_) | StoreError::UidsExhausted => Reply::new(552, "5.2.2", "The mailbox is full"),
        StoreError::TooBig => too_big(),
        _ => Reply::new(451, "4.3.0", "The mail store is not available, try again later"),
    }
}

/// What a client is told of a message beyond the limit.
pub(crate) fn too_big() -> Reply {
    Reply::new(552, "5.3.4", "The message is too big")
}

/// The mailbox a message for that recipient goes to: that of the detail if there is one of that name in any case,
/// else INBOX. None is ever created: anybody can write to any detail.
fn choose(mail: &AccountStore, detail: Option<&str>) -> Option<MailboxId> {
    let tree = mail.tree();
    let existing = |name: &MailboxName| tree.get(name).and_then(|entry| entry.mailbox);
    let of_detail = detail.and_then(|detail| normalise_name(detail).ok()).and_then(|name| {
        let folded = name.as_str().to_lowercase();
        let alike = || {
            tree.iter()
                .filter(|(other, _)| other.as_str().to_lowercase() == folded)
                .find_map(|(_, entry)| entry.mailbox)
        };
        existing(&name).or_else(alike)
    });
    of_detail.or_else(|| existing(&MailboxName::inbox()))
}

/// Writes the message to the recipient's mailbox; the reply is 250 once it is durable there.
pub(crate) async fn deliver(store: &Store, envelope: &Envelope, recipient: &Recipient, message: &Spooled) -> Reply {
    if recipient.message_bytes.is_some_and(|most| message.len() > most) {
        return too_big();
    }
    match attempt(store, envelope, recipient, message).await {
        Ok(()) => {
            info!(id = envelope.id, account = %recipient.account, octets = message.len(), "delivered");
            Reply::new(250, "2.0.0", format!("Delivered, id {}", envelope.id))
        }
        Err(failure @ (StoreError::Corrupt(_) | StoreError::Indeterminate(_))) => {
            error!(id = envelope.id, account = %recipient.account, error = %failure, "not delivered");
            refusal(&failure)
        }
        Err(failure) => {
            warn!(id = envelope.id, account = %recipient.account, error = %failure, "not delivered");
            refusal(&failure)
        }
    }
}

async fn attempt(
    store: &Store,
    envelope: &Envelope,
    recipient: &Recipient,
    message: &Spooled,
) -> Result<(), StoreError> {
    let mail = store.open_account(recipient.account).await?;
    let mut delivery = Delivery::begin(&mail);
    delivery.write(Bytes::from(envelope.trace(&recipient.written))).await?;
    let mut at = 0;
    loop {
        let chunk = message.chunk(at).await.map_err(|error| StoreError::Unavailable(error.to_string().into()))?;
        if chunk.is_empty() {
            break;
        }
        at += chunk.len() as u64;
        delivery.write(chunk).await?;
    }
    let new = delivery.finish(Vec::new(), envelope.arrived).await?;
    // Chosen as late as possible: the user may rename and delete meanwhile.
    let mailbox = choose(&mail, recipient.detail.as_deref()).ok_or(StoreError::NotFound)?;
    mail.mailbox(mailbox).await?.append(vec![new]).await?;
    Ok(())
}

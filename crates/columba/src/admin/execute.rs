//! Does what was asked, one request after the other, on the store: in the server and in a command alike.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use columba_store::{Account, Store, StoreError};
use columba_types::AccountId;
use columba_types::limits::ADMIN_FRAME_BYTES;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::sync::watch;

use super::{Finding, Frame, Greeting, PROTOCOL, Reply, Request, Severity, Verified};
use super::{accounts, export, frame, import, mailboxes};

/// Ends the connections of an account that was barred, where there are any.
pub(crate) trait Barring: Send + Sync {
    fn bar(&self, account: AccountId);
}

/// What could not be done.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The asking side is told why, and may go on.
    Refused { reason: String, hint: Option<String> },
    /// The asking side is gone, or talks nonsense.
    Broken(io::Error),
}

impl Trouble {
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into(), hint: None }
    }

    pub(super) fn with_hint(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into(), hint: Some(hint.into()) }
    }

    /// What the store said, about something.
    pub(super) fn store(about: impl std::fmt::Display, error: &StoreError) -> Self {
        let hint = match error {
            StoreError::Unavailable(_) => Some("free or mend the disk of the data directory, then try again".into()),
            StoreError::Corrupt(_) => Some("`columba verify` tells all that is damaged".into()),
            _ => None,
        };
        Self::Refused { reason: format!("{about}: {error}"), hint }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// The executing side of one conversation.
pub(super) struct Conversation<'a> {
    pub(super) store: &'a Store,
    pub(super) barring: &'a Arc<dyn Barring>,
    pub(super) from: &'a mut (dyn AsyncRead + Send + Unpin),
    pub(super) to: Answers<'a>,
}

/// Where answers go.
pub(super) struct Answers<'a>(&'a mut (dyn AsyncWrite + Send + Unpin));

impl Answers<'_> {
    /// Says something and sends it off.
    pub(super) async fn say(&mut self, reply: &Reply) -> io::Result<()> {
        self.say_later(reply).await?;
        self.0.flush().await
    }

    /// Says something that may wait for what comes next.
    pub(super) async fn say_later(&mut self, reply: &Reply) -> io::Result<()> {
        frame::write_json(&mut self.0, reply).await
    }

    /// Octets of a message; none at its end.
    pub(super) async fn octets(&mut self, octets: &[u8]) -> io::Result<()> {
        frame::write_octets(&mut self.0, octets).await
    }
}

/// Serves one asking side until it goes.
pub(crate) async fn execute(
    store: &Store,
    barring: &Arc<dyn Barring>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
) -> io::Result<()> {
    let (from, to) = tokio::io::split(stream);
    let (mut from, mut to) = (BufReader::with_capacity(64 * 1024, from), BufWriter::with_capacity(64 * 1024, to));
    let greeting = Greeting { columba: env!("CARGO_PKG_VERSION").into(), protocol: PROTOCOL };
    frame::write_json(&mut to, &greeting).await?;
    to.flush().await?;
    while let Some(request) = frame::read(&mut from).await? {
        let request: Request = request.parse()?;
        let conversation = Conversation { store, barring, from: &mut from, to: Answers(&mut to) };
        match answer(conversation, request).await {
            Ok(reply) => Answers(&mut to).say(&reply).await?,
            Err(Trouble::Refused { reason, hint }) => Answers(&mut to).say(&Reply::Failed { reason, hint }).await?,
            Err(Trouble::Broken(error)) => return Err(error),
        }
    }
    Ok(())
}

async fn answer(mut conversation: Conversation<'_>, request: Request) -> Result<Reply, Trouble> {
    let (store, barring) = (conversation.store, conversation.barring);
    match request {
        Request::Accounts { after } => accounts::list(store, after.as_deref()).await,
        Request::Account { name } => accounts::show(store, &name).await,
        Request::CreateAccounts { accounts } => accounts::create(store, accounts).await,
        Request::SetCredentials { name, credentials } => {
            accounts::set_credentials(store, barring, &name, credentials).await
        }
        Request::SetDisabled { name, disabled } => accounts::set_disabled(store, barring, &name, disabled).await,
        Request::SetMessageBytes { name, message_bytes } => {
            accounts::set_message_bytes(store, &name, message_bytes).await
        }
        Request::SetNetworks { name, allow, deny } => {
            accounts::set_networks(store, barring, &name, allow.as_deref(), deny.as_deref()).await
        }
        Request::DeleteAccount { name } => accounts::delete(store, barring, &name).await,
        Request::Mailboxes { account } => mailboxes::list(&mut conversation, &account).await,
        Request::Mailbox { account, mailbox } => mailboxes::show(store, &account, &mailbox).await,
        Request::CreateMailbox { account, mailbox, special_use } => {
            mailboxes::create(store, &account, &mailbox, special_use.as_deref()).await
        }
        Request::DeleteMailbox { account, mailbox } => mailboxes::delete(store, &account, &mailbox).await,
        Request::Import { account, skip_duplicates } => {
            import::import(&mut conversation, &account, skip_duplicates).await
        }
        Request::Export { account, mailboxes } => export::export(&mut conversation, &account, &mailboxes).await,
        Request::Verify => verify(&mut conversation).await,
    }
}

/// The account of that name.
pub(super) async fn account_named(store: &Store, name: &str) -> Result<Account, Trouble> {
    match store.account_named(name).await {
        Ok(Some(account)) => Ok(account),
        Ok(None) => {
            Err(Trouble::with_hint(format!("there is no account {name}"), "`columba account list` shows all there are"))
        }
        Err(error) => Err(Trouble::store(format_args!("account {name}"), &error)),
    }
}

/// Reads what is said next, and must be.
pub(super) async fn next_frame(from: &mut (dyn AsyncRead + Send + Unpin)) -> Result<Frame, Trouble> {
    let mut from = from;
    frame::read(&mut from).await?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof).into())
}

async fn verify(conversation: &mut Conversation<'_>) -> Result<Reply, Trouble> {
    const BETWEEN: Duration = Duration::from_millis(250);
    let (sender, receiver) = watch::channel((0, 0, 0));
    let progress = move |p: columba_store::VerifyProgress| {
        sender.send_replace((p.accounts, p.messages, p.bytes));
    };
    let store = conversation.store;
    let mut checking = std::pin::pin!(store.verify(&progress));
    let report = loop {
        match tokio::time::timeout(BETWEEN, &mut checking).await {
            Ok(report) => break report,
            Err(_) => {
                let (accounts, messages, bytes) = *receiver.borrow();
                conversation.to.say(&Reply::Verifying { accounts, messages, bytes }).await?;
            }
        }
    };
    report.map(verified).map_err(|error| Trouble::store("the check could not be finished", &error))
}

fn verified(report: columba_store::VerifyReport) -> Reply {
    let total = report.findings.len();
    let mut room = ADMIN_FRAME_BYTES / 2;
    let mut findings = Vec::new();
    let mut sorted = report.findings;
    // The worst first, so that the list is never too full for them.
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in sorted {
        let Some(left) = room.checked_sub(finding.text.len() + 64) else { break };
        room = left;
        let severity = match finding.severity {
            columba_store::Severity::Note => Severity::Note,
            columba_store::Severity::Warning => Severity::Warning,
            columba_store::Severity::Error => Severity::Error,
        };
        findings.push(Finding { severity, text: finding.text });
    }
    Reply::Verified(Verified {
        more_findings: (total - findings.len()) as u64,
        findings,
        accounts: report.accounts,
        mailboxes: report.mailboxes,
        records: report.records,
        messages: report.messages,
        bytes: report.bytes,
        reclaimable_bytes: report.reclaimable_bytes,
    })
}

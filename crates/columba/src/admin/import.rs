//! Takes an import in: octets are stored and taken apart on all cores while the next ones arrive, and many messages
//! become one commit.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use columba_session::delivery::Delivery;
use columba_store::{AccountStore, Mailbox, NewMessage, SpecialUse, StoreError};
use columba_types::limits::{COMMIT_MESSAGES, IMPORT_IN_FLIGHT_BYTES, KEYWORDS_PER_MAILBOX, MESSAGE_IN_MEMORY_BYTES};
use columba_types::{DateTime, Flag, Keyword, MailboxId, MailboxName, Uid};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::duplicates::Known;
use super::execute::{Answers, Conversation, Trouble, next_frame};
use super::mailboxes::{open, parse_name};
use super::{Frame, ImportNews, ImportStep, ImportTotals, Reply};

/// Octets that a message counts for at least: what is known of it takes memory too.
const LEAST_WEIGHT: usize = 8 * 1024;

/// What the reading half hands the committing half, in order.
enum Step {
    /// The messages that follow go here. The lists say what is told of it.
    Folder { mailbox: Arc<Mailbox>, made: bool },
    /// A message on its way.
    Message(Stored),
    /// Something to tell.
    Trouble { origin: String, reason: String },
}

struct Stored {
    origin: String,
    size: u64,
    /// `None`: it was there already.
    message: JoinHandle<Result<Option<NewMessage>, StoreError>>,
    /// Held until the commit, so that what waits is bounded.
    weight: OwnedSemaphorePermit,
}

pub(super) async fn import(
    conversation: &mut Conversation<'_>,
    account: &str,
    skip_duplicates: bool,
) -> Result<Reply, Trouble> {
    let mail = open(conversation.store, account).await?;
    conversation.to.say(&Reply::Done).await?;
    let (sender, receiver) = mpsc::channel(COMMIT_MESSAGES);
    let mut reading = Reading {
        mail: Arc::clone(&mail),
        skip_duplicates,
        sender,
        room: Arc::new(Semaphore::new(IMPORT_IN_FLIGHT_BYTES)),
        known: None,
        folder: None,
        filled: HashSet::new(),
    };
    let mut committing = Committing { mailbox: None, batch: Vec::new(), weight: 0, totals: ImportTotals::default() };
    let from = &mut *conversation.from;
    // Both halves end when one fails: the reading one because nobody takes its steps, the committing one because none come.
    let read = async {
        let read = reading.read(from).await;
        drop(reading);
        read
    };
    let (read, committed) = tokio::join!(read, committing.run(receiver, &mut conversation.to));
    committed?;
    read?;
    Ok(Reply::Import(ImportNews::Finished(committing.totals)))
}

/// The half that takes messages from the asking side.
struct Reading {
    mail: Arc<AccountStore>,
    skip_duplicates: bool,
    sender: mpsc::Sender<Step>,
    room: Arc<Semaphore>,
    /// What the folder's mailbox held before.
    known: Option<Known>,
    /// Where messages go.
    folder: Option<MailboxId>,
    /// Where some went, which the store may not know yet.
    filled: HashSet<MailboxId>,
}

/// Why reading ended before its end: the committing half has the reason.
fn abandoned() -> Trouble {
    Trouble::refused("the import was ended")
}

impl Reading {
    async fn read(&mut self, from: &mut (dyn tokio::io::AsyncRead + Send + Unpin)) -> Result<(), Trouble> {
        loop {
            match next_frame(from).await?.parse::<ImportStep>()? {
                ImportStep::Folder { name, special_use } => self.folder(&name, special_use.as_deref()).await?,
                ImportStep::Message { origin, flags, internal_date } => {
                    let folder = self.folder.ok_or_else(|| Trouble::refused("a message came before its folder"))?;
                    self.filled.insert(folder);
                    let flags = flags.iter().filter_map(|f| Flag::parse(f).ok()).collect();
                    self.message(from, origin, flags, internal_date.into()).await?;
                }
                ImportStep::Abandon => {}
                ImportStep::Subscribe { names } => self.subscribe(&names).await?,
                ImportStep::End => return Ok(()),
            }
        }
    }

    async fn send(&self, step: Step) -> Result<(), Trouble> {
        self.sender.send(step).await.map_err(|_| abandoned())
    }

    async fn folder(&mut self, name: &str, special_use: Option<&str>) -> Result<(), Trouble> {
        let name = parse_name(name)?;
        let failed = |error: StoreError| Trouble::store(format_args!("mailbox {name}"), &error);
        let made = self.make(&name, special_use.and_then(SpecialUse::parse)).await.map_err(failed)?;
        let id = self.mail.tree().mailbox(&name).ok_or(StoreError::NotFound).map_err(failed)?;
        let mailbox = self.mail.mailbox(id).await.map_err(failed)?;
        self.known = None;
        if self.skip_duplicates {
            self.known = Some(Known::of(&self.mail, &mailbox).await.map_err(failed)?);
        }
        self.folder = Some(id);
        self.send(Step::Folder { mailbox, made }).await
    }

    /// Makes the mailbox if it is not there; whether it did.
    async fn make(&self, name: &MailboxName, special_use: Option<SpecialUse>) -> Result<bool, StoreError> {
        if self.mail.tree().mailbox(name).is_some() {
            return Ok(false);
        }
        let mut uses = special_use.as_slice();
        if let Some(special_use) = special_use
            && !self.is_free(special_use).await?
        {
            uses = &[];
        }
        match self.mail.create_mailbox_taking_uses(name, uses).await {
            Ok(_) => Ok(true),
            Err(StoreError::Exists) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether no mailbox has that use, or only one that never held a message: the one a new account has from the start is no
    /// reason to leave the mailbox without its use that people really have their mail in.
    async fn is_free(&self, special_use: SpecialUse) -> Result<bool, StoreError> {
        let Some(holder) = self.mail.tree().of_use(special_use) else { return Ok(true) };
        if self.filled.contains(&holder) {
            return Ok(false);
        }
        match self.mail.head(holder).await {
            Ok(head) => Ok(head.uid_next == Uid::MIN),
            Err(StoreError::NotFound) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn subscribe(&self, names: &[String]) -> Result<(), Trouble> {
        for text in names {
            let subscribed = match parse_name(text) {
                Ok(name) => self.mail.subscribe(&name, true).await.map_err(|error| error.to_string()),
                Err(_) => Err("it cannot be a mailbox name".to_owned()),
            };
            if let Err(reason) = subscribed {
                self.send(Step::Trouble { origin: format!("subscription of {text}"), reason }).await?;
            }
        }
        Ok(())
    }

    /// Takes the octets of one message. Small ones are stored by a task of their own, on whatever core is free.
    async fn message(
        &mut self,
        from: &mut (dyn tokio::io::AsyncRead + Send + Unpin),
        origin: String,
        flags: Vec<Flag>,
        internal_date: DateTime,
    ) -> Result<(), Trouble> {
        let mut held = BytesMut::new();
        while held.len() <= MESSAGE_IN_MEMORY_BYTES {
            match next_frame(from).await? {
                Frame::Octets(chunk) if chunk.is_empty() => {
                    return self.small(origin, flags, internal_date, held.freeze()).await;
                }
                Frame::Octets(chunk) if held.is_empty() => held = chunk.into(),
                Frame::Octets(chunk) => held.extend_from_slice(&chunk),
                // Whatever is said in the midst of a message can only be that it is abandoned.
                Frame::Json(_) => return Ok(()),
            }
        }
        self.large(from, origin, flags, internal_date, held.freeze()).await
    }

    async fn small(
        &self,
        origin: String,
        flags: Vec<Flag>,
        internal_date: DateTime,
        octets: Bytes,
    ) -> Result<(), Trouble> {
        let weight = self.weight(octets.len()).await?;
        let size = octets.len() as u64;
        let (mail, known) = (Arc::clone(&self.mail), self.known.clone());
        let message = tokio::spawn(async move {
            if known.is_some_and(|known| known.has(&octets, internal_date)) {
                return Ok(None);
            }
            let mut delivery = Delivery::begin(&mail);
            delivery.write(octets).await?;
            delivery.finish(flags, internal_date).await.map(Some)
        });
        self.send(Step::Message(Stored { origin, size, message, weight })).await
    }

    /// One that is too large to be held goes to the store as it comes.
    async fn large(
        &self,
        from: &mut (dyn tokio::io::AsyncRead + Send + Unpin),
        origin: String,
        flags: Vec<Flag>,
        internal_date: DateTime,
        first: Bytes,
    ) -> Result<(), Trouble> {
        let weight = self.weight(first.len()).await?;
        let mut delivery = Delivery::begin(&self.mail);
        let mut size = first.len() as u64;
        let mut failed = delivery.write(first).await.err();
        loop {
            match next_frame(from).await? {
                Frame::Octets(chunk) if chunk.is_empty() => break,
                Frame::Octets(chunk) => {
                    size += chunk.len() as u64;
                    if failed.is_none() {
                        failed = delivery.write(chunk).await.err();
                    }
                }
                Frame::Json(_) => return Ok(()),
            }
        }
        let known = self.known.clone();
        let message = tokio::spawn(async move {
            if let Some(error) = failed {
                return Err(error);
            }
            let message = delivery.finish(flags, internal_date).await?;
            let message_id = message.summary.message_id.as_deref();
            let was_there = known.is_some_and(|known| known.has_summary(message_id, internal_date, size));
            Ok((!was_there).then_some(message))
        });
        self.send(Step::Message(Stored { origin, size, message, weight })).await
    }

    async fn weight(&self, octets: usize) -> Result<OwnedSemaphorePermit, Trouble> {
        let weight = octets.clamp(LEAST_WEIGHT, IMPORT_IN_FLIGHT_BYTES / 4);
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(weight).await.map_err(|_| abandoned())
    }
}

/// The half that commits what has been stored, in order.
struct Committing {
    mailbox: Option<Arc<Mailbox>>,
    batch: Vec<Waiting>,
    weight: usize,
    totals: ImportTotals,
}

struct Waiting {
    origin: String,
    size: u64,
    message: NewMessage,
    _weight: OwnedSemaphorePermit,
}

impl Committing {
    async fn run(&mut self, mut steps: mpsc::Receiver<Step>, to: &mut Answers<'_>) -> Result<(), Trouble> {
        while let Some(step) = steps.recv().await {
            match step {
                Step::Folder { mailbox, made } => {
                    self.commit(to).await?;
                    self.mailbox = Some(mailbox);
                    self.totals.mailboxes_made += u64::from(made);
                }
                Step::Message(stored) => self.take(stored, to).await?,
                Step::Trouble { origin, reason } => tell(to, origin, reason).await?,
            }
        }
        self.commit(to).await
    }

    async fn take(&mut self, stored: Stored, to: &mut Answers<'_>) -> Result<(), Trouble> {
        let Stored { origin, size, message, weight } = stored;
        match message.await {
            Ok(Ok(Some(message))) => {
                self.weight += weight.num_permits();
                self.batch.push(Waiting { origin, size, message, _weight: weight });
            }
            Ok(Ok(None)) => self.totals.skipped += 1,
            Ok(Err(error)) if ends_all(&error) => return Err(Trouble::store("the import cannot go on", &error)),
            Ok(Err(error)) => tell(to, origin, error.to_string()).await?,
            Err(_) => tell(to, origin, "a bug of Columba; please report this message".into()).await?,
        }
        // Half of the room, so that the other half can fill meanwhile and reading never waits for a commit that
        // waits for reading.
        if self.batch.len() >= COMMIT_MESSAGES || self.weight >= IMPORT_IN_FLIGHT_BYTES / 2 {
            self.commit(to).await?;
        }
        Ok(())
    }

    async fn commit(&mut self, to: &mut Answers<'_>) -> Result<(), Trouble> {
        let Some(mailbox) = self.mailbox.clone().filter(|_| !self.batch.is_empty()) else { return Ok(()) };
        let mut batch = std::mem::take(&mut self.batch);
        self.weight = 0;
        for (origin, keyword) in drop_excess_keywords(&mailbox, &mut batch) {
            let reason = format!("the keyword {keyword} was left out: a mailbox has at most {KEYWORDS_PER_MAILBOX}");
            tell(to, origin, reason).await?;
        }
        let (messages, bytes) = (batch.len() as u64, batch.iter().map(|w| w.size).sum::<u64>());
        let appended = mailbox.append(batch.into_iter().map(|w| w.message).collect()).await;
        appended.map_err(|error| Trouble::store("the import cannot go on", &error))?;
        self.totals.messages += messages;
        self.totals.bytes += bytes;
        Ok(to.say(&Reply::Import(ImportNews::Stored(self.totals))).await?)
    }
}

async fn tell(to: &mut Answers<'_>, origin: String, reason: String) -> Result<(), Trouble> {
    Ok(to.say(&Reply::Import(ImportNews::Trouble { origin, reason })).await?)
}

/// Whether the next message would fail too.
fn ends_all(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::Indeterminate(_) | StoreError::Corrupt(_))
}

/// One keyword too many would fail the whole commit, so those that do not fit go; which, and of which messages.
fn drop_excess_keywords(mailbox: &Mailbox, batch: &mut [Waiting]) -> Vec<(String, Keyword)> {
    let mut known: std::collections::HashSet<Keyword> = mailbox.snapshot().head.keywords.iter().cloned().collect();
    let mut dropped = Vec::new();
    for waiting in batch {
        waiting.message.flags.retain(|flag| {
            let Flag::Keyword(keyword) = flag else { return true };
            let fits = known.contains(keyword) || known.len() < KEYWORDS_PER_MAILBOX;
            if fits {
                known.insert(keyword.clone());
            } else {
                dropped.push((waiting.origin.clone(), keyword.clone()));
            }
            fits
        });
    }
    dropped
}
